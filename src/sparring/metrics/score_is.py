"""Inception Score: exp( mean_x KL( p(y|x) || p(y) ) ), where p(y) is the mean over a group of images.

Salimans et al. 2016 (arXiv 1606.03498) section 4. It lies in [1, C]. It is biased downwards for small groups: compare
numbers only at equal N and equal number of groups (papers use 10 groups of 5,000, or one of 50,000).

A group is a run of consecutive rows. If images come class by class, as they do from a folder, each group holds few
classes and scores far too low. Evaluations therefore shuffle the rows first, by torch-fidelity's default permutation, so
that both programs give equal numbers.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from sparring.errors import SparringError
from sparring.metrics.base import Comparison, FeatureSet, Metric, Record, record
from sparring.metrics.features import check_matrix, check_whole

SHUFFLE = 2020  # torch-fidelity's default seed


def inception_score(probabilities: Tensor, splits: int = 10, *, shuffle: int | None = None) -> tuple[float, float]:
    """Mean and (population) standard deviation of the score of class probabilities [N, C], over `splits` groups.

    shuffle: the seed of a permutation of the rows (`SHUFFLE` is torch-fidelity's). Without it their order should be random.
    Computed in float64. Raises SparringError for rows that are not distributions, or for fewer rows than groups.
    """
    return _score(probability_logs(probabilities), splits, shuffle)


def inception_score_from_logits(logits: Tensor, splits: int = 10, *, shuffle: int | None = None) -> tuple[float, float]:
    """As `inception_score`, for logits [N, C]. This loses no digits to probabilities that round to 0 or 1."""
    _check(logits, "logits")
    return _score(logits.double().log_softmax(1), splits, shuffle)


def check_groups(splits: int, n: int) -> None:
    """Raise SparringError unless n images can be split into this many groups."""
    check_whole(splits, "the number of groups (splits, --is-splits)", 1)
    if splits > n:
        raise SparringError(
            f"an Inception Score needs at least one image per group (splits, --is-splits), got {splits} for {n} images: use "
            "fewer groups or more images"
        )


def _score(logs: Tensor, splits: int, shuffle: int | None) -> tuple[float, float]:
    n = len(logs)
    check_groups(splits, n)
    if shuffle is not None and splits > 1:
        logs = logs[torch.from_numpy(np.random.RandomState(shuffle).permutation(n)).to(logs.device)]
    scores = []
    for i in range(splits):
        group = logs[i * n // splits : (i + 1) * n // splits]
        marginal = group.exp().mean(0)
        entropy_of_mean = -torch.special.xlogy(marginal, marginal).sum()
        scores.append((entropy_of_mean - entropies(group).mean()).exp())
    found = torch.stack(scores)
    return found.mean().item(), found.std(correction=0).item()


def entropies(logs: Tensor) -> Tensor:
    """Entropy [N] in nats of distributions that are given by their logarithms [N, C]; 0 log 0 = 0."""
    return torch.special.entr(logs.exp()).sum(1)


def probability_logs(probabilities: Tensor) -> Tensor:
    """Logarithms [N, C], as float64, of class probabilities, which are checked and normalised to sum to 1."""
    _check(probabilities, "probabilities")
    p = probabilities.double()
    total = p.sum(1, keepdim=True)
    allowed = max(1e-3, torch.finfo(probabilities.dtype).eps)  # a softmax in bfloat16 sums to 1 within 0.004
    if (p < 0).any() or ((total - 1).abs() > allowed).any():
        raise SparringError(
            "probabilities must be >= 0 and sum to 1 in each row of [N, C]: pass logits to the function that ends in "
            "_from_logits, or apply softmax(1) first"
        )
    return (p / total).log()


def _check(x: Tensor, name: str) -> None:
    check_matrix(x, name, "[N, C]")
    if not len(x):
        raise SparringError(f"there is no score of zero images: {name} must be [N, C] with N >= 1")
    if not x.isfinite().all():
        raise SparringError(f"{name} must be finite: check the images and the classifier's weights")


class InceptionScore(Metric):
    """Inception Score of the predictions for the generated images."""

    needs = frozenset({"fake.predictions"})

    def check(self, c: Comparison) -> None:
        check_groups(c.splits, c.fake.n)

    def records(self, fake: FeatureSet, real: FeatureSet, c: Comparison) -> Iterator[Record]:
        assert fake.logits is not None
        mean, deviation = inception_score_from_logits(fake.logits, c.splits, shuffle=SHUFFLE)
        yield record("IS", mean, "higher", std=deviation, groups=c.splits, shuffle_seed=SHUFFLE)
