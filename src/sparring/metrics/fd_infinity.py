"""FD-infinity: the Frechet distance extrapolated to infinitely many generated images, which removes its bias.

Chong and Forsyth 2020 (arXiv 1911.07023), section 4. To first order the bias is linear in 1 / N. A line in 1 / N is
fitted to the distances of random subsets of 15 evenly spaced sizes; its value at 1 / N = 0 is the estimate. The paper
uses N from 5,000 to 50,000 and a Sobol sequence for z. Here the subsets are drawn from given features, so z is random.
The bias that comes from the real set remains: compare numbers only for the same real set.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from sparring.errors import SparringError
from sparring.metrics.base import Comparison, FeatureSet, Metric, Record, record
from sparring.metrics.features import check_matrix, check_whole
from sparring.metrics.frechet import bias_notes, frechet_distance, frechet_distance_of
from sparring.metrics.moments import GaussianStats
from sparring.randomness import generator_for

POINTS = 15


class FDInfinity(NamedTuple):
    """The value at infinitely many images, the slope (distance times images), and the fitted points."""

    value: float
    slope: float
    sizes: list[int]
    distances: list[float]


def frechet_distance_infinity(
    fake: Tensor, real: Tensor | GaussianStats, *, points: int = POINTS, smallest: int | None = None, seed: int = 0
) -> FDInfinity:
    """Extrapolated distance between features [N, d] and those of a real set [M, d], or its statistics.

    smallest: the smallest subset; by default the larger of N / 10 and 2 d, but at most N / 2. The estimate can be negative.
    Raises SparringError for fewer than 3 points, or if there are not enough features for that many different sizes (27
    features are always enough for 15).
    """
    check_matrix(fake)
    n, d = fake.shape
    smallest = smallest_subset(n, d, points, smallest)
    sizes = torch.linspace(smallest, n, points).round().long().tolist()
    distances = []
    for i, size in enumerate(sizes):
        order = torch.randperm(n, generator=generator_for(seed, "fd infinity", i))[:size].to(fake.device)
        distances.append(_distance(fake[order], real))
    inverse = 1 / torch.tensor(sizes, dtype=torch.float64)
    line = torch.linalg.lstsq(
        torch.stack([torch.ones_like(inverse), inverse], dim=1), torch.tensor(distances, dtype=torch.float64)[:, None]
    ).solution[:, 0]
    return FDInfinity(line[0].item(), line[1].item(), sizes, distances)


def smallest_subset(n: int, d: int, points: int = POINTS, smallest: int | None = None) -> int:
    """The size of the smallest subset. Raises SparringError if n images are not enough."""
    check_whole(points, "FD-infinity's number of subsets (points)", 1)
    if smallest is not None:
        check_whole(smallest, "the size of FD-infinity's smallest subset (smallest)", 1)
    smallest = min(max(n // 10, 2 * d), n // 2) if smallest is None else smallest
    if points < 3 or not 2 <= smallest < n:
        raise SparringError(f"FD-infinity needs at least 3 subsets of 2 to N images, got {points} of {smallest} to {n}")
    if n - smallest < points - 1:
        raise SparringError(
            f"FD-infinity needs {points} subsets of different sizes, but {smallest} to {n} images allow fewer: measure at "
            f"least {2 * points - 3}"
        )
    return smallest


def _distance(rows: Tensor, real: Tensor | GaussianStats) -> float:
    if not isinstance(real, GaussianStats):
        return frechet_distance(rows, real)
    stats = GaussianStats(rows.shape[1])
    stats.update(rows)
    return frechet_distance_of(stats, real)


class FrechetDistanceInfinity(Metric):
    """Frechet distance extrapolated to infinitely many generated images."""

    needs = frozenset({"fake.features"})

    def check(self, c: Comparison) -> None:
        smallest_subset(c.fake.n, c.dimensions)

    def records(self, fake: FeatureSet, real: FeatureSet, c: Comparison) -> Iterator[Record]:
        assert fake.features is not None
        value, slope, sizes, distances = frechet_distance_infinity(fake.features, real.stats)
        line = {"slope": slope, "sizes": sizes, "distances": distances, "subset_seed": 0}
        yield record("FD-infinity", value, "lower", **line, notes=bias_notes(c))
