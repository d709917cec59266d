"""Adversarial samples: small steps that raise a loss, and the losses that they may raise."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from sparring.objective.term import AdversarialLoss

if TYPE_CHECKING:
    from sparring.objective.round import Side

SideName = Literal["real", "fake"]
OTHER: dict[SideName, SideName] = {"real": "fake", "fake": "real"}


def host_loss(host: AdversarialLoss, name: SideName, side: Side) -> Tensor:
    """The host's loss [B] of samples that belong on the named side."""
    return host.on_real(side) if name == "real" else host.on_fake(side)


def unlikeness(host: AdversarialLoss, name: SideName, side: Side) -> Tensor:
    """How unlike the named side the samples look [B]: less real for reals, more real for fakes."""
    return -host.realness(side) if name == "real" else host.realness(side)


def fgsm(x: Tensor, gradient: Tensor, eps: float) -> Tensor:
    """x + eps sign(gradient): the point within eps of x in each pixel at which a linear loss is largest."""
    return x + eps * gradient.sign()


def pgd(
    x: Tensor, start: Tensor, gradient_at: Callable[[Tensor], Tensor], *, eps: float, step_size: float, steps: int
) -> Tensor:
    """`steps` steps of `step_size` along the sign of the gradient, projected back to within eps of x after each."""
    attacked = start
    for _ in range(steps):
        attacked = x + (fgsm(attacked, gradient_at(attacked), step_size) - x).clamp(-eps, eps)
    return attacked
