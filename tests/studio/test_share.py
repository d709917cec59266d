"""Folders to hand on: complete, openable, without code, and without a trace of the machine they were made on."""

from __future__ import annotations

import getpass
import json
import socket
from pathlib import Path

import pytest
import torch
import yaml

import sparring
from sparring.errors import SparringError
from sparring.evaluation.sources import is_generator
from sparring.studio.card import model_card
from sparring.studio.share import without_places
from sparring.trust import is_run_recipe
from tiny_generators import written

NOBODY = "eva-example"


@pytest.fixture(autouse=True)
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: NOBODY)
    monkeypatch.setattr(socket, "gethostname", lambda: "workstation7.example.org")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder, as far as sharing reads it."""
    folder = written(tmp_path / NOBODY / "run", conditioning="concat")
    described = json.loads((folder / "generator.json").read_text())
    recipe = {
        "name": "cats",
        "about": f"made by {NOBODY} on workstation7",
        "data": {"source": str(tmp_path / NOBODY / "cats"), "size": 32, "classes": None},
        "negatives": {"source": "noise:normal"},
        "generator": {"network": {"kind": "dcgan", "width": 4}, "latent_size": 6},
        "objective": {"hinge": {"weight": 1.0}, "r1": None},
        "start_from": f"{tmp_path}/runs/before",
        "evaluation": {"extractor": f"inception:/home/{NOBODY}/pt_inception.pth", "n": 2000},
        "batch_size": 32,
    }
    facts = {"recipe": recipe, "command": f"sparring train {tmp_path}/mine.yaml", "hardware": "x86"}
    (folder / "recipe.json").write_text(json.dumps(facts))
    record = {"step": 3, "metric": "fashion-FD", "value": 4.4821, "better": "lower", "extractor": "fashion"}
    record |= {"data": str(tmp_path / NOBODY / "cats"), "split": None, "n_fake": 2000, "n_real": 8000}
    rows = [record | {"value": 9.0}, record, record | {"value": 7.0, "generated_hash": "another"}]
    rows[0]["generated_hash"] = rows[1]["generated_hash"] = described["content_hash"]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_shared_folder_opens_and_gives_the_same_images(run: Path, tmp_path: Path) -> None:
    shared = sparring.share(run, tmp_path / "shared")
    names = ["README.md", "generator.json", "generator.safetensors", "metrics.json", "recipe.yaml", "samples.png"]
    assert sorted(path.name for path in shared.iterdir()) == names
    again = sparring.load(shared)
    assert torch.equal(again.sample(5), sparring.load(run).sample(5)) and is_generator(shared)
    assert again.description == sparring.load(run).description and "SavedGenerator(tiny" in repr(again)
    assert sparring.sample(shared, seeds="1,2", labels="bee").shape == (2, 3, 32, 32)
    recipe = yaml.safe_load((shared / "recipe.yaml").read_text())
    assert recipe["data"] == {"source": "YOUR-IMAGES", "size": 32, "classes": None}
    assert recipe["negatives"]["source"] == "noise:normal" and recipe["objective"]["hinge"] == {"weight": 1.0}
    assert recipe["start_from"] is None and recipe["evaluation"] == {"extractor": None, "n": 2000}
    (record,) = json.loads((shared / "metrics.json").read_text())
    assert record["value"] == 4.4821 and record["data"] == "YOUR-IMAGES" and record["n_fake"] == 2000
    twice = sparring.share(shared, tmp_path / "twice", note=lambda line: None)  # what one was given can be handed on
    assert torch.equal(sparring.load(twice).sample(5), again.sample(5))


def test_nothing_says_where_and_by_whom_it_was_made(run: Path, tmp_path: Path) -> None:
    shared = sparring.share(run, tmp_path / "shared")
    for path in shared.iterdir():
        content = path.read_bytes()
        for trace in (NOBODY, "workstation7", str(tmp_path), "/home", "mine.yaml", str(Path.home())):
            assert trace.encode() not in content, (path.name, trace)


def test_a_strangers_recipe_is_data_as_a_runs_is(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = sparring.share(run, tmp_path / "shared")
    monkeypatch.chdir(shared)
    Path("evil.py").write_text("open('ran', 'w').close()")
    recipe = yaml.safe_load(Path("recipe.yaml").read_text()) | {"step": "evil:step"}
    Path("recipe.yaml").write_text(yaml.safe_dump(recipe))
    for name in ("recipe.yaml", shared / "recipe.yaml"):
        with pytest.raises(SparringError, match=r"names code that does not ship with sparring: evil:step"):
            sparring.show(name)
    assert not Path("ran").exists()
    Path("generator.safetensors").unlink()
    assert not is_run_recipe(Path("recipe.yaml"))  # the user's own


def test_the_card_has_a_header_and_leaves_licence_and_data_to_the_owner(run: Path, tmp_path: Path) -> None:
    card = (sparring.share(run, tmp_path / "shared") / "README.md").read_text()
    _, header, body = card.split("---\n", 2)
    assert yaml.safe_load(header)["library_name"] == "sparring" and "license" not in yaml.safe_load(header)
    assert "# license: cc-by-4.0" in header and "**Licence of these weights:** not stated yet" in body
    assert "| fashion-FD | 4.482 | lower | 2,000 | 8,000 | YOUR-IMAGES |  |" in body and "ant, bee, cat" in body
    assert "| objective | hinge |" in body and "![Samples](samples.png)" in body
    odd = model_card({"recipe": "a|b <script>\n# c", "network": {"kind": "x"}, "num_classes": 0}, None, [])
    assert "# a\\|b \\<script\\> \\# c\n" in odd and "## Numbers" not in odd and "## Training" not in odd


def test_places_are_left_out_of_texts_and_names_are_kept() -> None:
    kept = {"name": "sdp/hinge-cifar10", "step": "my_steps:train", "about": "Half the width: 3/4 of D, and/or G."}
    kept |= {"source": "torchvision:CIFAR10", "extractor": "fashion", "class_names": [NOBODY, "/a/b"], "n": 3}
    assert without_places(kept) == kept
    for text in (
        "see /srv/x",
        "~/x/y",
        "'C:\\Users\\x'",
        "../x",
        f"by {NOBODY.upper()}!",
        "at workstation7.example.org",
    ):
        assert without_places({"about": [text]}) == {"about": ["removed"]}, text
    assert without_places({"extractor": "inception:weights.pth", "class_order": "names.txt"}) == {
        "extractor": None,
        "class_order": None,
    }
    assert without_places({"data": "cats", "generated": "cats/x"}) == {"data": "cats", "generated": "YOUR-IMAGES"}


def test_only_an_empty_folder_is_filled(tmp_path: Path) -> None:
    run = written(tmp_path / "run")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(SparringError, match="full is not empty: give a new folder"):
        sparring.share(run, tmp_path / "full")
    with pytest.raises(SparringError, match=r"cannot write .*; choose another folder"):
        sparring.share(run, tmp_path / "full" / "x" / "y")
    lone = sparring.share(run / "generator.safetensors", tmp_path / "lone")
    assert sorted(path.name for path in lone.iterdir()) == [
        "README.md",
        "generator.json",
        "generator.safetensors",
        "samples.png",
    ]
