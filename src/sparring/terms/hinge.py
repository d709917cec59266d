"""The hinge GAN: the discriminator asks for a margin of 1 on either side and nothing beyond it.

    L_D = E_x max(0, 1 - D(x)) + E_z max(0, 1 + D(G(z)))
    L_G = - E_z D(G(z))

    D(x)    the score of the discriminator; its sign is the decision
    G(z)    a generated sample

Lim and Ye, "Geometric GAN", 2017; Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018,
Eq. 16-17. A sample beyond its margin gives no gradient, to the discriminator's weights or to the pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from sparring.objective.term import AdversarialLoss

if TYPE_CHECKING:
    from sparring.objective.round import Round, Side


class Hinge(AdversarialLoss):
    """A margin of 1 on the score; the generator raises its mean score."""

    @property
    def boundary(self) -> float | None:
        return 0.0

    def on_real(self, side: Side) -> Tensor:
        return F.relu(1 - side.score)

    def on_fake(self, side: Side) -> Tensor:
        return F.relu(1 + side.score)

    def generator_loss(self, r: Round) -> Tensor:
        return -r.fake.score.mean()
