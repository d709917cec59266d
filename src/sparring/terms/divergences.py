"""How far a softmax output is from the uniform answer, per sample: what negative-aware training asks for.

    u = (1/c, ..., 1/c)     p = softmax(logits) over c classes     m = (u + p)/2

Each is zero at equal logits and unchanged by a constant added to them. They are computed from log-softmax, with
p log p = 0 at p = 0, so that value and gradient are finite where logits are and their differences do not overflow. Where a
logit is -inf, or as far below another, p is 0: KL(u || p) is infinite there, as it should be, with the gradient p - u; the
others stay finite. A logit of NaN or +inf makes all of them NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Literal

import torch
from torch import Tensor

Divergence = Literal["kl", "reverse_kl", "js", "squared_error"]


def kl_to_uniform(logits: Tensor) -> Tensor:
    """KL(u || p) = -1/c sum_i log p_i - log c for logits [B, c]; [B]. Its gradient in the logits is p - u."""
    return -logits.log_softmax(1).mean(1) - log(logits.shape[1])


def reverse_kl_to_uniform(logits: Tensor) -> Tensor:
    """KL(p || u) = sum_i p_i log p_i + log c for logits [B, c]; [B], at most log c."""
    log_p = logits.log_softmax(1)
    return _mean_over(log_p.exp(), log_p) + log(logits.shape[1])


def js_to_uniform(logits: Tensor) -> Tensor:
    """JS(u, p) = 1/2 KL(u || m) + 1/2 KL(p || m) for logits [B, c]; [B], at most log 2."""
    log_p, log_u = logits.log_softmax(1), -log(logits.shape[1])
    log_m = torch.logaddexp(log_p, torch.full_like(log_p, log_u)) - log(2)
    return 0.5 * ((log_u - log_m).mean(1) + _mean_over(log_p.exp(), log_p - log_m))


def squared_error_to_uniform(logits: Tensor) -> Tensor:
    """sum_i (p_i - 1/c)^2 for logits [B, c]; [B], at most 1."""
    return (logits.softmax(1) - 1 / logits.shape[1]).square().sum(1)


def _mean_over(p: Tensor, logarithms: Tensor) -> Tensor:
    """sum_i p_i l_i for [B, c]; [B]. 0 where p is, also for l = -inf, whose gradient would be 0 * inf."""
    return (p * torch.where(p == 0, 0, logarithms)).sum(1)


TO_UNIFORM: dict[str, Callable[[Tensor], Tensor]] = {
    "kl": kl_to_uniform,
    "reverse_kl": reverse_kl_to_uniform,
    "js": js_to_uniform,
    "squared_error": squared_error_to_uniform,
}
