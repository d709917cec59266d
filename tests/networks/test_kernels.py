"""The table of kernels: which row is in use, and that a run keeps its own."""

from __future__ import annotations

import json

import pytest
import torch

import sparring
from sparring.bench import kernels as bench
from sparring.bench.pairs import Paired
from sparring.errors import SparringError
from sparring.networks import kernels
from sparring.networks.kernels import OTHER, PLAIN, TABLE, Kernels, current, recorded, using
from sparring.run.loop import Loop
from tiny import tiny_images, tiny_recipe


def test_the_row_is_that_of_the_instruction_set_unless_one_is_chosen(monkeypatch):
    monkeypatch.setitem(kernels.TABLE, "AVX2", PLAIN)
    for name, row in {"AVX2": PLAIN, "AVX512": TABLE["AVX512"], "DEFAULT": OTHER}.items():
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda name=name: name)
        assert current() is row
    chosen = Kernels(winograd=(16, 64))
    with using(chosen):
        with using(PLAIN):
            assert current() is PLAIN
        assert current() is chosen
    assert current() is OTHER


def test_a_run_keeps_the_row_that_it_was_started_with(tmp_path, monkeypatch):
    recipe, seen = tiny_recipe(steps=2, checkpoint_every=2), []
    plain = Loop.go
    monkeypatch.setattr(Loop, "go", lambda loop, *given: seen.append(current()) or plain(loop, *given))
    run = sparring.train(recipe, out=tmp_path / "run", data=tiny_images(), report=False)
    path = run.folder / "recipe.json"
    facts = json.loads(path.read_text())
    assert recorded(facts) == current() == seen[0]
    for kept, row in ((PLAIN.model_dump(mode="json"), PLAIN), (None, Kernels())):  # None: of an earlier version
        path.write_text(json.dumps({**facts, "kernels": kept}))
        sparring.train(recipe, {"steps": 2}, out=run.folder, data=tiny_images(), resume=True, report=False)
        assert seen[-1] == row == recorded(json.loads(path.read_text()))
    path.write_text(json.dumps({**facts, "kernels": {"winograd": "often"}}))
    with pytest.raises(SparringError, match=r"recipe.json is damaged: its kernels are not a row"):
        sparring.train(recipe, {"steps": 2}, out=run.folder, data=tiny_images(), resume=True, report=False)


def test_every_kernel_is_timed_against_its_plain_form(monkeypatch):
    monkeypatch.setattr(bench, "SHAPES", ((4, 2),))
    monkeypatch.setattr(bench, "alternate", lambda ours, other, **_: [ours(), other()] and Paired(1, 2, 2, 2, 2, 1))
    rows = list(bench.bench_kernels(batch_size=1))
    assert [row["kernel"].split(",")[0] for row in rows] == [
        "resampling",
        "resampling",
        *list(Kernels.model_fields)[1:],
    ]
    with pytest.raises(SparringError, match="--batch-size is at least 1"):
        list(bench.bench_kernels(batch_size=0))
