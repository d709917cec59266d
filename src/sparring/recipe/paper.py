"""The numbers that a recipe says its paper printed, by the words of what this library measures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sparring.metrics.names import metric_word


def papers_numbers(recipe: Mapping[str, Any], words: Iterable[str]) -> dict[str, float]:
    """What a recipe says that its paper measured, by those of these words. A rate may be a list, a number for each probe."""
    paper, known, found = recipe.get("paper") or {}, {metric_word(word) for word in words}, dict[str, float]()
    for name, value in (paper.get("number") or {}).items():
        rate, _, threshold = str(name).lower().partition(" ")
        numbers = {rate: round(value / 100, 4) if rate == "accuracy" else value}  # papers print per cent
        if threshold:
            probes = zip(paper.get("columns") or (), value if isinstance(value, list) else (), strict=False)
            numbers = {f"{rate}.{probe}.{threshold}": each for probe, each in probes}
        for word, each in numbers.items():
            if isinstance(each, int | float) and known & {metric_word(word), word.rsplit(".", 2)[0]}:
                found[word] = float(each)
    return found
