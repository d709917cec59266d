"""The minimax GAN: both players share one value function, which saturates for the generator while its samples are bad.

    V(D, G) = E_x log sigmoid(D(x)) + E_z log(1 - sigmoid(D(G(z))))
    L_D = -V        L_G = E_z log(1 - sigmoid(D(G(z))))

    D(x)    the score of the discriminator, a logit; sigmoid(D(x)) is the paper's D(x), the probability of being real
    G(z)    a generated sample

Goodfellow et al., "Generative Adversarial Nets", 2014, Eq. 1. The generator's gradient vanishes as D(G(z)) falls, so for
training prefer `non_saturating`, which has the same discriminator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from sparring.objective.term import AdversarialLoss

if TYPE_CHECKING:
    from sparring.objective.round import Round, Side


def log_real(score: Tensor) -> Tensor:
    """log sigmoid(D), per sample, at most 0; falls linearly where the exponential would overflow."""
    return -F.softplus(-score)


def log_fake(score: Tensor) -> Tensor:
    """log(1 - sigmoid(D)), per sample, at most 0."""
    return -F.softplus(score)


class Minimax(AdversarialLoss):
    """Cross-entropy on the score; the generator minimises log(1 - sigmoid(D(G(z)))), a loss that is never positive."""

    @property
    def boundary(self) -> float | None:
        return 0.0

    def on_real(self, side: Side) -> Tensor:
        return -log_real(side.score)

    def on_fake(self, side: Side) -> Tensor:
        return -log_fake(side.score)

    def generator_loss(self, r: Round) -> Tensor:
        return log_fake(r.fake.score).mean()
