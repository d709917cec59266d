"""Curves of any length in few points: no extreme is lost, the newest value is there, and memory is bounded."""

from __future__ import annotations

import json
import math
import random

from sparring.web.board.curves import CURVES, STRETCHES, Curve, Curves


def curve_of(values: list[float]) -> Curve:
    curve = Curve()
    for step, value in enumerate(values):
        curve.add(step, value)
    return curve


def test_a_short_curve_is_kept_whole() -> None:
    values = [math.sin(i) for i in range(2 * STRETCHES)]
    assert curve_of(values).points() == list(enumerate(values))


def test_a_long_curve_keeps_every_extreme_of_its_stretches() -> None:
    draw = random.Random(0)
    values = [draw.gauss(0, 1) for _ in range(50_000)]
    values[12_345], values[45_678] = 99.0, -99.0
    points = curve_of(values).points()
    assert len(points) <= 4 * STRETCHES + 1 and points == sorted(points)
    assert all(values[step] == value for step, value in points) and points[-1] == (49_999, values[-1])
    width = 128  # 50,000 values in at most 512 stretches
    for begin in range(0, 50_000 - width, width):
        part = values[begin : begin + width]
        found = [value for step, value in points if begin <= step < begin + width]
        assert {min(part), max(part)} <= set(found)


def test_what_is_not_finite_is_left_out_and_counted() -> None:
    curve = curve_of([1.0, math.nan, math.inf, -math.inf, 2.0])
    assert curve.points() == [(0, 1.0), (4, 2.0)] and curve.plain()["left_out"] == 3
    json.dumps(curve.plain(), allow_nan=False)


def test_a_run_has_a_bounded_number_of_curves() -> None:
    curves = Curves()
    for i in range(1000):
        curves.add(f"curve {i}", 1, float(i))
    curves.add("x" * 1000, 1, 1.0)
    curves.add("curve 0", 2, "text")
    curves.add("curve 0", 2, True)
    curves.add("curve 0", 3, 10**400)
    assert len(curves.by_name) == CURVES and curves.by_name["curve 0"].points() == [(1, 0.0)]
    assert curves.by_name["curve 0"].left_out == 1
