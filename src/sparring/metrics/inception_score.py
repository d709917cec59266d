"""Inception Score: exp( mean_x KL( p(y|x) || p(y) ) ), p(y) the mean over the group.

Salimans et al. 2016 (arXiv 1606.03498) section 4. It lies in [1, C]; with N images in a group it is biased downwards, so
numbers compare only at equal N and equal number of groups (papers differ here: 10 groups of 5,000, or one of 50,000).
"""

import torch
from torch import Tensor

from sparring.errors import SparringError


def inception_score(probabilities: Tensor, splits: int = 10) -> tuple[float, float]:
    """Mean and (population) standard deviation over `splits` groups of the score of class probabilities [N, C].

    Groups are consecutive rows, so the rows' order should be random. Computed in float64; a probability of 0 adds nothing.
    Raises SparringError for rows that are no distributions, or for fewer rows than groups.
    """
    return _score(probability_logs(probabilities), splits)


def inception_score_from_logits(logits: Tensor, splits: int = 10) -> tuple[float, float]:
    """As `inception_score`, for logits [N, C]: no digit is lost where a probability would round to 0 or 1."""
    _check_matrix(logits, "logits")
    return _score(logits.double().log_softmax(1), splits)


def _score(logs: Tensor, splits: int) -> tuple[float, float]:
    n = len(logs)
    if not 1 <= splits <= n:
        raise SparringError(f"splits must be between 1 and the number of images, got {splits} for {n} images")
    scores = []
    for i in range(splits):
        group = logs[i * n // splits : (i + 1) * n // splits]
        marginal = group.exp().mean(0)
        entropy_of_mean = -torch.special.xlogy(marginal, marginal).sum()
        scores.append((entropy_of_mean - entropies(group).mean()).exp())
    found = torch.stack(scores)
    return found.mean().item(), found.std(correction=0).item()


def entropies(logs: Tensor) -> Tensor:
    """Entropy [N] in nats of the distributions whose logarithms are [N, C]; 0 log 0 = 0."""
    return torch.special.entr(logs.exp()).sum(1)


def probability_logs(probabilities: Tensor) -> Tensor:
    """Logarithms [N, C] in float64 of class probabilities [N, C], checked and normalised to sum to 1."""
    _check_matrix(probabilities, "probabilities")
    p = probabilities.double()
    total = p.sum(1, keepdim=True)
    if (p < 0).any() or ((total - 1).abs() > 1e-3).any():
        raise SparringError(
            "probabilities must be >= 0 and sum to 1 in each row of [N, C]: pass logits to the function that ends in "
            "_from_logits, or apply softmax(1) first"
        )
    return (p / total).log()


def _check_matrix(x: Tensor, name: str) -> None:
    if x.ndim != 2 or not x.is_floating_point() or not len(x):
        raise SparringError(f"{name} must be a float tensor [N, C] with N >= 1, got {x.dtype} {list(x.shape)}")
    if not x.isfinite().all():
        raise SparringError(f"{name} must be finite: look at the images or weights they came from")
