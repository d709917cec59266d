"""A curve of any length in a bounded number of points: each stretch of steps keeps its least and its greatest value."""

from __future__ import annotations

import math
from typing import Any

STRETCHES = 256  # after as many again, two neighbours become one
CURVES = 80  # of a run
NAME = 200  # characters of a curve's name


class Curve:
    """Points in the order of their steps; values that are not finite are left out, and counted."""

    def __init__(self) -> None:
        self._stretches: list[list[tuple[int, float]]] = []  # each: its least and its greatest point
        self._width, self._filled = 1, 0  # values of a stretch, and of the last one so far
        self._last: tuple[int, float] | None = None
        self.count, self.left_out = 0, 0

    def add(self, step: int, value: float) -> None:
        if not math.isfinite(value):
            self.left_out += 1
            return
        self.count, self._last = self.count + 1, (step, float(value))
        if self._stretches and self._filled < self._width:
            self._stretches[-1] = _extremes([*self._stretches[-1], self._last])
            self._filled += 1
            return
        if len(self._stretches) == 2 * STRETCHES:
            pairs = zip(self._stretches[::2], self._stretches[1::2], strict=True)
            self._stretches = [_extremes([*a, *b]) for a, b in pairs]
            self._width *= 2
        self._stretches.append([self._last, self._last])
        self._filled = 1

    def points(self) -> list[tuple[int, float]]:
        """At most 4 * STRETCHES + 1 points (step, value); the last one is the newest."""
        points = dict.fromkeys(point for each in self._stretches for point in sorted(each))
        if self._last is not None:
            points.pop(self._last, None)
            points[self._last] = None
        return list(points)

    def plain(self) -> dict[str, Any]:
        """For JSON: steps and values, the latter to six digits, which no screen shows more of."""
        points = self.points()
        values = [float(f"{value:.6g}") for _, value in points]
        return {"steps": [step for step, _ in points], "values": values, "n": self.count, "left_out": self.left_out}


def _extremes(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    return [min(points, key=lambda point: point[1]), max(points, key=lambda point: point[1])]


class Curves:
    """The curves of a run by name, made from rows. Those beyond `CURVES` are left out."""

    def __init__(self) -> None:
        self.by_name: dict[str, Curve] = {}

    def add(self, name: str, step: int, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or len(name) > NAME:
            return
        curve = self.by_name.get(name)
        if curve is None:
            if len(self.by_name) >= CURVES:
                return
            curve = self.by_name[name] = Curve()
        try:
            curve.add(step, float(value))
        except OverflowError:  # a whole number of any length
            curve.left_out += 1
