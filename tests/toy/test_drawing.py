"""Drawn worlds: points around strokes, negatives, and drawings that cannot be used."""

from __future__ import annotations

import pytest
import torch

from sparring.errors import SparringError
from sparring.toy.drawing import drawn


def test_a_drawing_is_its_points_and_a_little_noise() -> None:
    strokes = [[-1.0, 0.5], [0.0, 0.0], [2.0, 1.0]]
    here = drawn(strokes, [[2.5, -2.5], [2.6, -2.5], [2.5, -2.4]], brush=0.1, seed=3)
    assert here.dimensions == 2 and here.view == ((-3, 3), (-3, 3)) and len(here.data) == 10_000
    away = torch.cdist(here.data.points, torch.tensor(strokes))
    assert away.amin(1).square().mean().div(2).sqrt() == pytest.approx(0.1, rel=0.02)
    counts = away.argmin(1).bincount()
    assert counts.min() > 3100
    assert here.negatives is not None and here.negatives.points.mean(0).tolist() == pytest.approx(
        [2.533, -2.467], abs=0.01
    )
    assert torch.equal(here.data.points, drawn(strokes, brush=0.1, seed=3).data.points)
    assert drawn([[0.0], [1.0], [2.0]]).dimensions == 1


@pytest.mark.parametrize(
    ("points", "negatives", "brush", "why"),
    [
        ([], [], 0.05, "at least 3 points"),
        ([[0.0, 0.0]] * 2, [], 0.05, "draw more"),
        ([[0.0, 0.0], [1.0], [2.0, 2.0]], [], 0.05, "at least 3 points"),
        ([[0.0, 0.0, 0.0]] * 3, [], 0.05, "N, 1"),
        ([[0.0, 4.0]] * 3, [], 0.05, "off the sheet"),
        ([[0.0, float("nan")]] * 3, [], 0.05, "off the sheet"),
        ([[0.0, 1.0]] * 3, [[0.0]] * 3, 0.05, "different numbers of coordinates"),
        ([[0.0, 1.0]] * 3, [], 0.0, "brush"),
    ],
)
def test_a_drawing_that_is_none(points: list, negatives: list, brush: float, why: str) -> None:
    with pytest.raises(SparringError, match=why):
        drawn(points, negatives, brush=brush)
