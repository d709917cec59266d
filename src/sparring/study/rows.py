"""The runs of each row of a table, and whether their numbers may be averaged at all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sparring.errors import SparringError
from sparring.study.results import Result, find, latest, metric_word

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
        found = {each.seed: each.failed or _not_finite(each.values) for each in self.results}
        return {seed: why for seed, why in found.items() if why}

    def numbers(self, word: str) -> dict[int, float]:
        """The metric of each run that has not failed and was measured by it, by seed."""
        if word not in self._numbers:
            found = {each.seed: each.value(word) for each in self.results if each.seed not in self.failed}
            kept = {seed: float(value) for seed, value in found.items() if value is not None and math.isfinite(value)}
            self._numbers[word] = kept
        return self._numbers[word]

    @cached_property
    def _numbers(self) -> dict[str, dict[int, float]]:
        return {}  # by word: a table asks many times

    def best(self, word: str) -> dict[int, float]:
        """The best measurement of each of these runs, which no test looks at."""
        found = {each.seed: find(each.best, {}, word) for each in self.results if each.seed not in self.failed}
        return {seed: float(value) for seed, value in found.items() if value is not None}

    def curve(self, word: str) -> dict[int, tuple[list[float], list[float]]]:
        """Steps and measurements of every run, failed ones included, by seed."""
        curves = {}
        for each in self.results:
            name = full_name(each.curve, word)
            if name is not None:
                curves[each.seed] = ([p[0] for p in each.curve[name]], [p[1] for p in each.curve[name]])
        return curves

    def protocol(self, word: str) -> dict[str, Any]:
        """How the metric was measured, the same for all runs. Raises SparringError where it was not."""
        seen: dict[str, dict[Any, list[int]]] = {}
        named = [(each, full_name(each.values, word)) for each in self.results if each.seed not in self.failed]
        measured = [(each.seed, {"metric": name, **each.protocol.get(name, {})}) for each, name in named if name]
        if all(protocol == measured[0][1] for _, protocol in measured):
            return {key: value for _, one in measured[:1] for key, value in one.items() if key not in PER_RUN}
        for key in dict.fromkeys(key for _, protocol in measured for key in protocol if key not in PER_RUN):
            for seed, protocol in measured:
                seen.setdefault(key, {}).setdefault(_hashable(protocol.get(key)), []).append(seed)
        mixed = [f"{key} is {_listed(values)}" for key, values in seen.items() if len(values) > 1]
        if mixed:
            raise SparringError(
                f"row '{self.label}': {metric_word(word)} was measured in different ways, and no mean may mix them: "
                f"{'; '.join(mixed)}"
            )
        return {key: next(iter(values)) for key, values in seen.items()}


def rows_of(results: Iterable[Result], labels: Iterable[str] = ()) -> dict[str, Runs]:
    """The runs by row: in the order of `labels`, then in that of their first lines.

    Of a row whose recipe was changed the runs of the newest line's recipe count.
    """
    rows: dict[str, list[Result]] = {label: [] for label in labels}
    newest: dict[str, str] = {}
    for each in (results := list(results)):
        rows.setdefault(each.row, [])
        newest[each.row] = each.recipe
    for each in latest(each for each in results if each.recipe == newest[each.row]):
        rows[each.row].append(each)
    seeds: dict[str, set[int]] = {}
    for each in results:
        seeds.setdefault(each.row, set()).add(each.seed)
    return {
        label: Runs(label, tuple(sorted(found, key=lambda each: each.seed)), len(seeds.get(label, ())) - len(found))
        for label, found in rows.items()
    }


def full_name(named: Mapping[str, Any], word: str) -> str | None:
    """The name in a mapping of measured metrics that a word means."""
    if word in named:
        return word
    return next((name for name in named if metric_word(name) == metric_word(word)), None)


def differing(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """In which keys two protocols differ, in words; "" where they are the same."""
    keys = [key for key in dict.fromkeys([*ours, *theirs]) if ours.get(key) != theirs.get(key)]
    return "; ".join(f"{key} {ours.get(key)} and {theirs.get(key)}" for key in keys)


def _not_finite(values: Mapping[str, Any]) -> str:
    wrong = [name for name, value in values.items() if isinstance(value, float) and not math.isfinite(value)]
    return f"{wrong[0]} is not finite" if wrong else ""


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _listed(values: Mapping[Any, list[int]]) -> str:
    return " and ".join(
        f"{value} (seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds[:5]))}{', ...' if len(seeds) > 5 else ''})"
        for value, seeds in values.items()
    )
