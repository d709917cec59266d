"""What the tests of opened files and of users' code share: trained runs, and a module of somebody's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tiny import tiny_images, tiny_recipe

sys.path.append(str(Path(__file__).parent))
from strangers import CODE, Cli, module


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images.npz, photos/, a GAN's run and a classifier's run, none of which names code."""
    from PIL import Image

    import sparring.classify.run
    import sparring.report.html
    from sparring.data.arrays import write_npz

    folder = tmp_path_factory.mktemp("trained")
    monkeypatch = pytest.MonkeyPatch()  # reports take longer than everything else
    monkeypatch.setattr(sparring.report.html, "write_report", lambda folder: None)
    monkeypatch.setattr(sparring.classify.run, "write_classifier_report", lambda *given: None)
    write_npz(folder / "images.npz", tiny_images())
    (folder / "photos").mkdir()
    Image.new("L", (8, 8)).save(folder / "photos" / "a.png")
    gan = tiny_recipe(data=str(folder / "images.npz"), steps=2)
    sparring.train(gan, out=folder / "gan")
    classifier = {"data": str(folder / "images.npz"), "network": {"kind": "small_cnn", "width": 2}, "steps": 2}
    sparring.train_classifier({**classifier, "criterion": "baseline", "batch_size": 8}, out=folder / "classifier")
    monkeypatch.undo()
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder: a copy of `trained`, and a module with a unique name that writes the file `marker` on import."""
    import shutil

    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPARRING_ALLOW_CODE", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("sparring.report.html.write_report", lambda folder: None)
    monkeypatch.setattr("sparring.classify.run.write_classifier_report", lambda *given: None)
    before = set(sys.modules)
    Path(f"{module(tmp_path)}.py").write_text(CODE)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("stranger_"):
            del sys.modules[name]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """`cli(words...)` runs a command in this process and returns (exit code, stderr)."""
    from sparring.cli import main

    def call(*words: Any) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["sparring", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return call
