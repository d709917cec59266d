"""Frechet distance between two Gaussians fitted to features.

    d^2 = |mu_a - mu_b|^2 + tr S_a + tr S_b - 2 tr (S_a S_b)^(1/2)

Dowson and Landau 1982, Eq. 4; Heusel et al. 2017 (arXiv 1706.08500) take features of Inception and call it FID.

Only the trace of the matrix square root is needed. For any factors S = F^T F it is the sum of the singular values of
F_a F_b^T, and also the sum of the square roots of the eigenvalues of the symmetric F_a S_b F_a^T. Instead of the square root
of a non-symmetric product, this file therefore uses

- as factor: the centred features if there are no more of them than dimensions; else the Cholesky factor; else (singular
  covariance) the eigenvectors whose eigenvalue is above rounding;
- the eigenvalues of the symmetric form, which are fast; and, if their rounding error could matter, the singular values,
  which do not square the condition number.

This needs no complex numbers, no added epsilon and no scipy. Only half of each symmetric product is computed, in blocks.
Everything is in float64.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from sparring.messages import counted
from sparring.metrics.base import Comparison, FeatureSet, Metric, Record, record
from sparring.metrics.features import check_result, check_same_dimensions, checked_pair
from sparring.metrics.moments import EPS, Fitted, GaussianStats, check_same_settings, fit

WHAT = "a Frechet distance"
REFINE_ABOVE = 1e-6  # relative rounding error above which the slower form is used


def frechet_distance(features_a: Tensor, features_b: Tensor) -> float:
    """Squared Frechet distance between Gaussians fitted to features [N_a, d] and [N_b, d].

    Covariances are unbiased (divided by N - 1). The distance itself is biased upwards by about d / N: compare numbers
    only at equal N. Raises SparringError for fewer than two rows, different d, or features that are not finite or so
    large that the distance is not.
    """
    a, b = checked_pair(features_a, features_b, WHAT)
    return _distance(fit(a), fit(b))


def frechet_distance_of(stats_a: GaussianStats, stats_b: GaussianStats) -> float:
    """As `frechet_distance`, between two streamed or loaded Gaussians.

    Raises SparringError if both say how they were measured and they differ, or if the distance is not finite.
    """
    check_same_settings(stats_a.provenance, stats_b.provenance)
    check_same_dimensions(stats_a.dimensions, stats_b.dimensions)
    return _distance(stats_a.fitted(), stats_b.fitted())


def _distance(a: Fitted, b: Fitted) -> float:
    """The distance, never negative. Raises SparringError if it is not finite."""
    try:
        found = _signed_distance(a, b)
    except torch.linalg.LinAlgError:  # raised for NaN and infinity
        found = math.nan
    return max(0.0, check_result(found, WHAT))  # max(0, NaN) would be 0


def _signed_distance(a: Fitted, b: Fitted) -> float:
    """The distance before negative rounding errors are clipped."""
    b = b._replace(mean=b.mean.to(a.mean.device))
    if len(a.rows if a.rows is not None else a.mean) > len(b.rows if b.rows is not None else b.mean):
        a, b = b, a  # the smaller factor goes outside, since it sets the size of the eigenvalue problem
    away = (a.mean - b.mean).square().sum() + a.trace + b.trace
    factor, triangular = a.factor()
    eigenvalues = torch.linalg.eigvalsh(b.between(factor, triangular))  # eigvalsh reads the lower triangle only
    eigenvalues = eigenvalues[-min(a.rank, b.rank, len(eigenvalues)) :] if len(eigenvalues) else eigenvalues
    roots = eigenvalues.clamp(min=0).sqrt()
    distance = away - 2 * roots.sum()
    # An eigenvalue l of the product has an error of about e = EPS times the product of the largest ones; its root has an
    # error of e / (2 sqrt l), and at most sqrt e.
    unsure = EPS * a.largest() * b.largest()
    error = (unsure / (roots + unsure.sqrt())).nan_to_num().norm()
    if error > REFINE_ABOVE * distance:
        # With the traces of the factors this is the minimum over rotations Q of |F_a - Q F_b|^2, so it is not far below 0.
        other, _ = b.factor()
        away = (a.mean - b.mean).square().sum() + factor.square().sum() + other.square().sum()
        distance = away - 2 * torch.linalg.svdvals(factor @ other.T).sum()
    return distance.item()


class FrechetDistance(Metric):
    """Frechet distance between Gaussians fitted to the features."""

    def records(self, fake: FeatureSet, real: FeatureSet, c: Comparison) -> Iterator[Record]:
        yield record("FD", frechet_distance_of(fake.stats, real.stats), "lower", notes=bias_notes(c))


def bias_notes(c: Comparison) -> list[str]:
    """Notes about the bias of a Frechet distance for these numbers of images."""
    notes = []
    n_fake, n_real = c.fake.n, c.real.n  # n_real is None if a file of statistics does not say
    fewest = n_fake if n_real is None else min(n_real, n_fake)
    if fewest <= c.dimensions:
        notes.append(
            f"only {counted(fewest, 'image')} for {c.dimensions} dimensions: a Frechet distance is then mostly bias"
        )
    if n_real != n_fake:
        real = "an unknown number of" if n_real is None else n_real
        notes.append(
            f"compare only with numbers from {n_fake} generated and {real} real images: the bias depends on both"
        )
    return notes
