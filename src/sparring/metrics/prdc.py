"""Precision, recall, density and coverage, from the k-nearest-neighbour balls of two sets of features.

The ball of x is the closed ball around x that reaches its k-th nearest neighbour in its own set.

    precision  share of fakes that lie in some real's ball            (Kynkaanniemi et al. 2019, arXiv 1904.06991, Eq. 2)
    recall     share of reals that lie in some fake's ball
    density    mean over fakes of (number of reals' balls they lie in) / k   (Naeem et al. 2020, arXiv 2002.09797, Eq. 4)
    coverage   share of reals whose ball holds a fake                                                            (Eq. 5)

Balls are closed (<=), as in Eq. 1 of the first paper. The code of the second one uses open balls, which differs only at
ties.

Squared distances are computed as |a|^2 + |b|^2 - 2 a.b, which is fast but loses digits. Those within rounding of a ball's
radius are computed again as |a - b|^2, so that ties stay ties, and distances within far-apart clusters stay exact.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from sparring.errors import SparringError
from sparring.metrics.base import Comparison, FeatureSet, Metric, Record, record
from sparring.metrics.features import check_result, check_whole, checked_pair

BLOCK = 2048  # rows of a distance matrix held at a time
GATHERED = 2**22  # numbers in the pairs of rows whose differences are taken at a time


class PRDC(NamedTuple):
    """Shares in [0, 1], except density, which averages 1 if both sets come from the same distribution."""

    precision: float
    recall: float
    density: float
    coverage: float


def precision_recall_density_coverage(real: Tensor, fake: Tensor, k: int = 5) -> PRDC:
    """The four numbers for features [N, d] and [M, d]. Both are held as float64, with a block of a distance matrix.

    k = 5 is the choice of Naeem et al.; Kynkaanniemi et al. use 3. Raises SparringError unless 1 <= k < min(N, M), d is the
    same, and all features are finite.
    """
    real, fake = checked_pair(real, fake, "precision and recall")
    check_neighbours(k, len(real), len(fake))
    reals, fakes = _Rows(real), _Rows(fake)
    real_reach, fake_reach = _reach(reals, k), _reach(fakes, k)
    check_result((real_reach.sum() + fake_reach.sum()).item(), "a neighbour's distance")
    reals_in_fakes = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    covered = torch.zeros_like(reals_in_fakes)
    balls_per_fake = []
    fakes.centre(reals.middle)
    rounding_of_reals, rounding_of_fakes = reals.rounding(real_reach), fakes.rounding(fake_reach)
    for part in _blocks(len(fake)):
        squared, reach = _squared_distances(fakes, part, reals), fake_reach[part, None]
        unsure = _within(squared, real_reach, rounding_of_reals)
        unsure |= _within(squared, reach, rounding_of_fakes[part, None])
        _take_again(squared, unsure, fakes, part, reals)
        inside_real = squared <= real_reach
        balls_per_fake.append(inside_real.sum(1))
        covered |= inside_real.any(0)
        reals_in_fakes |= (squared <= reach).any(0)
    balls = torch.cat(balls_per_fake).double()
    return PRDC(
        precision=(balls > 0).double().mean().item(),
        recall=reals_in_fakes.double().mean().item(),
        density=balls.mean().item() / k,
        coverage=covered.double().mean().item(),
    )


def check_neighbours(k: int, n: int, m: int) -> None:
    """Raise SparringError unless samples in sets of n and of m have a k-th neighbour in their own set."""
    check_whole(k, "k", 1)
    if not 1 <= k < min(n, m):
        raise SparringError(
            f"k must be at least 1 and below the number of samples, got {k} for {n} and {m}: measure more"
        )


class _Rows:
    """Features [N, d] prepared for distances: centred, with their squared lengths, and with equal rows marked."""

    def __init__(self, x: Tensor) -> None:
        self.x = x
        # centring on the row nearest the mean loses few digits, and none if all rows are equal
        self.middle = x[(x - x.mean(0)).square_().sum(1).argmin()]
        self.centre(self.middle)
        _, which = x.unique(dim=0, return_inverse=True)
        places = torch.arange(len(x), device=x.device)
        self.alike = places.scatter(0, which, places)[which]  # [N]: equal rows share the index of one of them

    def centre(self, centre: Tensor) -> None:
        self.centred = self.x - centre
        self.lengths = torch.einsum("nd,nd->n", self.centred, self.centred)

    def rounding(self, reach: Tensor, part: slice = slice(None)) -> Tensor:
        """A bound on the rounding error of squared distances from each row of a part to rows about sqrt(reach) away.

        A sum of d products has an error of at most d eps times the sum of their sizes; |b|^2 <= 2 |a|^2 + 2 |a - b|^2.
        """
        return 16 * (self.x.shape[1] + 4) * torch.finfo(self.x.dtype).eps * (self.lengths[part] + reach)


def _reach(rows: _Rows, k: int) -> Tensor:
    """Squared distance [N] from each row to its k-th nearest other row."""
    n, found = len(rows.x), []
    for part in _blocks(n):
        squared = _squared_distances(rows, part, rows)
        own = torch.arange(n, device=squared.device)[part]
        squared[own - part.start, own] = torch.inf
        reach, at = squared.kthvalue(k, dim=1)
        unsure = _within(squared, reach[:, None], rows.rounding(reach, part)[:, None])
        _take_again(squared, unsure, rows, part, rows)
        reach = squared.gather(1, at[:, None])[:, 0]
        several = unsure.sum(1) > 1  # candidates for the k-th neighbour
        reach[several] = squared[several].kthvalue(k, dim=1).values
        found.append(reach)
    return torch.cat(found)


def _blocks(n: int) -> list[slice]:
    return [slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)]


def _squared_distances(a: _Rows, part: slice, b: _Rows) -> Tensor:
    """Squared distances from a block of rows of `a` to all rows of `b`."""
    products = a.centred[part] @ b.centred.T
    return products.mul_(-2).add_(b.lengths).add_(a.lengths[part, None]).clamp_(min=0)


def _within(squared: Tensor, reach: Tensor, rounding: Tensor) -> Tensor:
    return (squared > reach - rounding) & (squared < reach + rounding)


def _take_again(squared: Tensor, unsure: Tensor, a: _Rows, part: slice, b: _Rows) -> None:
    """Replace the unsure distances by |a - b|^2, computed once for pairs of equal rows."""
    i, j = unsure.nonzero(as_tuple=True)
    n = len(b.x)
    pairs, place = (a.alike[part][i] * n + b.alike[j]).unique(return_inverse=True)
    taken = [
        (a.x[some // n] - b.x[some % n]).square_().sum(1) for some in pairs.split(max(1, GATHERED // a.x.shape[1]))
    ]
    squared[i, j] = torch.cat(taken)[place]


class PrecisionRecall(Metric):
    """Precision, recall, density and coverage of the features."""

    needs = frozenset({"real.features", "fake.features"})

    def check(self, c: Comparison) -> None:
        if c.real.n is not None:
            check_neighbours(c.neighbours, c.real.n, c.fake.n)

    def records(self, fake: FeatureSet, real: FeatureSet, c: Comparison) -> Iterator[Record]:
        assert fake.features is not None and real.features is not None
        four = precision_recall_density_coverage(real.features, fake.features, c.neighbours)
        for name, value in four._asdict().items():
            yield record(name, value, "higher", k=c.neighbours)
