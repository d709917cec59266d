"""The Wasserstein GAN: the score is a critic whose mean difference estimates a distance between distributions.

    L_D = E_z D(G(z)) - E_x D(x)
    L_G = - E_z D(G(z))

    D(x)    the critic's score, any real number; the paper's f_w
    G(z)    a generated sample; the paper's g_theta

Arjovsky, Chintala and Bottou, "Wasserstein GAN", 2017, Eq. 3 and Algorithm 1. The estimate presumes a Lipschitz critic:
add `gradient_penalty`, spectral normalisation, or the paper's weight clipping, which is an option of the recipe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from sparring.objective.term import AdversarialLoss

if TYPE_CHECKING:
    from sparring.objective.round import Round, Side


class Wasserstein(AdversarialLoss):
    """The difference of mean scores; unbounded below, so keep the critic Lipschitz by other means."""

    def on_real(self, side: Side) -> Tensor:
        return -side.score

    def on_fake(self, side: Side) -> Tensor:
        return side.score

    def generator_loss(self, r: Round) -> Tensor:
        return -r.fake.score.mean()
