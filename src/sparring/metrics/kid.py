"""Kernel distance: the squared maximum mean discrepancy of features under k(x, y) = (x.y / d + 1)^3.

Binkowski et al. 2018 (arXiv 1801.01401) section 4.1; with features of Inception it is called KID. It is unbiased at any N,
so it can be slightly negative for equal distributions.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from sparring.metrics.base import Comparison, FeatureSet, Metric, Record, record
from sparring.metrics.features import check_result, check_whole, checked_pair
from sparring.randomness import generator_for

WHAT = "a kernel distance"
SUBSET = 1_000  # images per subset, as in the authors' code
BLOCK = 2048  # rows of the kernel matrix held at a time


def kernel_distance(features_a: Tensor, features_b: Tensor) -> float:
    """The unbiased estimate from all pairs of features [N_a, d] and [N_b, d]; nothing is random.

    One block of the kernel matrix is held in memory. Raises SparringError for fewer than two rows, different d, or features
    that are not finite or so large that the estimate is not.
    """
    a, b = checked_pair(features_a, features_b, WHAT)
    return check_result(_distance(a, b).item(), WHAT)


def kernel_distance_subsets(
    features_a: Tensor, features_b: Tensor, *, subsets: int = 100, subset_size: int = SUBSET, seed: int = 0
) -> tuple[float, float]:
    """Mean and (population) standard deviation of the estimate over random subsets, as most papers report it.

    Each subset has `subset_size` rows of each set, drawn without replacement. The defaults are those of the authors' code.
    If a subset holds a whole set, the deviation says nothing about that set. Raises SparringError like `kernel_distance`,
    and if there is no subset, or a subset would have one row or more rows than a set.
    """
    check_whole(subsets, "the number of subsets of a kernel distance", 1)
    check_whole(subset_size, "the size of a kernel distance's subsets", 2)
    a, b = checked_pair(features_a, features_b, f"{WHAT} of subsets of {subset_size}", at_least=subset_size)
    found = []
    for i in range(subsets):
        generator = generator_for(seed, "kernel distance", i)
        rows_a, rows_b = (torch.randperm(len(x), generator=generator)[:subset_size].to(x.device) for x in (a, b))
        found.append(_distance(a[rows_a], b[rows_b]))
    values = torch.stack(found)
    return check_result(values.mean().item(), WHAT), values.std(correction=0).item()


def _distance(a: Tensor, b: Tensor) -> Tensor:
    m, n = len(a), len(b)
    return (
        (_kernel_sum(a, a) - _kernel(a, a, pairs=True).sum()) / (m * (m - 1))
        + (_kernel_sum(b, b) - _kernel(b, b, pairs=True).sum()) / (n * (n - 1))
        - 2 * _kernel_sum(a, b) / (m * n)
    )


def _kernel(a: Tensor, b: Tensor, *, pairs: bool = False) -> Tensor:
    """The kernel matrix [N_a, N_b], or only its diagonal [N] if `pairs`."""
    products = (a * b).sum(1) if pairs else a @ b.T
    return (products / a.shape[1] + 1) ** 3


def _kernel_sum(a: Tensor, b: Tensor) -> Tensor:
    sums = [_kernel(rows, columns).sum() for rows in a.split(BLOCK) for columns in b.split(BLOCK)]
    return torch.stack(sums).sum()


class KernelDistance(Metric):
    """Kernel distance of the features, from all pairs."""

    needs = frozenset({"real.features", "fake.features"})

    def records(self, fake: FeatureSet, real: FeatureSet, c: Comparison) -> Iterator[Record]:
        assert fake.features is not None and real.features is not None
        yield record("KD", kernel_distance(fake.features, real.features), "lower")


class KernelDistanceSubsets(KernelDistance):
    """Kernel distance of the features, the mean over 100 random subsets of at most 1,000 images."""

    def records(self, fake: FeatureSet, real: FeatureSet, c: Comparison) -> Iterator[Record]:
        assert fake.features is not None and real.features is not None
        fewest = min(len(fake.features), len(real.features))
        size = min(SUBSET, fewest)
        mean, deviation = kernel_distance_subsets(fake.features, real.features, subset_size=size)
        spread: Record = {"std": deviation}
        if size == fewest:
            spread = {
                "notes": [f"each subset holds all {size} images of a set, so the spread of the subsets says nothing"]
            }
        yield record("KD-subsets", mean, "lower", subsets=100, subset_size=size, subset_seed=0, **spread)
