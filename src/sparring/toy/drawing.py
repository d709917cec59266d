"""A world that somebody drew: points along strokes of a brush, and negatives likewise."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sparring.errors import SparringError
from sparring.randomness import generator_for
from sparring.toy.worlds import COUNT, Points, World

REACH = 3.0  # the sheet goes from -REACH to REACH
BRUSH = 0.05  # standard deviation of the points around a stroke
FEWEST = 3  # points of a stroke


def drawn(
    points: Sequence[Sequence[float]],
    negatives: Sequence[Sequence[float]] = (),
    *,
    brush: float = BRUSH,
    seed: int = 0,
) -> World:
    """A world of 10,000 points around those given, [N, 1] or [N, 2], on a sheet from -3 to 3.

    Each is one of the given points plus normal noise of standard deviation `brush`. negatives: points that do not belong
    to the data. Raises SparringError for too few points, points off the sheet, and a brush that is not above 0.
    """
    if not 0 < brush <= REACH:
        raise SparringError(f"brush takes a number above 0 and up to {REACH:g}, got {brush!r}")
    data = _around(_checked(points, "the drawing"), brush, seed, "data")
    other = None
    if len(negatives):
        checked = _checked(negatives, "the negatives")
        if checked.shape[1] != data.shape[1]:
            raise SparringError(
                "the drawing and its negatives have different numbers of coordinates: give both the same"
            )
        other = Points(_around(checked, brush, seed, "negatives"))
    return World(
        name="drawn",
        data=Points(data),
        negatives=other,
        mixture=None,
        negative_mixture=None,
        modes=None,
        mode_std=None,
        view=((-REACH, REACH),) * data.shape[1],
        about="a drawing",
    )


def _checked(points: Sequence[Sequence[float]], what: str) -> Tensor:
    try:
        found = torch.tensor(points, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError):
        found = torch.empty(0)
    if found.ndim != 2 or found.shape[1] not in (1, 2) or len(found) < FEWEST:
        raise SparringError(f"{what} is at least {FEWEST} points [N, 1] or [N, 2]: draw more")
    if not bool((found.abs() <= REACH).all()):
        raise SparringError(f"{what} has points off the sheet, which goes from {-REACH:g} to {REACH:g}")
    return found


def _around(points: Tensor, brush: float, seed: int, part: str) -> Tensor:
    g = generator_for(seed, "world", "drawn", part)
    chosen = points[torch.randint(len(points), (COUNT,), generator=g)]
    return chosen + brush * torch.randn(COUNT, points.shape[1], generator=g)
