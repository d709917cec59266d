"""The cost of a term: the library's step with it against the step without it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from sparring.bench.pairs import alternate
from sparring.bench.step import cycle_of, flops, ours_step, synthetic_state
from sparring.recipe.gan import Recipe


def bench_overhead(
    recipe: Any,
    changes: Mapping[str, Any],
    *,
    overrides: Mapping[str, Any] | None = None,
    iterations: int = 20,
    at: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Milliseconds per step of a recipe with `overrides`, and of the same with `changes` on top, in alternating pairs.

    overhead is the median of changed / host within each pair with its quartiles; flops_ratio the same of counted operations,
    which does not depend on the machine's load. at: the generator step at which schedules are read. Steps are measured in
    cycles, after which terms that act periodically have all acted equally often.
    """
    host = Recipe.load(recipe, overrides or {})
    changed = Recipe.load(recipe, {**(overrides or {}), **changes})
    cycle = max(cycle_of(host), cycle_of(changed))
    steps = [ours_step(synthetic_state(chosen, at=at)) for chosen in (host, changed)]
    counts = [flops(lambda step=step: step(cycle)) / cycle for step in steps]  # type: ignore[misc]
    found = alternate(lambda: steps[0](cycle), lambda: steps[1](cycle), pairs=iterations, warm_up=1, clock=clock)
    return {
        "host_ms": found.ours_ms / cycle,
        "changed_ms": found.other_ms / cycle,
        "overhead": found.ratio,
        "overhead_low": found.ratio_low,
        "overhead_high": found.ratio_high,
        "flops_ratio": counts[1] / counts[0],
        "iterations": found.pairs,
    }
