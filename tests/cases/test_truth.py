"""Warnings, pages, tables and numbers that said something untrue."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any

import pytest

import sparring
from sparring import cli
from tiny import tiny_images, tiny_recipe


def _on_the_bfloat16_grid(value: float) -> bool:
    """Whether a float32's last 16 bits are zero, as those of any number in bfloat16 are."""
    return struct.unpack("<I", struct.pack("<f", value))[0] & 0xFFFF == 0


OBJECTIVES: dict[str, dict[str, Any]] = {
    "hinge": {"hinge": {}},
    "non_saturating": {"non_saturating": {}},
    "wasserstein": {"wasserstein": {}},
    "least_squares": {"least_squares": {}},
    "pairing": {"relativistic_pairing": {}},
    "sdp": {"hinge": {}, "sdp": {"t": 0}},
    "as_gan": {"non_saturating": {}, "as_gan": {"warmup": 0, "eps": 0.01}},
    "lecam": {"hinge": {}, "lecam": {"start": 1}},
    "nat_gan": {"nat_gan": {}},
    "am_gan": {"am_gan": {}},
    "k_plus_one": {"k_plus_one": {}},
    "auxiliary": {"hinge": {}, "auxiliary_classifier": {}},
    "multi_hinge": {"hinge": {}, "multi_hinge": {}},
    "features": {"hinge": {"generator_weight": 0}, "feature_matching": {}},
}


@pytest.mark.usefixtures("without_reports")
@pytest.mark.parametrize("name", OBJECTIVES)
def test_case_16_scores_and_losses_of_bfloat16_runs_are_float32(name: str, tmp_path: Path) -> None:
    recipe = tiny_recipe(objective=OBJECTIVES[name], precision="bfloat16", steps=4, log_every=1)
    log = sparring.train(recipe, out=tmp_path / "run", data=tiny_images()).log
    keys = [key for key in log[0] if "/" in key and not key.endswith(("gradient_norm", "/k"))]
    assert len(keys) >= 3
    for key in keys:
        values = [row[key] for row in log if row.get(key)]
        assert not values or not all(map(_on_the_bfloat16_grid, values)), f"{key}: {values}"


@pytest.mark.usefixtures("without_reports")
@pytest.mark.parametrize(("kind", "steps"), [("dcgan", 3), ("dcgan", 20), ("sngan_cnn", 3), ("sagan", 3), ("r3gan", 3)])
def test_case_12_a_short_run_of_an_untrained_network_is_no_collapse(kind: str, steps: int, tmp_path: Path) -> None:
    part = {"network": {"kind": kind, "width": 24 if kind == "r3gan" else 4}, "optimizer": {"lr": 2e-4}}
    recipe = tiny_recipe(
        data={"source": "fashion-mnist-10k", "split": "train", "size": 16, "channels": 1},
        generator={**part, "latent_size": 8},
        discriminator=part,
        steps=steps,
        batch_size=2,
        samples_every=max(1, steps // 4),
        log_every=1,
    )
    notes: list[str] = []
    run = sparring.train(recipe, out=tmp_path / "run", note=notes.append)
    assert not [note for note in notes if "warning" in note]
    vitals = [json.loads(line) for line in (run.folder / "vitals.jsonl").read_text().splitlines()]
    assert len(vitals) >= 3 and not [row for row in vitals if "warnings" in row]


@pytest.mark.usefixtures("without_reports")
def test_case_12_a_generator_whose_samples_became_one_picture_is_said_to_collapse(tmp_path: Path) -> None:
    """A decay of the weights that leaves nothing of them."""
    recipe = tiny_recipe(steps=400, samples_every=100, batch_size=2)
    recipe["generator"] = recipe["generator"] | {"optimizer": {"kind": "adamw", "lr": 1e-3, "weight_decay": 100.0}}
    notes: list[str] = []
    sparring.train(recipe, out=tmp_path / "run", data=tiny_images(), note=notes.append)
    assert [note for note in notes if "the samples collapse" in note]


@pytest.mark.usefixtures("without_reports")
def test_case_12_the_bar_of_a_run_that_nan_stops_stays_where_it_was(
    recipe_file: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found when the log is due, at step 20 of 20: none of those steps was worth anything."""
    path = recipe_file(values=tiny_recipe(data=str(tmp_path / "images.npz"), steps=20, log_every=50))
    words = ["train", str(path), "discriminator.optimizer.lr=1e36", "--out", str(tmp_path / "run")]
    monkeypatch.setattr("sys.argv", ["sparring", *words])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    first = re.search(r"at step (\d+)", said)
    assert first and re.findall(r"(\d+)/20", said)[-1] == first[1] != "20"
