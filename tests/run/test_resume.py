"""GANs' and classifiers' runs alike: stopped anywhere, damaged, moved or made longer, they go on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import sparring
from hits import Hit, KilledError, assert_same_run, ctrl_c, kill
from sparring.errors import NonFiniteLossError, SparringError
from sparring.files import read_rows, write_json
from sparring.run.checkpoint import CheckpointFolder, load_checkpoint, save_checkpoint
from sparring.trust import CodeNotAllowedError
from tiny import same_bits, tiny_images, tiny_recipe, without_times

CLASSIFIER = {
    "name": "tiny",
    "network": {"kind": "small_cnn", "width": 4},
    "criterion": "nat",
    "data": "images.npz",
    "negatives": {"source": "noise:normal:20", "per_batch": 2},
    "optimizer": {"decay": "none"},
    "batch_size": 8,
    "validation": 0.2,
    "log_every": 2,
    "threads": 1,
}


@dataclass
class Kind:
    """A kind of run: its command, its recipe, what its checkpoints hold and what it leaves in the end."""

    verb: str
    run: Callable[..., Any]
    recipe: dict[str, Any]
    fields: tuple[str, ...]
    wrong: dict[str, Any]  # parts of a checkpoint of another type or shape
    product: str
    bad: dict[str, Any]  # a change that ends in no number

    def train(self, out: Path, changes: Any = (), *, recipe: Any = None, **more: Any) -> Any:
        return self.run(recipe or self.recipe, changes, out=out, **{"data": tiny_images(), **more})

    def cure(self, out: Path) -> str:
        return f"continue it with --resume (`sparring {self.verb} {out} --resume`)"

    def stop(self, out: Path, step: int, what: Callable[[], None], **more: Any) -> None:
        with pytest.raises((KeyboardInterrupt, KilledError)):
            self.train(out, progress=Hit(step, what), **more)


GAN_OPTIMISER = {"lr": 2e-3, "betas": [0.0, 0.9]}
KINDS = {
    "gan": Kind(
        "train",
        sparring.train,
        tiny_recipe(steps=6, checkpoint_every=2),
        ("generator", "optimizers", "ledger", "updates"),
        {
            "updates": torch.ones(2),
            "ledger": {"keys": [1], "steps": ["a"], "values": [None]},
            "optimizers": {"generator": {}, "discriminator": {"heads.score.weight": {"step": None}}},
        },
        "generator.safetensors",
        {"discriminator.optimizer": {"kind": "sgd", "lr": 1e30}},
    ),
    "classifier": Kind(
        "classify",
        sparring.train_classifier,
        {**CLASSIFIER, "steps": 6, "checkpoint_every": 2},
        ("modules", "optimizer", "sums"),
        {"sums": torch.ones(1), "optimizer": {"network.linear.weight": {"momentum_buffer": 5}}},
        "classifier.safetensors",
        {"optimizer.lr": 1e30},
    ),
}


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return KINDS[request.param]


@pytest.fixture(scope="module")
def whole(kind, tmp_path_factory):
    """A run that was never stopped."""
    with pytest.MonkeyPatch.context() as patch:
        _no_reports(patch)
        return kind.train(tmp_path_factory.mktemp("whole") / "run").folder


@pytest.fixture
def copied(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / "copied"))


def _no_reports(patch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than everything else that a tiny run does."""
    write = lambda folder, *_: Path(folder, "report.html").write_text("")  # noqa: E731
    patch.setattr("sparring.report.html.write_report", write)
    patch.setattr("sparring.classify.run.write_classifier_report", write)


@pytest.fixture
def reports() -> None:
    """For tests that read one."""


@pytest.fixture(autouse=True)
def quick(request, monkeypatch):
    if "reports" not in request.fixturenames:
        _no_reports(monkeypatch)


def _files(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _damage(folder: Path, step: int) -> Path:
    path = folder / "checkpoints" / f"step-{step:06d}.pt"
    path.write_bytes(path.read_bytes()[:-200])
    return path


@pytest.mark.parametrize("cut", [1, 2, 5])
def test_a_run_that_ctrl_c_stopped_ends_in_the_same_bits(cut, kind, whole, tmp_path):
    notes: list[str] = []
    kind.stop(tmp_path / "run", cut, ctrl_c, note=notes.append)
    assert notes[-1] == f"interrupted at step {cut}; the run is saved: {kind.cure(tmp_path / 'run')}"
    assert CheckpointFolder(tmp_path / "run" / "checkpoints").last() == cut
    kind.train(tmp_path / "run", resume=True, note=notes.append)
    assert f"resuming {tmp_path / 'run'} at step {cut} of 6" in notes
    if cut == 5:
        (tmp_path / "run" / "checkpoints" / "step-000005.pt").rename(
            tmp_path / "run" / "checkpoints" / "step-000004.pt"
        )
    assert_same_run(whole, tmp_path / "run")


def test_ctrl_c_in_the_last_step_loses_nothing(kind, whole, tmp_path):
    notes: list[str] = []
    kind.stop(tmp_path / "run", 6, ctrl_c, note=notes.append)
    complete = "interrupted at step 6, which was the last: the run is complete"  # a classifier has yet to be measured
    saved = f"interrupted at step 6; the run is saved: {kind.cure(tmp_path / 'run')}"
    assert notes[-1] == (complete if kind.verb == "train" else saved)
    kind.train(tmp_path / "run", resume=True)
    assert_same_run(whole, tmp_path / "run")


def test_a_run_that_was_killed_ends_in_the_same_bits(kind, whole, tmp_path):
    for step in (1, 3, 5, 6):
        kind.stop(tmp_path / "run", step, kill, resume=step != 1)
    kind.train(tmp_path / "run", resume=True)
    assert_same_run(whole, tmp_path / "run")


@pytest.mark.usefixtures("reports")
def test_a_run_that_was_stopped_leaves_a_report_that_says_so(kind, tmp_path):
    kind.stop(tmp_path / "run", 3, ctrl_c)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Stopped: interrupted at step 3; continue it with --resume" in page and "<svg" in page
    kind.train(tmp_path / "run", resume=True)
    assert "Stopped" not in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.usefixtures("reports")
def test_a_loss_that_is_no_number_stops_the_run_its_bar_and_its_report(kind, tmp_path):
    class Bar(Hit):
        def __exit__(self, kind_of, error, trace):
            self.stood_at = error.step

    bar = Bar(0, lambda: None)
    with pytest.raises(NonFiniteLossError) as caught:
        kind.train(tmp_path / "run", {**kind.bad, "log_every": 6, "checkpoint_every": 6}, progress=bar)
    assert bar.stood_at == caught.value.step and 0 <= bar.stood_at < 6
    assert CheckpointFolder(tmp_path / "run" / "checkpoints").last() is None
    assert "Stopped: " in (tmp_path / "run" / "report.html").read_text()


def test_a_damaged_newest_checkpoint_costs_steps_and_not_the_run(kind, whole, tmp_path):
    kind.stop(tmp_path / "run", 5, kill)
    _damage(tmp_path / "run", 4)
    notes: list[str] = []
    kind.train(tmp_path / "run", resume=True, note=notes.append)
    (said,) = (note for note in notes if "is damaged" in note)
    assert "step-000004.pt is damaged" in said and "going on from step-000002.pt, the good one before it" in said
    assert_same_run(whole, tmp_path / "run")


def test_without_a_good_checkpoint_it_stops_and_changes_nothing(kind, tmp_path):
    kind.stop(tmp_path / "run", 5, kill)
    for step in (2, 4):
        _damage(tmp_path / "run", step)
    log = (tmp_path / "run" / "log.jsonl").read_bytes()
    with pytest.raises(SparringError, match=r"step-000004\.pt is damaged.*no other one is good"):
        kind.train(tmp_path / "run", resume=True)
    assert log == (tmp_path / "run" / "log.jsonl").read_bytes()


def test_a_checkpoint_with_a_missing_field_is_passed_over(kind, tmp_path):
    kind.stop(tmp_path / "run", 5, kill)
    path = tmp_path / "run" / "checkpoints" / "step-000004.pt"
    good = load_checkpoint(path)
    wrong = [{key: value for key, value in good.items() if key != missing} for missing in kind.fields]
    wrong += [{**good, key: value} for key, value in kind.wrong.items()]
    for state in wrong:
        save_checkpoint(path, state)
        with pytest.raises(SparringError, match=r"step-000004.pt (does not fit this run.*--resume-from 2|is damaged)"):
            kind.train(tmp_path / "run", resume_from=4, progress=Hit(5, kill))
    notes: list[str] = []
    kind.train(tmp_path / "run", resume=True, note=notes.append)
    assert any("does not fit this run" in note and "going on from step-000002.pt" in note for note in notes)


def test_a_complete_run_goes_on_from_the_checkpoint_that_is_asked_for(kind, whole, copied):
    notes: list[str] = []
    (copied / kind.product).unlink()
    kind.train(copied, resume_from=4, note=notes.append)
    assert f"resuming {copied} at step 4 of 6" in notes
    assert_same_run(whole, copied)
    before = _files(copied)
    with pytest.raises(SparringError, match=r"there is no checkpoint .*step-000003.pt"):
        kind.train(copied, resume_from=3)
    assert before == _files(copied)


def test_an_asked_for_checkpoint_that_is_damaged_is_named_with_a_good_one(kind, copied):
    _damage(copied, 6)
    before = _files(copied)
    with pytest.raises(SparringError, match=r"step-000006.pt is damaged.*previous good one.*--resume-from 4"):
        kind.train(copied, resume_from=6)
    assert before == _files(copied)


def test_a_run_may_grow(kind, tmp_path):
    changes = {"log_every": 4, "checkpoint_every": 100}
    kind.train(tmp_path / "whole", {**changes, "steps": 10})
    kind.train(tmp_path / "grown", {**changes, "steps": 5})
    rows = read_rows(tmp_path / "grown" / "log.jsonl")
    assert [row["step"] for row in rows] == [4, 5]  # the end is logged, too
    run = kind.train(tmp_path / "grown", {**changes, "steps": 10}, resume=True)
    assert [row["step"] for row in run.log] == [4, 8, 10] and run.recipe.steps == 10
    same_bits(*(load_checkpoint(tmp_path / name / "checkpoints" / "step-000010.pt") for name in ("whole", "grown")))
    assert without_times(tmp_path / "whole" / "log.jsonl") == without_times(tmp_path / "grown" / "log.jsonl")
    assert (tmp_path / "whole" / kind.product).read_bytes() == (run.folder / kind.product).read_bytes()


def test_another_recipe_or_other_images_are_refused(kind, whole):
    before = _files(whole)
    for changes, listed in [
        ({"batch_size": 4}, "batch_size was 8 and is 4"),
        ({"steps": 5}, "steps was 6 and is 5"),
        ({"threads": 2}, "threads was 1 and is 2"),
        ({"log_every": 3, "steps": 9}, "log_every was 2 and is 3. On resume only `steps` may grow"),
    ]:
        with pytest.raises(SparringError, match=listed):
            kind.train(whole, changes, resume=True)
    with pytest.raises(SparringError, match=r"was started on other images: those of '(data|train)' have changed"):
        kind.train(whole, data=tiny_images(seed=1), resume=True)
    with pytest.raises(SparringError, match=rf"holds a run: continue it with --resume \(`sparring {kind.verb} "):
        kind.train(whole)
    assert before == _files(whole)


def test_a_recipe_that_leaves_threads_open_resumes_with_those_it_began_with(kind, tmp_path):
    recipe = {key: value for key, value in kind.recipe.items() if key != "threads"}
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        kind.train(tmp_path / "run", {"steps": 2}, recipe=recipe)
        torch.set_num_threads(2)
        run = kind.train(tmp_path / "run", {"steps": 3}, recipe=recipe, resume=True)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert run.recipe.threads == 1


def test_a_run_keeps_its_name_and_what_is_not_said_again(kind, copied):
    recipe = {**kind.recipe, "name": "another", "about": "said later"}
    run = kind.train(copied, {"steps": 8}, recipe=recipe, resume=True)
    assert (run.recipe.name, run.recipe.about, run.recipe.steps) == ("tiny", "said later", 8)


def test_images_given_in_python_are_read_as_the_run_began(kind, tmp_path):
    """A recipe's name says nothing of how they were read; the run does."""
    recipe = {**kind.recipe, "data": {"source": "images.npz", "classes": [2, 0]}, "steps": 2}
    first = kind.train(tmp_path / "run", recipe=recipe)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({**kind.recipe, "name": "tiny", "steps": 3}))
    run = kind.train(tmp_path / "run", recipe=tmp_path / "mine.yaml", resume=True)
    assert first.recipe.data.classes == run.recipe.data.classes == [2, 0] and run.recipe.steps == 3


def test_a_run_that_names_code_can_be_continued_by_its_own_recipe(kind, copied):
    values = json.loads((copied / "recipe.json").read_text())
    values["recipe"] |= {"network": {"kind": "mine:Net"}} if kind.verb == "classify" else {"step": "mine:step"}
    write_json(copied / "recipe.json", values)
    with pytest.raises(CodeNotAllowedError) as caught:
        kind.run(copied, out=copied)
    assert "with your own recipe" not in str(caught.value)
    with pytest.raises(SparringError, match=rf"sparring {kind.verb} RECIPE --resume --out {copied}"):
        kind.run(copied, resume=True)


def test_a_folder_that_was_moved_goes_on_where_it_is(kind, whole, tmp_path):
    kind.stop(tmp_path / "run", 3, ctrl_c)
    moved = (tmp_path / "run").rename(tmp_path / "elsewhere")
    run = kind.run(moved, resume=True, data=tiny_images())
    assert run.folder == moved and not (tmp_path / "run").exists()
    assert_same_run(whole, moved)


def test_a_recipe_may_keep_more_checkpoints(kind, tmp_path):
    run = kind.train(tmp_path / "run", {"keep_checkpoints": 3, "steps": 8})
    assert CheckpointFolder(run.folder / "checkpoints").steps() == [4, 6, 8]
    kind.train(run.folder, {"keep_checkpoints": 1, "steps": 8}, resume_from=8)  # which changes no number
    assert CheckpointFolder(run.folder / "checkpoints").steps() == [8]


class Recorded:
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def config(self, recipe):
        self.seen.append(("recipe", recipe["steps"]))

    def scalars(self, values, step):
        assert len(values) > 1 and values["steps_per_second"] >= 0
        self.seen.append(step)

    def images(self, name, images, step):
        assert name == "samples"

    def close(self):
        self.seen.append("closed")


def test_trackers_get_each_session_and_no_step_twice(kind, tmp_path):
    first, second = Recorded(), Recorded()
    kind.stop(tmp_path / "run", 3, ctrl_c, trackers=[first])
    kind.train(tmp_path / "run", resume=True, trackers=[second])
    assert first.seen == [("recipe", 6), 2, "closed"] and second.seen == [("recipe", 6), 4, 6, "closed"]


@pytest.mark.filterwarnings("ignore")
def test_the_command_line_resumes_from_a_step_and_writes_for_tensorboard(kind, recipe_file, monkeypatch, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from sparring.cli import main

    path = recipe_file(values={key: value for key, value in kind.recipe.items() if key != "data"})
    words = ["sparring", kind.verb, str(path), "--out", str(tmp_path / "run"), "--tensorboard"]
    for more in ([], ["--resume-from", "4"]):
        monkeypatch.setattr("sys.argv", [*words, *more])
        try:
            main()
        except SystemExit as left:
            assert not left.code
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("steps_per_second")] == [2, 4, 6]
