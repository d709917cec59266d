"""Fixtures for all tests: a separate cache, a tiny recipe file, and the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparring.data.packed import PackedImages

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "training")]
from tiny import tiny_images, tiny_recipe  # noqa: E402 - beside this file


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep tests away from the cache in the home folder."""
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    yield


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are as wide as in a file, whatever the width of the terminal that the suite is started in."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Use one thread: tiny tensors gain nothing from more, and threads wait for each other on a busy machine."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def without_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make runs write an empty report: drawing its curves takes longer than the rest of a tiny run."""
    import sparring.report.html

    monkeypatch.setattr(sparring.report.html, "write_report", lambda folder: Path(folder, "report.html").write_text(""))


@pytest.fixture(scope="session")
def images() -> PackedImages:
    return tiny_images()


@pytest.fixture
def recipe_file(tmp_path: Path) -> Callable[..., Path]:
    """`recipe_file(**changes)` writes a tiny recipe and its images, and returns the path of the YAML file."""
    from sparring.data.arrays import write_npz

    def write(name: str = "tiny", values: Mapping[str, Any] | None = None, **changes: Any) -> Path:
        packed = tmp_path / "images.npz"
        if not packed.exists():
            write_npz(packed, tiny_images())
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump({"data": str(packed), **(values or tiny_recipe(data=str(packed), **changes))}))
        return path

    return write


@pytest.fixture
def command_line(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`command_line("train", ...)` runs the real command in a separate process, in the test's folder."""

    def run(*words: Any, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "sparring", *map(str, words)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            **options,
        )

    return run
