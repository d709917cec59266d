"""The runs of each row of a table, and whether their numbers may be averaged at all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sparring.errors import SparringError
from sparring.metrics.names import metric_word
from sparring.study.results import Result, find, latest

PER_RUN = ("seed", "real_seed")  # keys of a protocol that may differ from run to run


@dataclass(frozen=True)
class Runs:
    """The runs of a row, one per seed. earlier: how many runs of another recipe, under the same label, are left out."""

    label: str
    results: tuple[Result, ...]
    earlier: int = 0

    @cached_property
    def failed(self) -> dict[int, str]:
        """Why runs have no numbers, by seed: they were stopped, collapsed, or ended in something that is not finite."""
        found = {}
        for each in self.results:
            wrong = [name for name, v in each.values.items() if isinstance(v, float) and not math.isfinite(v)]
            if each.failed or wrong:
                found[each.seed] = each.failed or f"{wrong[0]} is not finite"
        return found

    @cached_property
    def whole(self) -> list[Result]:
        """The runs that have not failed."""
        return [each for each in self.results if each.seed not in self.failed]

    def numbers(self, word: str) -> dict[int, float]:
        """The metric of each run that has not failed and was measured by it, by seed."""
        found = {each.seed: each.value(word) for each in self.whole}
        return {seed: float(value) for seed, value in found.items() if value is not None and math.isfinite(value)}

    def best(self, word: str) -> list[float]:
        """The best measurement of each of these runs, which no test looks at."""
        found = (find(each.best, {}, word) for each in self.whole)
        return [float(value) for value in found if value is not None]

    def curve(self, word: str) -> dict[int, tuple[list[float], list[float]]]:
        """Steps and measurements of every run, failed ones included, by seed."""
        named = [(each, full_name(each.curve, word)) for each in self.results]
        points = {each.seed: each.curve[name] for each, name in named if name is not None}
        return {seed: ([step for step, _ in some], [value for _, value in some]) for seed, some in points.items()}

    def protocol(self, word: str) -> dict[str, Any]:
        """How the metric was measured, the same for all runs. Raises SparringError where it was not."""
        named = ((each, full_name(each.values, word)) for each in self.whole)
        found = [(each.seed, {"metric": name, **each.protocol.get(name, {})}) for each, name in named if name]
        for seed, other in found[1:]:
            if apart := differing(found[0][1], other):
                raise SparringError(
                    f"row '{self.label}': {metric_word(word)} was measured in different ways, and no mean may mix them: "
                    f"{apart} (seeds {found[0][0]} and {seed})"
                )
        return found[0][1] if found else {}


def rows_of(results: Iterable[Result], labels: Iterable[str] = ()) -> dict[str, Runs]:
    """The runs by row: in the order of `labels`, then in that of their first lines.

    Of a row whose recipe was changed the runs of the newest line's recipe count.
    """
    lines: dict[str, list[Result]] = {label: [] for label in labels}
    for each in results:
        lines.setdefault(each.row, []).append(each)
    rows = {}
    for label, found in lines.items():
        runs = latest(each for each in found if each.recipe == found[-1].recipe)
        earlier = len({each.seed for each in found}) - len(runs)
        rows[label] = Runs(label, tuple(sorted(runs, key=lambda each: each.seed)), earlier)
    return rows


def full_name(named: Mapping[str, Any], word: str) -> str | None:
    """The name in a mapping of measured metrics that a word means."""
    if word in named:
        return word
    return next((name for name in named if metric_word(name) == metric_word(word)), None)


def differing(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """In which keys two protocols differ, but for draws, in words; "" where they are the same."""
    keys = [key for key in {**ours, **theirs} if key not in PER_RUN] if ours != theirs else []
    return "; ".join(f"{key} {ours.get(key)} and {theirs.get(key)}" for key in keys if ours.get(key) != theirs.get(key))
