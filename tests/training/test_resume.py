"""A run that was interrupted anywhere ends in the same bits as one that never was."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import sparring
from hits import Hit, KilledError, assert_same_run, ctrl_c, kill
from sparring.data.packed import PackedImages
from sparring.errors import SparringError
from sparring.files import read_rows
from sparring.run.checkpoint import load_checkpoint
from tiny import same_bits, tiny_recipe, without_times

pytestmark = pytest.mark.usefixtures("without_reports")

ADAM = {"lr": 2e-3, "betas": [0.0, 0.9]}
SCHEDULED = {"lr": {"knots": [[0, 1e-3], [4, 5e-3], [6, 1e-3]]}, "betas": [0.5, 0.9]}


def _generator(kind: str = "dcgan", optimizer=ADAM, ema=None, **options):
    options = {"width": 4, **options} if kind == "dcgan" else options
    return {"network": {"kind": kind, **options}, "latent_size": 6, "optimizer": optimizer, "ema": ema}


def _discriminator(kind: str = "dcgan", optimizer=ADAM, **more):
    network = {"kind": kind, "width": 4, "normalisation": "none"} if kind == "dcgan" else {"kind": kind}
    network |= more.pop("network", {})
    return {"network": network, "optimizer": optimizer, **more}


VARIANTS = {
    "schedules, ema, lazy r1": {
        "generator": _generator(optimizer=SCHEDULED, ema={"decay": {"knots": [[0, 0.5], [6, 0.9]]}, "start": 2}),
        "discriminator": _discriminator(optimizer=SCHEDULED),
        "objective": {"hinge": {"weight": {"knots": [[0, 1.0], [6, 2.0]]}}, "r1": {"every": 3, "weight": 0.5}},
        "augment": {"kind": "ada", "ramp_images": 50, "interval": 3, "target": 0},
        "d_steps": 2,
    },
    "users' modules that draw, micro-batches": {
        "generator": _generator("users_modules:NoisyGenerator", ema=0.9),
        "discriminator": _discriminator("users_modules:NoisyBackbone"),
        "objective": {"wasserstein": {}, "gradient_penalty": {"every": 2}},
        "accumulate": 2,
        "data": {"source": "x", "flip": True},
    },
    "memory, spectral and batch norm": {
        "generator": _generator(spectral_norm="exact", conditioning="conditional_batch_norm", ema=0.9),
        "discriminator": _discriminator(
            network={"normalisation": "batch", "spectral_norm": "exact"}, conditioning="projection"
        ),
        "objective": {"hinge": {}, "lecam": {"weight": 0.3, "start": 2}, "sdp": {"t": 1, "k": 2}},
        "generator_batch": 12,
    },
    "second updates, other optimisers": {
        "generator": _generator(optimizer={"kind": "rmsprop", "lr": 1e-3}),
        "discriminator": _discriminator(optimizer={"kind": "sgd", "lr": 1e-2, "momentum": 0.5}, clip_weights=0.2),
        "objective": {"non_saturating": {}, "as_gan": {"eps": 0.05, "warmup": 1}},
        "step": "users_modules:own_step",
    },
}


def _recipe(variant: str, **changes):
    values = tiny_recipe(**VARIANTS[variant], **changes)
    if size := values.pop("generator_batch", None):
        values["generator"] = {**values["generator"], "batch_size": size}
    return values


@pytest.mark.parametrize("variant", VARIANTS)
def test_interrupted_and_killed_runs_end_in_the_same_bits(variant, images, tmp_path):
    recipe = _recipe(variant, steps=7, checkpoint_every=3, samples_every=2, log_every=2)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    sparring.train(recipe, out=whole, data=images)
    with pytest.raises(KeyboardInterrupt, match="interrupted at step 2; the run is saved"):
        sparring.train(recipe, out=broken, data=images, progress=Hit(2, ctrl_c))
    for step in (5, 4, 6):  # killed twice between 3 and 6, then after the checkpoint at 6
        with pytest.raises(KilledError):
            sparring.train(recipe, out=broken, data=images, resume=True, progress=Hit(step, kill))
    sparring.train(recipe, out=broken, data=images, resume=True)
    for extra in (whole, broken):  # which of the older checkpoints is kept depends on where the run was interrupted
        for old in sorted((extra / "checkpoints").glob("*.pt"))[:-1]:
            old.unlink()
    assert_same_run(whole, broken)
    state = load_checkpoint(whole / "checkpoints" / "step-000007.pt")
    assert state["updates"] == 7 * recipe.get("d_steps", 1)


def test_the_variants_do_what_they_are_here_for(images, tmp_path, monkeypatch):
    for variant, key in [("memory, spectral and batch norm", "lecam"), ("second updates, other optimisers", "as_gan")]:
        run = sparring.train(_recipe(variant, steps=4, log_every=1), out=tmp_path / key, data=images)
        assert any(key in name and value != 0 for name, value in run.log[-1].items())
    # without their seeds the draws from the global generators would show in the bits
    monkeypatch.setattr("sparring.training.state.TrainingState.seed_modules", lambda self, context: None)
    recipe = _recipe("users' modules that draw, micro-batches", steps=2)
    ends = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        run = sparring.train(recipe, out=tmp_path / f"seed{seed}", data=images)
        ends.append(load_checkpoint(run.folder / "checkpoints" / "step-000002.pt")["discriminator"])
    assert ends[0]["backbone.passes"] == 2 * 2 + 2  # per micro-batch: two updates, one penalty
    assert not torch.equal(ends[0]["backbone.look.weight"], ends[1]["backbone.look.weight"])


def test_a_run_with_memory_may_grow(images, tmp_path):
    recipe = _recipe("memory, spectral and batch norm", log_every=4)
    sparring.train(recipe | {"steps": 10}, out=tmp_path / "whole", data=images)
    sparring.train(recipe | {"steps": 5}, out=tmp_path / "grown", data=images)
    sparring.train(recipe | {"steps": 10}, out=tmp_path / "grown", data=images, resume=True)
    same_bits(*(load_checkpoint(tmp_path / name / "checkpoints" / "step-000010.pt") for name in ("whole", "grown")))


def _garments() -> PackedImages:
    from sparring.evaluation.extractors.fashion import CLASS_NAMES

    pixels = torch.randint(0, 256, (16, 1, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return PackedImages(pixels, torch.arange(16) % 3, CLASS_NAMES[:3], name="noise")


@pytest.mark.parametrize("generator", [_generator(ema=0.5), _generator(sampling_statistics="batch")])
def test_measuring_and_showing_change_nothing_and_resume_alike(generator, tmp_path):
    network = {"normalisation": "batch", "spectral_norm": "exact"}
    recipe = tiny_recipe(generator=generator, discriminator=_discriminator(network=network), steps=4, log_every=1)
    often = recipe | {"evaluation": {"every": 1, "n": 12, "batch_size": 5}, "samples_every": 1, "checkpoint_every": 1}
    data = _garments()
    sparring.train(recipe, out=tmp_path / "never", data=data)
    whole = sparring.train(often, out=tmp_path / "often", data=data)
    same_bits(*(load_checkpoint(tmp_path / name / "checkpoints" / "step-000004.pt") for name in ("never", "often")))
    assert without_times(tmp_path / "never" / "log.jsonl") == without_times(tmp_path / "often" / "log.jsonl")
    assert {row["step"] for row in whole.metrics} == {1, 2, 3, 4}

    for step in (1, 3):
        with pytest.raises(KilledError):
            progress = Hit(step, kill)
            sparring.train(often, out=tmp_path / "broken", data=data, resume=True, progress=progress)
    sparring.train(often, out=tmp_path / "broken", data=data, resume=True)
    assert_same_run(tmp_path / "often", tmp_path / "broken")


def _held_out_too(folder: Path) -> Path:
    """Garments of noise in three classes, some of them in a test split."""
    for split, count in (("train", 8), ("test", 5)):
        for i in range(3 * count):
            path = folder / split / ("bag", "coat", "dress")[i % 3] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.RandomState(i + 100 * (split == "test")).randint(0, 256, (32, 32)).astype(np.uint8)
            Image.fromarray(pixels).save(path)
    return folder


def test_measurements_and_vital_signs_of_a_resumed_run_are_those_of_one_that_never_stopped(tmp_path):
    """Killed after measurements whose checkpoint had not come yet, and right after the best one was kept."""
    recipe = tiny_recipe(
        data={"source": str(_held_out_too(tmp_path / "images")), "split": "train"},
        generator=_generator(ema=0.5),
        steps=5,
        checkpoint_every=3,
        samples_every=2,
        evaluation={"every": 2, "n": 12, "split": "test"},
    )
    whole = sparring.train(recipe, out=tmp_path / "whole")
    assert {row["step"] for row in whole.metrics} == {2, 4, 5}
    assert sum("held_out" in row for row in read_rows(whole.folder / "vitals.jsonl")) == 3
    for step in (3, 5):
        with pytest.raises(KilledError):
            sparring.train(recipe, out=tmp_path / "broken", resume=True, progress=Hit(step, kill))
    sparring.train(recipe, out=tmp_path / "broken", resume=True)
    assert_same_run(whole.folder, tmp_path / "broken")


def test_a_clock_that_goes_back_changes_no_bit_and_no_seconds_are_lost(images, tmp_path, monkeypatch):
    recipe = tiny_recipe(steps=8, log_every=1)
    sparring.train(recipe, out=tmp_path / "right", data=images)
    for name in ("time", "perf_counter", "monotonic"):
        ticks = itertools.count()
        monkeypatch.setattr(
            time, name, lambda ticks=ticks: 1e6 - 3600.0 * (next(ticks) // 9) + 0.01 * (next(ticks) % 9)
        )
    run = sparring.train(recipe, out=tmp_path / "back", data=images)
    monkeypatch.undo()
    assert_same_run(tmp_path / "right", run.folder)
    seconds = [row["seconds"] for row in run.log]
    assert seconds == sorted(seconds) and seconds[0] >= 0 and seconds[-1] < 3600
    assert all(0 <= row["steps_per_second"] < 1e6 for row in run.log)


def test_a_best_checkpoint_is_kept_beside_the_last_two(tmp_path):
    recipe = tiny_recipe(generator=_generator(), steps=5, checkpoint_every=1, evaluation={"every": 2, "n": 12})
    run = sparring.train(recipe, out=tmp_path / "run", data=_garments())
    distances = {row["step"]: row["value"] for row in run.metrics if row["metric"] == "fashion-FD"}
    best = min(distances, key=lambda step: distances[step])
    kept = {int(path.stem[5:]) for path in (run.folder / "checkpoints").glob("*.pt")}
    assert kept == {4, 5, best} and set(distances) == {2, 4, 5}


def test_another_objective_is_refused_with_the_differences(images, tmp_path):
    run = sparring.train(tiny_recipe(steps=2), out=tmp_path / "run", data=images)
    for change, listed in [
        ({"objective.hinge.weight": 2}, "objective.hinge.weight was 1.0 and is 2.0"),
        ({"objective.r1": {}}, "objective.r1.weight was None and is"),
    ]:
        with pytest.raises(SparringError, match=listed):
            sparring.train(tiny_recipe(steps=2), change, out=run.folder, data=images, resume=True)


COMMAND = """  # drawing the report takes longer than the rest of the process
from pathlib import Path
from sparring.cli import main
from sparring.report import html
html.write_report = lambda folder: Path(folder, "report.html").write_text("")
main()
"""


def test_ctrl_c_and_sigkill_on_the_real_command(recipe_file, tmp_path):
    """SIGINT exits with 130 after saving; SIGKILL at an odd moment; the end is that of an undisturbed run."""
    path = recipe_file(steps=4000, checkpoint_every=7, samples_every=2000, log_every=3)
    words = [sys.executable, "-c", COMMAND, "train", str(path), "--out", "broken", "--resume"]
    log = tmp_path / "broken" / "log.jsonl"
    for rows, number in [(3, signal.SIGKILL), (8, signal.SIGINT)]:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        while process.poll() is None and (not log.exists() or log.read_bytes().count(b"\n") < rows):
            time.sleep(0.005)
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
        if number == signal.SIGINT:
            assert process.returncode == 130, errors
            assert b"the run is saved: continue it with --resume" in errors and b"Traceback" not in errors
            assert output == b""
        else:
            assert process.returncode == -signal.SIGKILL
    reached = max(int(p.stem[5:]) for p in (tmp_path / "broken" / "checkpoints").glob("*.pt"))
    assert 24 <= reached < 4000
    # what is left of 4000 steps need not be taken: a run that was told to stop where this one did is the same
    with pytest.raises(KeyboardInterrupt):
        sparring.train(path, out=tmp_path / "whole", progress=Hit(reached, ctrl_c))
    for folder in ("whole", "broken"):
        for old in sorted((tmp_path / folder / "checkpoints").glob("*.pt"))[:-1]:
            old.unlink()
    assert_same_run(tmp_path / "whole", tmp_path / "broken")
