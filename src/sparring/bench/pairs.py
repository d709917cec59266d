"""Two functions timed alternately in one process, so that drifts in the machine's speed affect both alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from sparring.errors import SparringError

SHORTEST = 0.05  # least seconds of one measurement; shorter calls are repeated


@dataclass(frozen=True)
class Paired:
    """Medians in milliseconds, and of the ratio other / ours within each pair its median and quartiles."""

    ours_ms: float
    other_ms: float
    ratio: float
    ratio_low: float
    ratio_high: float
    pairs: int


def alternate(
    ours: Callable[[], Any],
    other: Callable[[], Any],
    *,
    pairs: int,
    warm_up: int = 2,
    clock: Callable[[], float] = time.perf_counter,
    device: torch.device | None = None,
) -> Paired:
    """Time A B A B ...: `pairs` times each, after `warm_up` untimed calls of each.

    Short calls are repeated within a measurement until one takes 50 ms. Raises SparringError for less than one pair.
    """
    if pairs < 1:
        raise SparringError(f"a comparison takes at least one pair of measurements, got {pairs}")
    for _ in range(warm_up):
        ours()
        other()
    repeats = [_repeats(function, clock, device) for function in (ours, other)]
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(pairs):
        for function, count, found in zip((ours, other), repeats, times, strict=True):
            found.append(_timed(function, count, clock, device))
    return summary(*times)


def summary(ours: list[float], other: list[float]) -> Paired:
    """The summary of seconds measured in pairs."""
    ratios = sorted(b / a for a, b in zip(ours, other, strict=True))
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return Paired(
        ours_ms=1000 * statistics.median(ours),
        other_ms=1000 * statistics.median(other),
        ratio=statistics.median(ratios),
        ratio_low=low,
        ratio_high=high,
        pairs=len(ratios),
    )


def _repeats(function: Callable[[], Any], clock: Callable[[], float], device: torch.device | None) -> int:
    return max(1, round(SHORTEST / max(_timed(function, 1, clock, device), 1e-7)))


def _timed(function: Callable[[], Any], count: int, clock: Callable[[], float], device: torch.device | None) -> float:
    """Seconds of one call, the mean of `count`; waits for the device at both ends."""
    _wait(device)
    start = clock()
    for _ in range(count):
        function()
    _wait(device)
    return (clock() - start) / count


def _wait(device: torch.device | None) -> None:
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)
