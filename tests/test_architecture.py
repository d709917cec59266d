"""The rules of ARCHITECTURE.md: which folder may import which, and how long a file and a function may be."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import sparring

SOURCE = Path(sparring.__file__).parent
TOP = {"__init__", "__main__", "api", "testing"}  # nothing imports them
KNOT = {
    "sparring.objective.term",
    "sparring.objective.round",
    "sparring.objective.side",
}  # each refers to the others' types
LONGEST_FILE, LONGEST_FUNCTION, MEDIAN_FILE = 400, 60, 110


def modules(root: Path) -> dict[str, Path]:
    found = {}
    for path in root.rglob("*.py"):
        parts = ["sparring", *path.relative_to(root).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(tree: ast.AST, module: str, is_package: bool, known: set[str]) -> Iterator[str]:
    """Every sparring module that a file imports: anywhere, also for type checking or as "module:name"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "sparring")
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".") if is_package else module.split(".")[:-1]
                package = package[: len(package) - node.level + 1]
                base = ".".join([*package, *([node.module] if node.module else [])])
            if base.split(".")[0] == "sparring":
                for alias in node.names:
                    full = f"{base}.{alias.name}"
                    yield full if full in known else base
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            named = re.fullmatch(r"(sparring(?:\.\w+)+):[\w.]+", node.value)
            if named and named[1] in known:
                yield named[1]


def graph(root: Path) -> dict[str, set[str]]:
    """The sparring modules that each module imports, except itself."""
    known = modules(root)
    found = {}
    for module, path in known.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = set(imported(tree, module, path.name == "__init__.py", set(known)))
        found[module] = {name for name in names if name in known} - {module}
    return found


def node_of(module: str) -> str:
    """The folder or file directly below the package that contains a module."""
    return module.split(".")[1] if "." in module else "__init__"


def between_nodes(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for module, targets in edges.items():
        for target in targets:
            if node_of(module) != node_of(target):
                found[node_of(module)].add(node_of(target))
    return found


def circles(edges: dict[str, set[str]]) -> list[str]:
    """A cycle of imports, or empty."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.fixture(scope="module")
def edges() -> dict[str, set[str]]:
    return graph(SOURCE)


def test_no_two_folders_import_each_other(edges):
    nodes = between_nodes(edges)
    both = [(a, b) for a, targets in nodes.items() for b in targets if a < b and a in nodes.get(b, ())]
    assert both == []
    assert circles(nodes) == []


def test_nothing_imports_the_top(edges):
    wrong = [
        (module, target)
        for module, targets in edges.items()
        for target in targets
        if node_of(target) in TOP and node_of(module) not in TOP
    ]
    assert wrong == []


def test_only_the_files_of_terms_form_an_import_cycle(edges):
    cut = {module: {t for t in targets if not {module, t} <= KNOT} for module, targets in edges.items()}
    assert circles(cut) == []


def test_the_scan_sees_every_kind_of_import(tmp_path):
    package = tmp_path / "sparring"
    for folder in ("a", "b"):
        (package / folder).mkdir(parents=True)
        (package / folder / "__init__.py").touch()
    (package / "__init__.py").touch()
    kinds = {
        "plain": "import sparring.b.x\n",
        "name": "from sparring.b.x import name\n",
        "module": "from sparring.b import x\n",
        "relative": "from ..b.x import name\n",
        "lazy": "def f():\n    from sparring.b.x import name\n",
        "typed": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from sparring.b.x import name\n",
        "string": 'KIND = "sparring.b.x:Name"\n',
    }
    (package / "b" / "x.py").write_text('"""sparring.a is only spoken of here, as sparring.a.plain:f."""\n')
    for name, text in kinds.items():
        (package / "a" / f"{name}.py").write_text(text)
    found = graph(package)
    assert {name: found[f"sparring.a.{name}"] for name in kinds} == {name: {"sparring.b.x"} for name in kinds}
    assert found["sparring.b.x"] == set()
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}}) and not circles({"a": {"b"}})


def test_files_and_functions_are_short():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCE.rglob("*.py")}
    long = {path.relative_to(SOURCE).as_posix(): n for path, n in lengths.items() if n > LONGEST_FILE}
    assert long == {}
    for path in lengths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):  # only the body counts: arguments may take a line each
                lines = (node.end_lineno or 0) - node.body[0].lineno + 1
                assert lines <= LONGEST_FUNCTION, f"{path.name}: {node.name}"
    assert sorted(lengths.values())[len(lengths) // 2] <= MEDIAN_FILE


def test_nouns_agree_with_their_number():
    """`counted` writes "1 image" and "2 images"; "image(s)" is for nobody."""
    lazy = re.compile(r"[a-z]{2}\(e?s\)[,.;]? (?!for |in |if |else |and |or )[a-z]")
    found = [
        line for path in SOURCE.rglob("*.py") for line in path.read_text("utf-8").splitlines() if lazy.search(line)
    ]
    assert not found


def test_regression_tests_use_only_old_names():
    """tests/cases also runs on the commit in which its faults were found, which did not have the newer folders."""
    new = re.compile(
        r"sparring\.(recipe\.\w|run\.|objective|evaluation|microscope|describe|schedule|limits|parsing|trust)"
    )
    for path in (Path(__file__).parent / "cases").glob("*.py"):
        imports = [
            line for line in path.read_text(encoding="utf-8").splitlines() if re.match(r"\s*(from|import) ", line)
        ]
        assert not [line for line in imports if new.search(line)], path.name
