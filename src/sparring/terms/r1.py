"""R1 and R2: the discriminator's gradient should vanish at real samples (R1) or at generated ones (R2).

    R1 = gamma/2 E_x ||grad_x D(x)||^2        R2 = gamma/2 E_z ||grad D(G(z))||^2

    D       the host's realness: the score, or for a host on class logits their largest log-probability
    gamma   the paper's strength. The term itself is the mean squared norm, so `weight` = gamma/2: the paper's gamma = 10
            is the default weight 5.

Mescheder, Geiger and Nowozin, "Which Training Methods for GANs do actually Converge?", 2018, Eq. 9 and 10. R3GAN takes
both, beside `relativistic_pairing`. A lazy penalty (`every`, from Karras et al., StyleGAN2, 2020) is applied at each n-th
update, n times as strong. The side has its own pass in full precision, as it is differentiated twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from sparring.objective.context import Player
from sparring.objective.term import Penalty
from sparring.schedule import Scheduled

if TYPE_CHECKING:
    from sparring.objective.round import Round, Side


def squared_gradient_norm(realness: Tensor, images: Tensor) -> Tensor:
    """||d realness / d image||^2 per sample [B], itself differentiable."""
    (gradient,) = torch.autograd.grad(realness.sum(), images, create_graph=True)
    return gradient.flatten(1).square().sum(1)


class R1(Penalty):
    """The mean squared gradient norm at the real samples; `weight` is half of the paper's gamma."""

    differentiates_twice: ClassVar[bool] = True

    weight: Scheduled = 5.0
    """Half of the paper's gamma."""

    def needs(self, player: Player, update: int) -> set[str]:
        return {"real", "real.second_order"} if player == "discriminator" else set()

    def discriminator_loss(self, r: Round) -> Tensor:
        return _penalty(r, r.real)


class R2(Penalty):
    """The mean squared gradient norm at the generated samples; `weight` is half of the paper's gamma."""

    differentiates_twice: ClassVar[bool] = True

    weight: Scheduled = 5.0
    """Half of the paper's gamma."""

    def needs(self, player: Player, update: int) -> set[str]:
        return {"fake", "fake.second_order"} if player == "discriminator" else set()

    def discriminator_loss(self, r: Round) -> Tensor:
        return _penalty(r, r.fake)


def _penalty(r: Round, side: Side) -> Tensor:
    return squared_gradient_norm(r.host.realness(side), side.input).mean()
