"""Two processes make the updates of one, and one of them writes. So do micro-batches."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from ranks_worker import NO_NORM, SCENARIOS, Counting, outcome, run

import sparring
from sparring.errors import SparringError
from sparring.evaluation.evaluate import evaluate_run
from sparring.run.runtime import Runtime
from tiny import same_bits, tiny_images, tiny_recipe, without_times

pytestmark = pytest.mark.usefixtures("without_reports")


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory) -> Path:
    """What two processes under torchrun left."""
    folder = tmp_path_factory.mktemp("ranks")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "SPARRING_CACHE": str(folder / "cache")}
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    worker = Path(__file__).with_name("ranks_worker.py")
    done = subprocess.run(
        [sys.executable, *words, str(worker), str(folder)], env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def _close(a: Any, b: Any, where: str = "") -> float:
    """Assert that all numbers agree to 1e-6 of their size, and give the largest absolute value among them."""
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        return max([_close(a[key], b[key], f"{where}/{key}") for key in a], default=0.0)
    if isinstance(a, torch.Tensor):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9, msg=lambda m: f"{where}: {m}")
        return a.abs().max().item()
    if isinstance(a, list):
        assert len(a) == len(b), where
        return max([_close(x, y, where) for x, y in zip(a, b, strict=True)], default=0.0)
    if isinstance(a, float):
        assert a == pytest.approx(b, rel=1e-5, abs=1e-6), where
        return abs(a)
    assert a == b, where
    return 0.0


@pytest.mark.parametrize(("number", "name"), list(enumerate(SCENARIOS)))
def test_two_processes_make_the_updates_of_one(number, name, two_ranks):
    alone = run(name, Runtime())
    start = run(name, Runtime(), steps_taken=0)
    first, second = (torch.load(two_ranks / f"{number}-{rank}.pt") for rank in (0, 1))
    _close(first, outcome(alone))
    for player in ("generator", "discriminator", "average"):  # both ranks have the same bits
        assert all(torch.equal(a, b) for a, b in zip(first[player].values(), second[player].values(), strict=True))
    moved = [
        (a - b).abs().max()
        for a, b in zip(alone.discriminator.parameters(), start.discriminator.parameters(), strict=True)
    ]
    assert max(moved) > 1e-4


def test_micro_batches_make_the_updates_of_a_whole_batch(two_ranks):
    whole = outcome(run("hinge", Runtime()))
    _close(torch.load(two_ranks / "accumulated-0.pt"), whole)  # two ranks with two micro-batches each
    for number, name in enumerate(SCENARIOS):
        _close(outcome(run(name, Runtime(), accumulate=4)), torch.load(two_ranks / f"{number}-0.pt"))


def test_only_the_first_rank_writes_and_the_run_is_that_of_one_process(two_ranks, tmp_path):
    alone = sparring.train(
        tiny_recipe(steps=6, checkpoint_every=2, samples_every=2), out=tmp_path / "run", data=tiny_images()
    )
    ours, theirs = without_times(alone.folder / "log.jsonl"), without_times(two_ranks / "run" / "log.jsonl")
    assert [list(row) for row in ours] == [list(row) for row in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        assert mine == pytest.approx(other, rel=2e-2, abs=2e-2)  # batch norm's statistics are each rank's
    names = [{p.relative_to(f).as_posix() for p in f.rglob("*.p*")} for f in (alone.folder, two_ranks / "run")]
    assert names[0] == names[1]
    assert (two_ranks / "tracked-0").read_text() == "2 4 6 " and not (two_ranks / "tracked-1").exists()
    assert sparring.status(two_ranks / "run").state == "finished"


def test_a_run_knows_how_many_processes_it_was_on(two_ranks, tmp_path):
    folder = Path(shutil.copytree(two_ranks / "run", tmp_path / "run"))

    def worlds():
        return json.loads((folder / "recipe.json").read_text())["world"]

    assert worlds() == [{"from_step": 0, "processes": 2}]
    recipe = sparring.Run(folder).recipe
    with pytest.raises(SparringError, match=r"on 2 processes and would go on with 1.*batch norm.*--change-world-size"):
        sparring.train(recipe, {"steps": 7}, out=folder, data=tiny_images(), resume=True)
    notes: list[str] = []
    sparring.train(
        recipe, {"steps": 7}, out=folder, data=tiny_images(), resume=True, change_world_size=True, note=notes.append
    )
    assert "goes on with 1: training changes from here on" in "".join(notes)
    assert worlds() == [{"from_step": 0, "processes": 2}, {"from_step": 6, "processes": 1}]
    sparring.train(recipe, {"steps": 8}, out=folder, data=tiny_images(), resume=True)  # asked once


def test_another_number_of_processes_is_a_note_where_nothing_couples_samples(images, tmp_path):
    network = {"network": NO_NORM, "optimizer": {"lr": 1e-3}}
    recipe = tiny_recipe(steps=2, generator={**network, "latent_size": 6}, discriminator=network)
    run = sparring.train(recipe, out=tmp_path / "run", data=images)
    path = run.folder / "recipe.json"
    facts = json.loads(path.read_text())
    notes: list[str] = []
    for world, said in [([{"from_step": 0, "processes": 4}], "the same training, up to rounding"), (None, "")]:
        path.write_text(json.dumps({**facts, "world": world}))
        sparring.train(recipe, {"steps": 2}, out=run.folder, data=images, resume=True, note=notes.append)
        assert ("goes on with 1" in notes[-1]) == bool(said) and said in notes[-1]
        assert json.loads(path.read_text())["world"] == [*(world or []), {"from_step": 2, "processes": 1}]


def test_ranks_are_one_writer_and_stop_together(two_ranks):
    assert "another process is writing to" in (two_ranks / "locked-0").read_text()
    assert "another rank of this run failed" in (two_ranks / "locked-1").read_text()
    assert not (two_ranks / "locked").exists()
    assert (two_ranks / "stopped-0").read_text() == "the disk is full"
    assert "rank 1 stops because another rank" in (two_ranks / "stopped-1").read_text()


def test_ranks_vote_only_where_something_new_happens(two_ranks):
    """Which gradients exist is agreed once for each set of terms; the updates are those of one process."""
    votes = [torch.load(two_ranks / f"votes-{rank}.pt") for rank in (0, 1)]
    assert votes[0]["first"]["votes"] == votes[1]["first"]["votes"] <= 12
    for each in votes:
        assert each["later"] == {
            "all-reduces": 24 * (2 * 2 + 1),
            "votes": 0,
        }  # d_steps=2, each with AS-GAN's second update
    _close(votes[0]["state"], outcome(run("terms that come and go", Runtime(), steps_taken=32)))
    assert all(
        torch.equal(a, b) for a, b in zip(*(each["state"]["discriminator"].values() for each in votes), strict=True)
    )


def test_a_gradient_that_appears_or_vanishes_is_voted_on(two_ranks):
    for rank in (0, 1):
        both, without, odd, nan = torch.load(two_ranks / f"changed-{rank}.pt")
        assert [p.tolist() for p in both] == [[1.5] * 3, [5.0] * 2]
        assert without[0].tolist() == [1.5] * 3 and without[1] is None
        assert "gradient on some ranks only" in odd
        assert nan.isnan().tolist() == [True, False, False] and nan[1:].tolist() == [1, 2]


def test_an_interrupt_of_one_rank_stops_all_after_the_same_step(two_ranks):
    """The interrupted rank asks for a vote in its next update, so that nobody waits for the regular vote after ten steps."""
    for rank in (0, 1):
        votes, said = (two_ranks / f"interrupted-{rank}").read_text().split(" votes: ")
        assert said.startswith("interrupted at step 14; the run is saved")
        assert int(votes) == 4  # one for each network's gradients, one after ten steps, one for the interrupt
    assert [p.name for p in (two_ranks / "interrupted" / "checkpoints").glob("*.pt")] == ["step-000014.pt"]


def test_measurements_are_shared_and_are_those_of_one_process(two_ranks, monkeypatch):
    """All five batches of 50 are made by one of two ranks, with the first rank's statistics of batch norm."""
    found = [torch.load(two_ranks / f"measured-{rank}.pt") for rank in (0, 1)]
    assert [each["within"] for each in found] == [[1.0, 1.0]] * 2 and [each["after"][0] for each in found] == [1.0, 2.0]
    reals, tried = len(tiny_images()), 2  # the real images are one batch; two are tried before training
    assert [each["seen"] for each in found] == [2 * (150 + reals) + tried, 2 * 80 + tried]
    rows = [json.loads(line) for line in (two_ranks / "measured" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2] * 3 + [4] * 3
    monkeypatch.setattr("sparring.evaluation.protocol.extractor_for", lambda *arguments, **options: Counting())
    alone = evaluate_run(two_ranks / "measured", [], {}, device="cpu")
    for ours, theirs in zip(rows[3:], alone, strict=True):
        assert ours["value"] == pytest.approx(theirs["value"], rel=1e-9), ours["metric"]
        assert {**ours, "value": 0} == {**theirs, "value": 0}
    checkpoints = [two_ranks / name / "checkpoints" / "step-000004.pt" for name in ("measured", "unmeasured")]
    same_bits(*(torch.load(path)["state"]["generator"] for path in checkpoints))


def test_what_cannot_be_shared_is_refused_on_every_rank(two_ranks):
    for rank in (0, 1):
        batch, micro = torch.load(two_ranks / f"refused-{rank}.pt")
        assert batch == "batch_size 7 does not split evenly over 2 processes x 1 micro-batch"
        assert micro == "batch_size 8 does not split evenly over 2 processes x 3 micro-batches"
        assert "gradient on some ranks only" in (two_ranks / f"lonely-{rank}").read_text()


def test_a_batch_that_micro_batches_do_not_divide_is_refused():
    with pytest.raises(SparringError, match="batch_size 8 does not split evenly"):
        run("hinge", Runtime(), accumulate=3)
    generator = {"network": "dcgan", "batch_size": 6}
    with pytest.raises(SparringError, match=r"generator.batch_size 6 does not split evenly"):
        run("hinge", Runtime(), accumulate=4, generator=generator)
