"""The rule that keeps methods apart: each is one file that nothing but the registry's users knows."""

import ast
from pathlib import Path

import pytest

import sparring
from sparring.terms import REGISTRY

SOURCE = Path(sparring.__file__).parent
FREE = {"attacks", "auxiliary", "checks", "class_logits", "divergences", "features"}  # what methods share


def methods_imported(path):
    """The names of method files that a file imports, wherever in it the import stands."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = ["sparring", *path.relative_to(SOURCE).parts[:-1]]
            parent = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*parent, *([node.module] if node.module else [])])
            modules |= {f"{module}.{alias.name}" for alias in node.names}
    parts = [module.split(".") for module in modules if module.startswith("sparring.terms.")]
    names = {part[2] for part in parts}
    return {name for name in names if name not in FREE and name != "REGISTRY"}


def files_that_know_methods():
    return {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if methods_imported(path)}


def test_only_the_recipe_and_the_public_api_import_methods():
    allowed = {"__init__.py", "terms/__init__.py"}
    assert files_that_know_methods() <= allowed


def test_the_scan_sees_an_import(tmp_path, monkeypatch):
    (tmp_path / "terms").mkdir()
    monkeypatch.setattr(f"{__name__}.SOURCE", tmp_path)
    for number, line in enumerate(
        ["from sparring.terms.hinge import Hinge", "import sparring.terms.r1", "from sparring.terms import sdp"]
    ):
        (tmp_path / f"a{number}.py").write_text(f"def f():\n    {line}\n")
    (tmp_path / "terms" / "one.py").write_text("from .features import gap\nfrom .hinge import Hinge\n")
    (tmp_path / "fine.py").write_text("from sparring.objective.term import Term\nfrom sparring.terms import REGISTRY\n")
    assert files_that_know_methods() == {"a0.py", "a1.py", "a2.py", "terms/one.py"}


@pytest.mark.parametrize("path", sorted((SOURCE / "terms").glob("*.py")), ids=lambda path: path.stem)
def test_a_methods_file_is_short_and_reads_like_its_paper(path):
    if path.stem in FREE or path.stem == "__init__":
        return
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 150
    assert len(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).splitlines()) >= 5


def test_every_method_file_is_registered():
    registered = {path.split(":")[0].rsplit(".", 1)[1] for path in REGISTRY.values()}
    files = {path.stem for path in (SOURCE / "terms").glob("*.py")}
    assert files - FREE - {"__init__"} == registered
