"""States in a sentence what a classifier's numbers mean to its users, and how certain its false-alarm rate is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

LISTED = 6  # kinds of images that the sentence names at most: those that are least often unknown
MOST = 0.5  # if a smaller share of a kind is unknown, most of it gets a class


def verdict(name: str, numbers: Mapping[str, Any]) -> str:
    """One sentence: for what share of images of none of its classes this classifier answers "unknown".

    numbers: of one classifier, as in results.json. Probes that were seen in training do not count.
    """
    if numbers["threshold"] is None:
        return f'{name} has no threshold for "unknown", since no validation images were held out: give predict a --threshold'
    caught = {
        probe: found["caught_as_unknown"] for probe, found in numbers["probes"].items() if not found["seen_in_training"]
    }
    own = f"{numbers['false_alarms_on_test']:.1%} of the test images of its own classes"
    if not caught:
        return f'{name} answers "unknown" to {own}; for other images this is not known: add probes'
    listed = sorted(caught, key=lambda probe: caught[probe])[:LISTED]
    shares = [f"{caught[probe]:.1%} of {_quoted(probe)}" for probe in caught if probe in listed]
    missed = [_quoted(probe) for probe in caught if probe in listed and caught[probe] < MOST]
    all_missed = len(missed) == len(listed) > 1
    outcome = f": most of {'each' if all_missed else _and(missed)} still get a class" if missed else ""
    return f'{name} answers "unknown" to {_and(shares)}, and to {own}{outcome}'


def few_images(name: str, numbers: Mapping[str, Any]) -> str | None:
    """A warning if the threshold was chosen on so few images that the false-alarm rate may be twice as high as wanted."""
    if numbers["threshold"] is None:
        return None
    (low, high), wanted = numbers["false_alarm_interval"], numbers["false_alarm_rate"]
    if high < 2 * wanted:
        return None
    return (
        f"{name}: {numbers['n_validation']} validation images chose the threshold for {wanted:.1%} false alarms, which are "
        f"few: between {low:.1%} and {high:.1%} of new images of the classes may be called unknown (95% interval). Hold out "
        "more with validation=0.3, or add images"
    )


def false_alarm_interval(below: int, n: int) -> tuple[float, float]:
    """The 95% interval of the false-alarm rate on new images if `below` of n validation images are below the threshold.

    The share of a distribution below the (k + 1)-th smallest of n draws has the distribution Beta(k + 1, n - k). Its
    distribution function at x is the probability that a binomial variable of n and x exceeds k.
    """
    return _quantile(below, n, 0.025), _quantile(below, n, 0.975)


def _quantile(below: int, n: int, share: float) -> float:
    if below >= n:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if 1 - _at_most(below, n, middle) < share else (low, middle)
    return (low + high) / 2


def _at_most(k: int, n: int, p: float) -> float:
    """The probability of at most k successes in n trials with probability p, 0 < p < 1."""
    logs = (
        math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * math.log(p) + (n - i) * math.log1p(-p)
        for i in range(k + 1)
    )
    return sum(map(math.exp, logs))


def _quoted(probe: str) -> str:
    """A name as it is written in a list."""
    return f"'{probe}'" if "," in probe else probe


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
