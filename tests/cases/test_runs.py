"""Run folders: a single writer, resuming after moves and damage, and helpful errors."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from small_runs import CLASSIFIER, files

import sparring
from sparring.classify.run import train_classifier
from sparring.data.arrays import write_npz
from sparring.errors import SparringError
from sparring.files import content_hash
from tiny import CLASSES, SIDE, tiny_images, tiny_recipe, without_times

pytestmark = pytest.mark.usefixtures("without_reports")


class _WhileRead(torch.utils.data.Dataset):
    """Images that call a function when they are first read, after a run has checked its folder and before it starts."""

    def __init__(self, what):
        self.what, self.packed = what, tiny_images()

    def __len__(self):
        return len(self.packed)

    def __getitem__(self, i):
        what, self.what = self.what, lambda: None
        what()
        return self.packed.images[i, 0].numpy(), int(self.packed.labels[i])


class _AtStep:
    """A progress display that calls a function after a step."""

    def __init__(self, at, what):
        self.at, self.what = at, what

    def __call__(self, start, total):
        return self

    __enter__ = lambda self: self  # noqa: E731
    __exit__ = lambda self, *_: None  # noqa: E731
    values = lambda self, values: None  # noqa: E731
    measuring = lambda self, done, total: None  # noqa: E731

    def step(self, step):
        if step == self.at:
            self.what()


def _others(work):
    """The exception that `work` raises in another thread, or None."""
    raised = []

    def run():
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    return raised[0] if raised else None


def _assert_same(a: Path, b: Path) -> None:
    """Check that both folders have the same files and contents, apart from times."""
    assert files(a).keys() == files(b).keys()
    assert without_times(a / "log.jsonl") == without_times(b / "log.jsonl")
    for name, content in files(a).items():
        if name.endswith(".pt"):
            states = [torch.load(folder / name, weights_only=True)["state"] for folder in (a, b)]
            assert content_hash(states[0]) == content_hash(states[1]), name
        elif name == "status.json":
            assert [json.loads((each / name).read_text())["state"] for each in (a, b)] == ["finished"] * 2
        elif name not in ("log.jsonl", "recipe.json", "report.html"):
            assert content == (b / name).read_bytes(), name


# --- 1: one writer ---
def test_case_01_a_second_start_in_a_folder_is_refused(tmp_path):
    found, folder = [], tmp_path / "runs" / "two"

    def second():
        found.append(
            _others(lambda: sparring.train(tiny_recipe(seed=2, steps=2), out=folder, data=tiny_images(seed=2)))
        )

    run = sparring.train(tiny_recipe(seed=1, steps=2), out=folder, data=_WhileRead(second))
    assert isinstance(found[0], SparringError), found
    assert f"another process is writing to {folder}: wait until" in str(found[0]) and "--out" in str(found[0])
    alone = sparring.train(tiny_recipe(seed=1, steps=2), out=tmp_path / "one", data=_WhileRead(lambda: None))
    assert run.recipe.seed == 1 and [row["step"] for row in run.log] == [2]
    _assert_same(run.folder, alone.folder)


def test_case_01_a_second_resume_is_refused_and_reading_is_not(tmp_path):
    folder, found, recipe = tmp_path / "run", [], tiny_recipe(steps=4, checkpoint_every=1)
    sparring.train(recipe, {"steps": 2}, out=folder, data=tiny_images())

    def meanwhile():
        found.append(_others(lambda: sparring.train(recipe, out=folder, data=tiny_images(), resume=True)))
        found.append(_others(lambda: sparring.train(recipe, out=folder, data=tiny_images())))
        assert sparring.load(folder).sample(2).shape == (2, 1, SIDE, SIDE)

    sparring.train(recipe, out=folder, data=tiny_images(), resume=True, progress=_AtStep(3, meanwhile))
    assert all("another process is writing" in str(error) for error in found), found
    sparring.train(recipe, {"steps": 5}, out=folder, data=tiny_images(), resume=True)  # the lock ended with the run


def test_case_01_classifiers_have_the_same_lock(tmp_path):
    found, folder = [], tmp_path / "run"

    def second():
        found.append(_others(lambda: train_classifier(CLASSIFIER, {"seed": 2}, out=folder, data=tiny_images(seed=2))))

    made = train_classifier(CLASSIFIER, out=folder, data=_WhileRead(second))
    assert "another process is writing" in str(found[0]), found
    assert made.recipe.seed == 0


def test_case_01_one_of_two_processes_is_refused_with_exit_code_2(recipe_file, tmp_path):
    path = recipe_file(steps=60)
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "sparring", "train", str(path), f"seed={seed}", "--out", "r/two"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in (1, 2)
    ]
    ended = [(*process.communicate(timeout=120), process.returncode) for process in started]
    assert sorted(code for *_, code in ended) == [0, 2], ended
    (refused,) = (errors for _, errors, code in ended if code == 2)
    assert refused.count("\n") == 1 and ("is writing to r/two" in refused or "r/two holds a run" in refused)
    winner = 1 + [code for *_, code in ended].index(0)
    assert json.loads((tmp_path / "r/two/recipe.json").read_text())["recipe"]["seed"] == winner


def test_case_01_a_folder_that_another_run_took_over_is_not_written_to(tmp_path):
    folder, recipe = tmp_path / "run", tiny_recipe(steps=4, checkpoint_every=1)

    def swap():
        folder.rename(tmp_path / "moved")
        shutil.copytree(tmp_path / "moved", folder)

    with pytest.raises(SparringError, match="moved or removed while this run was writing"):
        sparring.train(recipe, out=folder, data=tiny_images(), progress=_AtStep(2, swap))
    assert files(folder).keys() == files(tmp_path / "moved").keys()
    assert not (folder / "checkpoints" / "step-000002.pt").exists()
    assert sparring.train(recipe, out=tmp_path / "moved", data=tiny_images(), resume=True).log[-1]["step"] == 4


# --- 4: the number of processes ---
def _started_on(processes: int, folder: Path, **changes):
    run = sparring.train(tiny_recipe(steps=2, **changes), out=folder, data=tiny_images())
    facts = json.loads((folder / "recipe.json").read_text())
    assert "world" not in facts or facts["world"] == [{"from_step": 0, "processes": 1}]
    facts["world"] = [{"from_step": 0, "processes": processes}]
    (folder / "recipe.json").write_text(json.dumps(facts))
    return run


def test_case_04_another_number_of_processes_is_refused_if_samples_are_coupled(tmp_path):
    folder = tmp_path / "run"
    recipe = _started_on(2, folder, objective={"hinge": {}, "sdp": {"t": 1, "k": 2}}).recipe
    before = files(folder)
    with pytest.raises(SparringError, match=r"on 2 processes and would go on with 1.*objective\.sdp.*batch norm"):
        sparring.train(recipe, {"steps": 3}, out=folder, data=tiny_images(), resume=True)
    assert files(folder) == before


# --- 5: images that moved ---
def _moved(tmp_path, **changes):
    write_npz(tmp_path / "old.npz", tiny_images())
    recipe = tiny_recipe(data={"source": str(tmp_path / "old.npz"), "size": SIDE, "flip": True}, **changes)
    run = sparring.train(recipe, out=tmp_path / "run")
    (tmp_path / "old.npz").rename(tmp_path / "new.npz")
    return run, {"steps": 4}


@pytest.mark.parametrize("key", ["data.source", "data"])
def test_case_05_a_run_whose_images_moved_can_resume(key, tmp_path):
    run, more = _moved(tmp_path, steps=2)
    notes: list[str] = []
    sparring.train(run.folder, {**more, key: str(tmp_path / "new.npz")}, resume=True, note=notes.append)
    assert any("data.source" in note and "new.npz" in note for note in notes)
    assert run.recipe.data.source == str(tmp_path / "new.npz") and run.recipe.data.flip
    (tmp_path / "new.npz").rename(tmp_path / "old.npz")
    whole = sparring.train(
        tiny_recipe(data={"source": str(tmp_path / "old.npz"), "size": SIDE, "flip": True}, steps=4),
        out=tmp_path / "whole",
    )
    name = "generator.safetensors"
    assert (run.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    (tmp_path / "old.npz").rename(tmp_path / "new.npz")
    sparring.train(run.folder, resume=True)  # knows the new place


def test_case_05_negatives_may_move_but_must_be_the_same_images(tmp_path):
    for name in ("negatives", "elsewhere"):
        write_npz(tmp_path / f"{name}.npz", tiny_images(seed=5))
    write_npz(tmp_path / "others.npz", tiny_images(seed=6))
    recipe = tiny_recipe(
        steps=2, negatives=str(tmp_path / "negatives.npz"), objective={"hinge": {}, "negatives": {"per_batch": 3}}
    )
    run = sparring.train(recipe, out=tmp_path / "run", data=tiny_images())
    (tmp_path / "negatives.npz").unlink()
    with pytest.raises(SparringError, match="other images: those of 'negatives' have changed"):
        sparring.train(
            recipe, {"negatives": str(tmp_path / "others.npz")}, out=run.folder, data=tiny_images(), resume=True
        )
    sparring.train(
        recipe,
        {"steps": 3, "negatives": str(tmp_path / "elsewhere.npz")},
        out=run.folder,
        data=tiny_images(),
        resume=True,
    )
    with pytest.raises(SparringError, match=r"data\.flip was False and is True"):
        sparring.train(run.folder, {"data.flip": True}, data=tiny_images(), resume=True)


def test_case_05_a_classifiers_images_may_move(tmp_path):
    for name in ("data", "probe"):
        write_npz(tmp_path / f"{name}.npz", tiny_images(seed=len(name)))
    recipe = {**CLASSIFIER, "data": str(tmp_path / "data.npz"), "probes": {"p q": str(tmp_path / "probe.npz")}}
    made = train_classifier(recipe, out=tmp_path / "run")
    before = [made.results["baseline"]["accuracy"], (made.folder / "classifier.safetensors").read_bytes()]
    (tmp_path / "data.npz").rename(tmp_path / "data2.npz")
    (tmp_path / "probe.npz").rename(tmp_path / "probe2.npz")
    changes = {"data.source": str(tmp_path / "data2.npz"), "probes.p q.source": str(tmp_path / "probe2.npz")}
    made = train_classifier(made.folder, changes, resume=True)
    assert before == [made.results["baseline"]["accuracy"], (made.folder / "classifier.safetensors").read_bytes()]
    assert made.recipe.data.source == str(tmp_path / "data2.npz")
    write_npz(tmp_path / "probe3.npz", tiny_images(seed=9))
    with pytest.raises(SparringError, match="other images: those of 'probe p q' have changed"):
        train_classifier(made.folder, {"probes.p q": str(tmp_path / "probe3.npz")}, resume=True)


def test_case_05_the_error_for_missing_images_says_how_to_give_their_new_path(tmp_path):
    run, _ = _moved(tmp_path, steps=2)
    command = rf"`sparring train {run.folder} --resume data\.source=NEW` records their new place"
    for work in (
        lambda: sparring.train(run.folder, resume=True),
        lambda: sparring.evaluate(run.folder, n=10),
        lambda: sparring.diagnose(run.folder),
        lambda: sparring.show(run.folder),
    ):
        with pytest.raises(SparringError, match=command):
            work()


# --- damaged checkpoints ---
def _damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content[:-3])


def test_case_d_a_damaged_newest_checkpoint_costs_only_some_steps(tmp_path):
    recipe = tiny_recipe(steps=7, checkpoint_every=3, samples_every=2)
    whole = sparring.train(recipe, out=tmp_path / "whole", data=tiny_images())
    broken = sparring.train(recipe, out=tmp_path / "broken", data=tiny_images())
    _damage(broken.folder / "checkpoints" / "step-000007.pt")
    notes: list[str] = []
    sparring.train(broken.folder, data=tiny_images(), resume=True, note=notes.append)
    assert "step-000007.pt is damaged" in notes[0] and "going on from step-000006.pt" in notes[0]
    assert without_times(whole.folder / "log.jsonl") == without_times(broken.folder / "log.jsonl")
    _assert_same(whole.folder, broken.folder)
    for step in (6, 7):
        _damage(broken.folder / "checkpoints" / f"step-00000{step}.pt")
    before = files(broken.folder)
    with pytest.raises(SparringError, match=r"step-000007\.pt is damaged.*no other one is good"):
        sparring.train(broken.folder, data=tiny_images(), resume=True)
    assert files(broken.folder) == before


BAD_BEST = ["[]", "", "null", '{"step": "x"}', '{"step": 1, "metric": [], "value": 0}', "[" * 9999, "\udcff"]
BAD_BEST += [
    '{"step": true, "metric": "fashion-FD", "value": 1}',
    '{"step": 1, "metric": "fashion-FD", "value": -Infinity}',
]
BAD_BEST += [f'{{"step": 1{40 * "0"}, "metric": "fashion-FD", "value": -1{400 * "0"}}}']


@pytest.mark.parametrize("content", BAD_BEST, ids=range(len(BAD_BEST)))
def test_case_20_a_damaged_best_json_blocks_nothing(content, tmp_path):
    from sparring.data.packed import PackedImages

    pixels = torch.randint(0, 256, (16, 1, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    garments = sparring.load_images("fashion-mnist-10k", split="test").class_names
    data = PackedImages(pixels, torch.arange(16) % CLASSES, garments[:CLASSES], name="noise")
    recipe = tiny_recipe(steps=1, checkpoint_every=1, evaluation={"every": 1, "n": 12})
    run = sparring.train(recipe, out=tmp_path / "run", data=data)
    best = run.folder / "checkpoints" / "best.json"
    right = json.loads(best.read_text())
    best.write_bytes(content.encode("utf-8", "surrogateescape"))
    sparring.train(recipe, {"steps": 2}, out=run.folder, data=data, resume=True)
    distances = {row["step"]: row["value"] for row in run.metrics if row["metric"] == right["metric"]}
    assert json.loads(best.read_text())["step"] == min(distances, key=distances.__getitem__)


# --- 26: errors ---
def test_case_26_the_error_for_resuming_with_another_recipe_names_the_simple_solution(tmp_path):
    run = sparring.train(tiny_recipe(steps=2), {"seed": 3}, out=tmp_path / "my run", data=tiny_images())
    with pytest.raises(SparringError, match=r"seed was 3 and is 0.*`sparring train '.*my run' --resume` continues it"):
        sparring.train(tiny_recipe(steps=2), out=run.folder, data=tiny_images(), resume=True)
    assert sparring.train(run.folder, data=tiny_images(), resume=True).recipe.seed == 3
    made = train_classifier(CLASSIFIER, {"seed": 3}, out=tmp_path / "c", data=tiny_images())
    with pytest.raises(SparringError, match=r"seed was 3 and is 0.*`sparring classify .*c --resume` continues it"):
        train_classifier(CLASSIFIER, out=made.folder, data=tiny_images(), resume=True)
    assert train_classifier(made.folder, data=tiny_images(), resume=True).recipe.seed == 3
