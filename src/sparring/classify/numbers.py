"""A trained classifier's numbers by their words in studies: `accuracy`, `auroc.PROBE`, `ncr.PROBE.0.5`. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

WORDS = ("accuracy", "ece", "threshold", "false_alarms_on_test")
OF_PROBES = ("auroc", "fpr95", "caught_as_unknown", "ncr")  # as in auroc.PROBE


def words_of(probes: Iterable[str]) -> tuple[str, ...]:
    """The words for the numbers of a classifier that is tested on these probes."""
    return (*WORDS, *(f"{key}.{probe}" for key in OF_PROBES for probe in probes))


def by_word(found: Mapping[str, Any], criterion: str) -> dict[str, Any]:
    """`values` and `numbers`, nested once at most, of a run's results.json, of the recipe's own criterion."""
    numbers = found["classifiers"][criterion]
    nested: dict[str, Any] = {key: numbers[key] for key in numbers if isinstance(numbers[key], int | float)}
    nested["coverage"] = numbers.get("coverage", {})
    for probe, row in numbers.get("probes", {}).items():
        for key in ("auroc", "fpr95", "caught_as_unknown"):
            nested.setdefault(key, {})[probe] = row.get(key)
        for threshold, value in row.get("ncr", {}).items():
            nested.setdefault("ncr", {})[f"{probe}.{threshold}"] = value
    return {"values": {"accuracy": numbers["accuracy"], "ece": numbers["ece"]}, "numbers": nested}
