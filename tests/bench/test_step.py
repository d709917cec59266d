"""Paired measurements and `bench step`, with fake clocks and tiny networks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from longhand import recipe
from torch import nn

from sparring.bench.pairs import alternate, summary
from sparring.bench.step import bench_step, cycle_of, flops, synthetic_state
from sparring.errors import SparringError

KEYS = {"ours_ms", "textbook_ms", "ratio", "ratio_low", "ratio_high"}


def a_clock(calls: list[str], cost: dict[str, float]) -> tuple[Callable[[], float], dict[str, Callable[[], None]]]:
    """A clock that the timed functions advance."""
    now = [0.0]

    def work(name: str) -> Callable[[], None]:
        def call() -> None:
            calls.append(name)
            now[0] += cost[name]

        return call

    return lambda: now[0], {name: work(name) for name in cost}


def test_the_two_are_timed_in_turn_after_a_warm_up() -> None:
    calls: list[str] = []
    clock, work = a_clock(calls, {"a": 0.1, "b": 0.25})
    found = alternate(work["a"], work["b"], pairs=3, warm_up=1, clock=clock)
    assert "".join(calls) == "ab" + "ab" + "ababab"  # warm-up, repeat count, pairs
    assert (found.ours_ms, found.other_ms, found.ratio, found.pairs) == pytest.approx((100, 250, 2.5, 3))


def test_short_calls_are_repeated_and_counted_once() -> None:
    calls: list[str] = []
    clock, work = a_clock(calls, {"a": 0.01, "b": 1.0})
    found = alternate(work["a"], work["b"], pairs=2, warm_up=0, clock=clock)
    assert calls.count("a") == 1 + 2 * 5 and calls.count("b") == 1 + 2
    assert found.ours_ms == pytest.approx(10) and found.ratio == pytest.approx(100)


def test_the_ratio_is_of_pairs_not_of_medians() -> None:
    """A machine that becomes ten times slower halfway changes the times but not the ratios."""
    found = summary([1.0, 1.0, 10.0, 10.0, 10.0], [2.0, 3.0, 20.0, 25.0, 40.0])
    assert (found.ratio, found.ratio_low, found.ratio_high) == (2.5, 2.0, 3.0)
    assert (found.ours_ms, found.other_ms) == (10_000.0, 20_000.0)
    assert summary([2.0], [3.0]).ratio_low == 1.5
    with pytest.raises(SparringError, match="at least one pair"):
        alternate(int, int, pairs=0)


def test_bench_step_of_a_tiny_recipe() -> None:
    tiny = recipe({"hinge": {}, "r1": {"every": 4}}, data__size=8, data__channels=1, data__num_classes=3, d_steps=2)
    found = bench_step(tiny, iterations=2)
    assert set(found) >= KEYS and all(value > 0 for value in found.values())
    assert found["ratio_low"] <= found["ratio"] <= found["ratio_high"]
    json.dumps(found)


def test_a_measurement_is_a_whole_cycle_of_lazy_terms() -> None:
    assert cycle_of(recipe({"hinge": {}})) == 1
    assert cycle_of(recipe({"hinge": {}, "r1": {"every": 16}})) == 16
    assert cycle_of(recipe({"hinge": {}, "r1": {"every": 16}}, d_steps=4)) == 4
    assert cycle_of(recipe({"hinge": {}, "r1": {"every": 3}}, d_steps=2)) == 3


def test_schedules_are_evaluated_late_in_the_run_or_at_the_given_step() -> None:
    terms = {"hinge": {}, "sdp": {"t": 500, "I_p": 100}}
    late = synthetic_state(recipe(terms, data__size=8, data__channels=1, data__num_classes=0))
    early = synthetic_state(recipe(terms, data__size=8, data__channels=1, data__num_classes=0), at=3)
    sdp = late.objective.terms["sdp"]
    assert late.step == late.updates == 936 and sdp.k_at(late.step) == 14
    assert early.step == 3 and "sdp" not in [a.name for a in early.objective.active("generator", early.step, 0)]


def test_a_note_names_shapes_that_the_recipe_leaves_open() -> None:
    notes: list[str] = []
    state = synthetic_state(recipe({"hinge": {}}), note=notes.append)
    assert state.feed.real.size == 32 and "data.size=32 data.channels=3" in notes[0]


def test_micro_batches_are_refused() -> None:
    with pytest.raises(SparringError, match="accumulate=1"):
        bench_step(recipe({"hinge": {}}, data__size=8, accumulate=2), iterations=1)


def test_operations_are_counted() -> None:
    layer = nn.Conv2d(3, 5, 3, padding=1, bias=False)
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        assert flops(lambda: layer(x)) == pytest.approx(2 * 2 * 64 * 9 * 15 / 1e9)


def test_the_command_prints_json_for_scripts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from sparring.cli import app

    path = tmp_path / "tiny.yaml"
    shape = {"size": 8, "channels": 1, "num_classes": 0}
    tiny = recipe({"hinge": {}}).to_dict()
    path.write_text(json.dumps(tiny | {"data": tiny["data"] | shape}))
    app(["bench", "step", str(path), "batch_size=4", "--iterations", "1", "--json"], standalone_mode=False)
    assert set(json.loads(capsys.readouterr().out)) >= KEYS
