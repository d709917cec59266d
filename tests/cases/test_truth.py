"""Warnings, reports, tables and numbers that used to be wrong."""

from __future__ import annotations

import html
import json
import re
import shlex
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import sparring
from sparring import cli
from sparring.data.packed import PackedImages
from tiny import tiny_images, tiny_recipe


def _on_the_bfloat16_grid(value: float) -> bool:
    """Whether the last 16 bits of a float32 are zero, as in every bfloat16 number."""
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
    """Weight decay that sets all weights to zero."""
    recipe = tiny_recipe(steps=400, samples_every=100, batch_size=2)
    recipe["generator"] = recipe["generator"] | {"optimizer": {"kind": "adamw", "lr": 1e-3, "weight_decay": 100.0}}
    notes: list[str] = []
    sparring.train(recipe, out=tmp_path / "run", data=tiny_images(), note=notes.append)
    assert [note for note in notes if "the samples collapse" in note]


@pytest.mark.usefixtures("without_reports")
def test_case_12_the_bar_of_a_run_that_nan_stops_stays_where_it_was(
    recipe_file: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The loss is found to be NaN when the log is due, at step 20 of 20, so no step counts."""
    path = recipe_file(values=tiny_recipe(data=str(tmp_path / "images.npz"), steps=20, log_every=50))
    words = ["train", str(path), "discriminator.optimizer.lr=1e36", "--out", str(tmp_path / "run")]
    monkeypatch.setattr("sys.argv", ["sparring", *words])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    first = re.search(r"at step (\d+)", said)
    assert first and re.findall(r"(\d+)/20", said)[-1] == first[1] != "20"


def _conditional(**changes: Any) -> dict[str, Any]:
    recipe = tiny_recipe(**changes)
    recipe["generator"]["network"] = recipe["generator"]["network"] | {"conditioning": "conditional_batch_norm"}
    return recipe


def _samples_part(page: str) -> str:
    return page.split("<h2>Samples</h2>")[1].split("<h2>")[0]


@pytest.mark.parametrize("classes", [3, 7, 25, 70])
def test_case_13_samples_of_any_number_of_classes_stand_in_a_grid_with_their_names(
    classes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparring.report.html.figure", lambda *a, **k: "")  # curves are slow
    names = tuple(f"Kind <{i}>" for i in range(classes))
    shades = torch.linspace(0, 255, classes).to(torch.uint8)
    labels = torch.arange(4 * classes) % classes
    images = PackedImages(shades[labels][:, None, None, None].expand(-1, 1, 8, 8).contiguous(), labels, names)
    run = sparring.train(_conditional(steps=1), out=tmp_path / "run", data=images)
    with Image.open(run.folder / "samples" / "step-000001.png") as picture:
        assert 0.5 <= picture.width / picture.height <= 2.2
        assert max(picture.size) <= 16 * 65
    part = _samples_part((run.folder / "report.html").read_text())
    shown = [i for i in range(classes) if f"Kind &lt;{i}&gt;</span>" in part]
    assert shown == list(range(min(classes, 64)))
    assert ("the first 64 of 70 classes" in part) is (classes == 70)


@pytest.mark.parametrize("data", ["key", "extends"])
def test_case_13_a_report_says_what_the_data_are_and_its_command_can_be_pasted(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cat", "small dog"):
        for i in range(5):
            path = tmp_path / "my photos" / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16), (50 * i, 40, 90)).save(path)
    source, recipe = str(tmp_path / "my photos"), "quickstart"
    small = ["generator.network.width=4", "discriminator.network.width=4", "steps=2", "batch_size=4", "evaluation=null"]
    words = [*small, "data.size=16", "data.channels=3", "data.num_classes=2", "data.split=null"]
    if data == "key":
        words.append(f"data.source={source}")
    else:
        (tmp_path / "mine.yaml").write_text(json.dumps({"extends": "quickstart", "data": {"source": source}}))
        recipe = str(tmp_path / "mine.yaml")
    monkeypatch.setattr("sys.argv", ["sparring", "train", recipe, *words, "--out", str(tmp_path / "a run")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code in (0, None)
    page = (tmp_path / "a run" / "report.html").read_text()
    assert "garments" not in page and "Fashion" not in page
    for piece in ("my photos", "10 images of 16 x 16 pixels", "RGB", "2 classes (cat, small dog)", "evaluation=null."):
        assert piece in page.split("<h2>")[0], piece
    command = html.unescape(page.split("<pre>")[1].split("</pre>")[0])
    assert shlex.split(command) == ["sparring", "train", recipe, *words, "--out", str(tmp_path / "a run")]


class _Stops:
    """A tracker that reads the run's report at each picture, and stops the run at one of them unless that is None."""

    def __init__(self, folder: Path, at: int | None = None, error: BaseException | None = None):
        self.folder, self.at, self.error = folder, at, error
        self.seen: list[int] = []

    def config(self, recipe: Any) -> None: ...

    def scalars(self, values: Any, step: int) -> None: ...

    def images(self, name: str, images: Any, step: int) -> None:
        if (self.folder / "report.html").is_file():
            self.seen.append(step)
        if step == self.at and self.error is not None:
            raise self.error

    def close(self) -> None: ...


class _FailingDisplay:
    """A display that shows nothing, and fails at the 8th step."""

    def __init__(self, start: int, total: int): ...

    def __enter__(self) -> _FailingDisplay:
        return self

    def __exit__(self, *_: object) -> None: ...

    def step(self, step: int) -> None:
        if step == 8:
            raise OSError("a disk of another kind")

    def values(self, values: dict[str, float]) -> None: ...

    def measuring(self, done: int, total: int) -> None: ...


def test_case_13_a_running_or_stopped_run_has_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparring.report.html.figure", lambda *a, **k: "")
    folder, images = tmp_path / "run", tiny_images()
    recipe = tiny_recipe(steps=9, samples_every=2, checkpoint_every=1)
    tracker = _Stops(folder, 6, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        sparring.train(recipe, out=folder, data=images, trackers=[tracker])
    assert tracker.seen == [2, 4, 6]
    page = (folder / "report.html").read_text()
    assert "the same latents at step 6, the last" in page and "interrupted at step 6" in page
    again = _Stops(folder)
    with pytest.raises(OSError, match="another kind"):
        sparring.train(recipe, out=folder, data=images, trackers=[again], progress=_FailingDisplay, resume=True)
    assert again.seen == [6]
    assert "Stopped: OSError" in (folder / "report.html").read_text()
    whole = sparring.train(recipe, out=folder, data=images, resume=True)
    page = (whole.folder / "report.html").read_text()
    assert "Stopped" not in page and "9 steps" in page


def test_case_13_a_run_that_nan_stops_has_a_report_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparring.report.html.figure", lambda *a, **k: "")
    recipe = tiny_recipe(steps=9, log_every=50)
    recipe["discriminator"]["optimizer"] = {"lr": 1e36}
    with pytest.raises(sparring.NonFiniteLossError):
        sparring.train(recipe, out=tmp_path / "run", data=tiny_images())
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Stopped: hinge became" in page and "the same latents at step 0" in page
