"""The non-saturating GAN: cross-entropy for the discriminator, maximum likelihood of "real" for the generator.

    L_D = - E_x log sigmoid(D(x)) - E_z log(1 - sigmoid(D(G(z))))
    L_G = - E_z log sigmoid(D(G(z)))

    D(x)    the score of the discriminator, a logit; sigmoid(D(x)) is the paper's D(x), the probability of being real
    G(z)    a generated sample

Goodfellow et al., "Generative Adversarial Nets", 2014: Eq. 1 for the discriminator; the generator's loss is the one that
section 3 proposes for training, as log(1 - D(G(z))) saturates early on. It is the loss of DCGAN and of AS-GAN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from sparring.objective.term import AdversarialLoss

if TYPE_CHECKING:
    from sparring.objective.round import Round, Side


def minus_log_real(score: Tensor) -> Tensor:
    """-log sigmoid(D), per sample; grows linearly where the exponential would overflow."""
    return F.softplus(-score)


def minus_log_fake(score: Tensor) -> Tensor:
    """-log(1 - sigmoid(D)), per sample."""
    return F.softplus(score)


class NonSaturating(AdversarialLoss):
    """Cross-entropy on the score; the generator maximises log sigmoid(D(G(z)))."""

    @property
    def boundary(self) -> float | None:
        return 0.0

    def on_real(self, side: Side) -> Tensor:
        return minus_log_real(side.score)

    def on_fake(self, side: Side) -> Tensor:
        return minus_log_fake(side.score)

    def generator_loss(self, r: Round) -> Tensor:
        return minus_log_real(r.fake.score).mean()
