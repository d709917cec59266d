"""What metrics' numbers are called: in records, in plans of studies and beside papers. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Literal

Better = Literal["lower", "higher"]
CLASSIC = {  # names reserved for numbers computed with Inception
    "FD": "FID",
    "KD": "KID",
    "FD-infinity": "FID-infinity",
    "KD-subsets": "KID-subsets",
    "intra-FD": "intra-FID",
}
NUMBERS: dict[
    str, dict[str, Better]
] = {  # by the name of a metric: what its records are called, which direction is better
    "fd": {"FD": "lower"},
    "fd-infinity": {"FD-infinity": "lower"},
    "kd": {"KD": "lower"},
    "kd-subsets": {"KD-subsets": "lower"},
    "intra": {"intra-FD": "lower"},
    "is": {"IS": "higher"},
    "am": {"AM": "lower"},
    "classes": dict.fromkeys(("smallest-class-share", "modes-covered", "mean-max-probability"), "higher"),
    "prdc": dict.fromkeys(("precision", "recall", "density", "coverage"), "higher"),
}
BETTER = {name.lower(): better for numbers in NUMBERS.values() for name, better in numbers.items()}  # by word
_WORDS = (  # by the end of a name
    {word: word for word in BETTER}
    | {classic.lower(): name.lower() for name, classic in CLASSIC.items()}
    | {metric: next(iter(numbers)).lower() for metric, numbers in NUMBERS.items() if len(numbers) == 1}
)
_ENDS = sorted(_WORDS, key=len, reverse=True)


def metric_name(extractor: str, metric: str) -> str:
    """The full name of a result, such as "fashion-FD". Only the `inception` extractor gives "FID"."""
    return CLASSIC.get(metric, metric) if extractor == "inception" else f"{extractor}-{metric}"


@cache
def metric_word(name: str) -> str:
    """The word for a number, whatever extractor measured it: "fd" for "fashion-FD" and "FID"; else the name itself."""
    lower = name.lower()
    return next((_WORDS[end] for end in _ENDS if lower == end or lower.endswith(f"-{end}")), name)


def words_of(metrics: Iterable[str]) -> tuple[str, ...]:
    """The words for the numbers of metrics, by their names in `evaluation.metrics`."""
    return tuple(metric_word(name) for metric in metrics for name in NUMBERS.get(metric, (metric,)))


def is_word(name: str) -> bool:
    """Whether a name is a word for numbers, whatever extractor measured them: "fd" and "FID", but not "fashion-FD"."""
    return name.lower() in _WORDS
