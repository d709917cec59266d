#!/usr/bin/env python
"""Mutation tests of the terms: make one small mistake at a time in a file of `terms/`, and check that a test fails.

    python scripts/mutate_terms.py                      # continues after an interruption; results in build/mutations.jsonl
    python scripts/mutate_terms.py --files sdp as_gan   # only these files
    python scripts/mutate_terms.py --survivors          # retry the survivors, after you have written tests
    python scripts/mutate_terms.py --report             # print the results so far

Mistakes are of the kinds sign (a sign flipped), drop (a summand or factor left out), swap (real and fake, on_real and
on_fake, the player), index (an index, axis, count or default off by one) and logic (a comparison, condition, reduction or
detach). The equation tests run first. If they pass, the trajectories of the methods that use the file run.

Everything runs on a copy of the package and its tests, so nothing here changes and later edits have no effect. For each
mistake, a process that has collected the tests is forked and patched with the changed function. For a mistake outside
functions, the module is imported again instead. A mistake that computes for more than two minutes counts as killed.
"""

from __future__ import annotations

import argparse
import atexit
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import resource
import shutil
import sys
import tempfile
import time
import types
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mutations import Mutant, changed_functions, mutants, put_in

from sparring.terms import REGISTRY

ROOT = Path(__file__).resolve().parents[1]
TERMS = ROOT / "src" / "sparring" / "terms"
METHODS = {target.partition(":")[0].rpartition(".")[2] for target in REGISTRY.values()}
TRAJECTORIES = ["tests/training/test_trajectories.py", "tests/training/test_method_trajectories.py"]
EXCLUDED = {"test_layout.py"}  # tests the source, not its behaviour
CPU_LIMIT = 120  # seconds


# --- which tests judge a file ---


def readers(file: str) -> set[str]:
    """The public methods that use a file of `terms/`."""
    names = {file}
    for _ in range(2):
        for name in names - METHODS:
            imported = (f"sparring.terms.{name} import", f"sparring.terms import {name}")
            names |= {p.stem for p in TERMS.glob("*.py") if any(line in p.read_text() for line in imported)}
    return names & METHODS


def in_order(items: list[Any], file: str, saw: list[str]) -> list[Any]:
    """The collected tests for a file, in order: tests that detected earlier mistakes in it, latest first; equation tests
    that name its methods; other equation tests; trajectories that name its methods."""
    names = readers(file)
    words = names | ({"penalties"} if names & {"gradient_penalty", "r1"} else set())
    words |= {"cat_gan", "negatives"} if "cat_gan" in names else set()
    words |= {"beside_the_projection"} if "multi_hinge" in names else set()

    def rank(item: Any) -> int | None:
        if item.nodeid in saw:
            return saw.index(item.nodeid) - len(saw)
        named = any(name in item.nodeid for name in words)
        if not any(folder in item.nodeid for folder in ("tests/training", "tests/objective")):
            broad = "test_combinations" in item.nodeid or "test_contracts" in item.nodeid
            return broad if named else 2 + broad
        return 4 if named or file == "base" else None

    ranked = [(rank(item), item) for item in items]
    return [item for order, item in sorted(((r, i) for r, i in ranked if r is not None), key=lambda pair: pair[0])]


# --- a mistake in a process ---


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Import one module of the terms from a changed source text."""

    def __init__(self, mutant: Mutant):
        self.name, self.text = f"sparring.terms.{mutant.file}", mutant.text

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self, origin=name) if name == self.name else None

    def exec_module(self, module: types.ModuleType) -> None:
        exec(compile(self.text, module.__name__, "exec"), module.__dict__)


class Judge:
    """A pytest plugin that replaces the test loop: it runs the tests for each mistake in a forked process."""

    def __init__(self, wanted: list[Mutant], record: Callable[[Mutant, bool, str, float], None], fork: bool = True):
        self.wanted, self.record, self.fork, self.failed = wanted, record, fork, ""
        self.saw: dict[str, list[str]] = {}

    def pytest_collectreport(self, report: Any) -> None:
        self.failed = self.failed or (f"{report.nodeid} (collection)" if report.failed else "")

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.failed = self.failed or (report.nodeid if report.failed else "")

    def pytest_runtestloop(self, session: Any) -> bool:
        for mutant in self.wanted:
            started = time.monotonic()
            if self.fork:
                failed = in_fork(lambda m=mutant: self.judge(session, m, put=True))  # type: ignore[misc]
            else:
                failed = self.judge(session, mutant, put=False)
            if failed.startswith("tests/"):
                saw = self.saw.setdefault(mutant.file, [])
                self.saw[mutant.file] = [failed, *(name for name in saw if name != failed)]
            self.record(mutant, bool(failed), failed, time.monotonic() - started)
        return True

    def judge(self, session: Any, mutant: Mutant, put: bool) -> str:
        """The first test that fails, or "" if none does."""
        if put:
            module = importlib.import_module(f"sparring.terms.{mutant.file}")
            names = changed_functions((TERMS / f"{mutant.file}.py").read_text(), mutant.text)
            if not names or not put_in(module, names, mutant.text):
                return "(out of reach)"
        items = in_order(session.items, mutant.file, self.saw.get(mutant.file, []))
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                break
        return self.failed


def in_fork(job: Callable[[], str]) -> str:
    """Run a job in a forked process without output, and return its answer."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        answer = "(died)"
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT, CPU_LIMIT))
            os.close(read)
            for stream in (1, 2):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
            answer = job()
        finally:
            os.write(write, answer.encode())
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    return answer or ("(stopped)" if status else "")


def session(plugin: Judge) -> None:
    import pytest

    files = sorted(str(p) for p in Path("tests/terms").glob("test_*.py") if p.name not in EXCLUDED)
    pytest.main(["-q", "--no-header", "--tb=no", "-p", "no:cacheprovider", *files, *TRAJECTORIES], plugins=[plugin])


# --- all of them ---


def enter_a_copy() -> None:
    """Change to a copy of the package and its tests, which is removed at exit. Load what all processes need."""
    copied, owner = tempfile.mkdtemp(prefix="mutate-terms-"), os.getpid()
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(copied, ignore_errors=True))
    for folder in ("src", "tests"):
        shutil.copytree(
            ROOT / folder, Path(copied) / folder, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    shutil.copy(ROOT / "pyproject.toml", copied)
    os.chdir(copied)
    sys.path.insert(0, str(Path(copied) / "src"))
    os.environ.update(OMP_NUM_THREADS="1", MPLBACKEND="Agg")
    import torch

    torch.set_num_threads(1)
    for name in ("matplotlib.figure", "numpy", "pydantic", "pytest", "yaml", "torch.distributed.tensor"):
        importlib.import_module(name)


def read_results(path: Path) -> dict[str, dict[str, Any]]:
    lines = path.read_text().splitlines() if path.is_file() else []
    return {row["key"]: row for row in map(json.loads, lines)}


def run(files: list[Path], results: Path, minutes: float, survivors: bool) -> None:
    """Try every mistake that has no result yet (or every survivor), for at most `minutes` minutes."""
    results, done, end = results.resolve(), read_results(results), time.monotonic() + 60 * minutes
    results.parent.mkdir(parents=True, exist_ok=True)
    todo = [m for path in files for m in mutants(path) if survivors == (m.key in done)]
    todo = [m for m in todo if not survivors or not done[m.key]["killed"]]
    todo.sort(key=lambda m: (m.kind == "logic", m.file in ("base", "checks")))  # equations first
    print(f"{len(todo)} to try, {len(done)} done", flush=True)
    enter_a_copy()

    def record(mutant: Mutant, killed: bool, by: str, seconds: float) -> None:
        row = {name: getattr(mutant, name) for name in ("key", "file", "line", "kind", "before", "after")}
        row |= {"killed": killed, "by": by, "seconds": round(seconds, 1)}
        if by != "(out of reach)":
            with results.open("a") as out:
                out.write(json.dumps(row) + "\n")
        if time.monotonic() > end:
            os._exit(0)

    texts = {path.stem: path.read_text() for path in files}
    inside = [m for m in todo if changed_functions(texts[m.file], m.text)]
    in_fork(lambda: session(Judge(inside, record)) or "")  # type: ignore[func-returns-value]
    done = read_results(results)
    for mutant in todo:
        if time.monotonic() < end and (mutant.key not in done or (survivors and mutant not in inside)):
            in_fork(lambda m=mutant: afresh(m, record))  # type: ignore[misc]


def afresh(mutant: Mutant, record: Callable[[Mutant, bool, str, float], None]) -> str:
    """Run a separate session that imports the changed file."""
    sys.meta_path.insert(0, Changed(mutant))
    started, plugin = time.monotonic(), Judge([mutant], record, fork=False)
    session(plugin)
    if plugin.failed.endswith("(collection)"):  # pytest stopped before the loop ran
        record(mutant, True, plugin.failed, time.monotonic() - started)
    return plugin.failed


def report(files: list[Path], results: Path) -> None:
    """Print how many mistakes in the current files were detected, and which survived."""
    found = read_results(results)
    everything = [m for path in files for m in mutants(path)]
    rows = [found[m.key] for m in everything if m.key in found]
    killed = Counter(row["kind"] for row in rows if row["killed"])
    for kind, count in sorted(Counter(row["kind"] for row in rows).items()):
        print(f"{kind:6} {killed[kind]:4} of {count:4} killed")
    share = sum(killed.values()) / max(1, len(rows))
    print(
        f"all    {sum(killed.values()):4} of {len(rows):4} killed ({share:.1%}), {len(everything) - len(rows)} not tried"
    )
    for row in rows:
        if not row["killed"]:
            print(f"survived  {row['file']}:{row['line']} {row['kind']}: {row['before']}  ->  {row['after']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", nargs="*", help="names of files in terms/, without .py (default: all)")
    parser.add_argument("--results", type=Path, default=ROOT / "build" / "mutations.jsonl")
    parser.add_argument("--minutes", type=float, default=60, help="stop after this time; the next call continues")
    parser.add_argument("--survivors", action="store_true", help="retry the survivors")
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    names = given.files or [p.stem for p in sorted(TERMS.glob("*.py")) if p.stem != "__init__"]
    files = [TERMS / f"{name}.py" for name in names]
    if given.report:
        report(files, given.results)
    else:
        run(files, given.results, given.minutes, given.survivors)


if __name__ == "__main__":
    main()
