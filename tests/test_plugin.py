"""docs/plugin, the package to copy: once it is installed, each of its parts is found by its name and works."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sparring
from sparring.data.arrays import write_npz
from tiny import tiny_images, tiny_recipe

PLUGIN = Path(__file__).resolve().parents[1] / "docs" / "plugin"
PIP = [
    "-m",
    "pip",
    "install",
    "--quiet",
    "--disable-pip-version-check",
    "--no-index",
    "--no-deps",
    "--no-build-isolation",
]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("plugin")
    shutil.copytree(PLUGIN, here / "source")
    subprocess.run([sys.executable, *PIP, "--target", "site", "./source"], cwd=here, check=True, capture_output=True)
    return here / "site"


def test_every_part_is_found_by_its_name(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(installed))
    write_npz(Path("images.npz"), tiny_images(channels=3))
    recipe = tiny_recipe(
        data={"source": "images.npz", "channels": 3},
        steps=2,
        log_every=1,
        discriminator={"network": {"kind": "pooled_mlp"}},
    )
    recipe["objective"] |= {"score_drift": {}}
    run = sparring.train(recipe, out="r", trackers="csv")
    log = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    rows = csv.DictReader((run.folder / "numbers.csv").read_text().splitlines())
    table = {(row["step"], row["name"]): float(row["value"]) for row in rows}
    for row in log:
        assert row["discriminator/score_drift"] > 0
        assert table[str(row["step"]), "discriminator/score_drift"] == row["discriminator/score_drift"]
    found = sparring.evaluate("r", real="images.npz", extractor="thumbnail", metrics=["mean_shift"], n=30)
    assert [(each["metric"], each["extractor"]) for each in found] == [("thumbnail-mean-shift", "thumbnail")]
    assert json.loads((run.folder / "recipe.json").read_text())["recipe"]["objective"]["score_drift"]["weight"] == 0.001
    sparring.train(recipe | {"steps": 3}, out="r", resume=True, trackers="csv")
    steps = [row["step"] for row in csv.DictReader((run.folder / "numbers.csv").read_text().splitlines())]
    assert sorted(set(steps)) == ["1", "2", "3"] and steps == sorted(steps)


def test_the_terms_equation(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(installed))
    scope: dict[str, object] = {}
    exec((PLUGIN / "tests" / "test_terms.py").read_text(), scope)
    scope["test_a_value_and_a_gradient_worked_out_by_hand"]()  # type: ignore[operator]
