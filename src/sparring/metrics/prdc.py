"""Precision, recall, density and coverage: how two sets of features lie within each other's k-nearest-neighbour balls.

With B(x) the closed ball around x that reaches its k-th neighbour in its own set:

    precision  share of fakes that lie in some real's ball            (Kynkaanniemi et al. 2019, arXiv 1904.06991, Eq. 2)
    recall     share of reals that lie in some fake's ball
    density    mean over fakes of (number of reals' balls they lie in) / k   (Naeem et al. 2020, arXiv 2002.09797, Eq. 4)
    coverage   share of reals whose ball holds a fake                                                            (Eq. 5)

Balls are closed (<=), as Eq. 1 of the former paper prints them; the latter's code takes them open, which
differs at ties only.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from sparring.errors import SparringError
from sparring.metrics.features import check_result, checked_pair

BLOCK = 2048  # rows of a distance matrix held at a time


class PRDC(NamedTuple):
    """Shares in [0, 1], but for density, which is 1 on average where both sets come from one distribution."""

    precision: float
    recall: float
    density: float
    coverage: float


def precision_recall_density_coverage(real: Tensor, fake: Tensor, k: int = 5) -> PRDC:
    """The four numbers of features [N, d] and [M, d]; memory is one block of a distance matrix.

    k = 5 is Naeem et al.'s choice, Kynkaanniemi et al. take 3. Raises SparringError unless 1 <= k < N and M, d agree, and
    features are finite.
    """
    real, fake = checked_pair(real, fake, "precision and recall")
    check_neighbours(k, len(real), len(fake))
    centre = real.mean(0)  # distances keep their digits where the mean is far above the standard deviation
    real, fake = real - centre, fake - centre

    real_reach, fake_reach = _reach(real, k), _reach(fake, k)
    check_result((real_reach.sum() + fake_reach.sum()).item(), "a neighbour's distance")
    reals_in_fakes = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    covered = torch.zeros_like(reals_in_fakes)
    balls_per_fake = []
    for fakes, reach in zip(fake.split(BLOCK), fake_reach.split(BLOCK), strict=True):
        squared = _squared_distances(fakes, real)
        inside_real = squared <= real_reach
        balls_per_fake.append(inside_real.sum(1))
        covered |= inside_real.any(0)
        reals_in_fakes |= (squared <= reach[:, None]).any(0)
    balls = torch.cat(balls_per_fake).double()
    return PRDC(
        precision=(balls > 0).double().mean().item(),
        recall=reals_in_fakes.double().mean().item(),
        density=balls.mean().item() / k,
        coverage=covered.double().mean().item(),
    )


def check_neighbours(k: int, n: int, m: int) -> None:
    """Raise SparringError unless each of n and of m samples has a k-th neighbour in its own set."""
    if not 1 <= k < min(n, m):
        raise SparringError(
            f"k must be at least 1 and below the number of samples, got {k} for {n} and {m}: measure more"
        )


def _reach(x: Tensor, k: int) -> Tensor:
    """Squared distance [N] from each row to its k-th neighbour, itself not counted."""
    found = []
    for start in range(0, len(x), BLOCK):
        squared = _squared_distances(x[start : start + BLOCK], x)
        rows = torch.arange(len(squared), device=x.device)
        squared[rows, rows + start] = torch.inf
        found.append(squared.kthvalue(k, dim=1).values)
    return torch.cat(found)


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """[N_a, N_b]."""
    return (a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T).clamp(min=0)
