"""Trackers hold the numbers of log.jsonl, also after a run was stopped, killed and resumed, and never stop a run."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest

import sparring
from sparring.errors import SparringError
from sparring.run.trackers import Trackers, find_trackers
from tiny import tiny_recipe

pytestmark = pytest.mark.usefixtures("without_reports")
RECIPE = tiny_recipe(steps=8, checkpoint_every=4, samples_every=4)


class Stops:
    """Interrupts the run when step 6 is logged, two steps after its checkpoint."""

    def config(self, recipe): ...

    def images(self, name, images, step): ...

    def close(self): ...

    def scalars(self, values, step):
        if step == 6:
            raise KeyboardInterrupt


def stopped_and_resumed(tracker, folder, images):
    with pytest.raises(KeyboardInterrupt):
        sparring.train(RECIPE, out=folder, data=images, trackers=[tracker, Stops()])
    return sparring.train(folder, resume=True, data=images, trackers=tracker)


def logged(run):
    """By name: the steps and values of log.jsonl."""
    values = defaultdict(list)
    for row in run.log:
        for key in row.keys() - {"step"}:
            values[key].append((row["step"], row[key]))
    assert len(values["discriminator/hinge"]) == 4 and "seconds" in values
    return dict(values)


# --- TensorBoard ---
def events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    scalars = {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}
    return scalars, [e.step for e in found.Images("samples")] if "samples" in found.Tags()["images"] else []


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for key, values in wanted.items():
        assert [step for step, _ in found[key]] == [step for step, _ in values], key
        np.testing.assert_allclose([v for _, v in found[key]], [v for _, v in values], rtol=1e-6)  # float32 there


@pytest.mark.filterwarnings("ignore")
def test_tensorboard_holds_the_log_of_a_run_that_was_stopped_and_resumed(images, tmp_path):
    pytest.importorskip("tensorboard")
    run = stopped_and_resumed("tensorboard", tmp_path / "run", images)
    scalars, pictures = events(run.folder)
    assert_same(scalars, logged(run))
    assert pictures == [0, 4, 8]


@pytest.mark.filterwarnings("ignore")
def test_tensorboard_gets_what_was_before_if_it_joins_a_run_later(images, tmp_path):
    pytest.importorskip("tensorboard")
    sparring.train({**RECIPE, "steps": 4}, out=tmp_path / "run", data=images)
    (tmp_path / "run" / "metrics.jsonl").write_text('{"step": 4, "metric": "FD", "value": 2.5}\n')
    run = sparring.train(tmp_path / "run", ["steps=8"], resume=True, data=images, trackers=["tensorboard"])
    scalars, pictures = events(run.folder)
    assert scalars.pop("FD") == [(4, 2.5)]
    assert_same(scalars, logged(run))
    assert pictures == [0, 4, 8]


# --- Weights & Biases ---
def offline_history(folder):
    """The rows that an offline run holds. The file has a header of 7 bytes and LevelDB's log format: blocks of 32 KiB."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    content, at, parts, rows = path.read_bytes(), 7, b"", []
    while at < len(content):
        if 2**15 - at % 2**15 < 7:
            at += 2**15 - at % 2**15
            continue
        size, kind = struct.unpack("<HB", content[at + 4 : at + 7])
        parts += content[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last part
            record = Record.FromString(parts)
            parts = b""
            if record.WhichOneof("record_type") == "history":
                items = record.history.item
                rows.append({"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items})
    return rows


def test_wandb_offline_holds_the_log_of_a_run_that_was_stopped_and_resumed(images, tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    for key, value in {"MODE": "offline", "SILENT": "true", "DIR": str(tmp_path), "CONFIG_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(f"WANDB_{key}", value)
    run = stopped_and_resumed("wandb", tmp_path / "run", images)
    found, pictures = defaultdict(list), []
    for row in offline_history(run.folder):
        for key, value in row.items():
            if not key.startswith(("_", "samples")):
                found[key].append((row["_step"], value))
        if any(key.startswith("samples") for key in row):
            pictures.append(row["_step"])
    assert dict(found) == logged(run)
    assert pictures == [0, 4, 8]
    assert (run.folder / "wandb" / "id").read_text() in next(run.folder.glob("wandb/offline-run-*")).name


class WandBStub(SimpleNamespace):
    """A server that holds rows up to a step."""

    def __init__(self, holds):
        super().__init__(started=[], rows=[], Settings=dict, Image=lambda picture: picture.size)
        self.run = SimpleNamespace(
            starting_step=holds + 1 if holds else 0,
            offline=False,
            config=SimpleNamespace(update=lambda values, allow_val_change: None),
            log=lambda values, step: self.rows.append((step, sorted(values))),
            finish=lambda: None,
        )
        self.init = lambda **words: self.started.append(words) or self.run


@pytest.fixture
def without_wandb(monkeypatch):
    """Forget the module that imports wandb, now and afterwards."""
    monkeypatch.delitem(sys.modules, "sparring.run.trackers.wandb", raising=False)
    yield
    sys.modules.pop("sparring.run.trackers.wandb", None)


def test_a_wandb_server_gets_each_step_once_in_one_run(images, tmp_path, monkeypatch, without_wandb):
    first, second = WandBStub(None), WandBStub(6)  # which holds what the stopped session sent
    monkeypatch.setitem(sys.modules, "wandb", first)
    with pytest.raises(KeyboardInterrupt):
        sparring.train(RECIPE, out=tmp_path / "run", data=images, trackers=["wandb", Stops()])
    sys.modules.pop("sparring.run.trackers.wandb")
    monkeypatch.setitem(sys.modules, "wandb", second)
    sparring.train(tmp_path / "run", resume=True, data=images, trackers="wandb")
    assert [step for step, names in first.rows if "generator/hinge" in names] == [2, 4, 6]
    assert [step for step, names in second.rows if "generator/hinge" in names] == [8]
    assert first.started[0]["id"] == second.started[0]["id"] and second.started[0]["resume"] == "allow"


def test_a_tracker_that_is_not_installed_stops_the_command_before_anything_is_written(
    tmp_path, images, monkeypatch, without_wandb
):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(SparringError, match=r"pip install 'sparring\[wandb\]'$"):
        sparring.train(RECIPE, out=tmp_path / "run", data=images, trackers="wandb")
    with pytest.raises(SparringError, match="unknown tracker 'wadb': did you mean 'wandb'"):
        sparring.train(RECIPE, out=tmp_path / "run", data=images, trackers="wadb")
    assert not (tmp_path / "run").exists()


# --- any tracker ---
class Fails(Stops):
    def __init__(self, at):
        self.at, self.got = at, []

    def scalars(self, values, step):
        self.got.append(step)
        if step == self.at:
            raise OSError("no space\nleft")


def test_a_tracker_that_fails_is_left_out_and_the_run_goes_on(images, tmp_path):
    notes, fails, works = [], Fails(at=4), Fails(at=None)
    run = sparring.train(RECIPE, out=tmp_path / "run", data=images, trackers=[fails, works], note=notes.append)
    assert (fails.got, works.got, run.log[-1]["step"]) == ([2, 4], [2, 4, 6, 8], 8)
    assert [note for note in notes if "Fails" in note] == [
        "warning: the tracker Fails failed at step 4 and gets no more numbers (no space left): the run goes on, and its "
        "folder has them all"
    ]


def test_a_named_tracker_that_cannot_start_says_why(tmp_path):
    def refuses(folder, after):
        raise RuntimeError("no key")

    named = find_trackers("tensorboard", print)[0]
    trackers = Trackers([type(named)("mine", refuses)], print)
    with pytest.raises(SparringError, match=r"^tracker mine cannot start: no key$"):
        trackers.open(tmp_path, None, {})


def test_nothing_of_the_trackers_is_imported_unless_asked_for(tmp_path):
    from sparring.data.arrays import write_npz
    from tiny import tiny_images

    write_npz(tmp_path / "images.npz", tiny_images())
    recipe = {**RECIPE, "data": str(tmp_path / "images.npz"), "steps": 1}
    code = f"import sys, sparring\nsparring.train({recipe!r}, out='run', report=False)\n"
    code += "print([name for name in sys.modules if name.split('.')[0] in ('wandb', 'tensorboard')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "[]"
    assert (tmp_path / "run" / "generator.json").is_file()
