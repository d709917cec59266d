"""The relativistic pairing GAN: each fake is judged against one real sample, never on its own.

    L_D = E_{x,z} softplus(-(D(x) - D(G(z))))
    L_G = E_{x,z} softplus(-(D(G(z)) - D(x)))

    D(x)    the score of the discriminator; only differences of scores count
    (x, z)  a real sample and a latent, paired by their place in the batch

Jolicoeur-Martineau, "The relativistic discriminator: a key element missing from standard GAN", 2018 (RSGAN), with
f = softplus; Huang et al., "The GAN is dead; long live the GAN! A Modern Baseline GAN" (R3GAN), 2024, Eq. 2, who train it
with `r1` and `r2`. In the generator's update the real samples are judged again by the frozen discriminator.

Each update takes as many fakes as reals. No single sample has a loss, so methods that ask the host for
one (`negatives`, `as_gan`, `semi_supervised`) do not combine with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NoReturn

import torch.nn.functional as F
from torch import Tensor

from sparring.errors import SparringError
from sparring.objective.context import Player
from sparring.objective.term import AdversarialLoss

if TYPE_CHECKING:
    from sparring.objective.round import Round, Side


def pairing_loss(winner: Tensor, loser: Tensor) -> Tensor:
    """softplus(-(D(winner) - D(loser))) [B], pairs by index; raises SparringError where the two differ in length."""
    if len(winner) != len(loser):
        raise SparringError(
            f"relativistic_pairing pairs each fake with a real sample and got batches of {len(winner)} and {len(loser)}: "
            "give the generator's update the batch size of the discriminator's"
        )
    return F.softplus(loser - winner)


class RelativisticPairing(AdversarialLoss):
    """Real samples should outscore the fakes they are paired with, and for the generator the other way round."""

    separable: ClassVar[bool] = False

    def needs(self, player: Player, update: int) -> set[str]:
        return {"real", "fake"}

    def on_real(self, side: Side) -> NoReturn:
        _refuse("a real sample")

    def on_fake(self, side: Side) -> NoReturn:
        _refuse("a fake")

    def discriminator_loss(self, r: Round) -> Tensor:
        return pairing_loss(r.real.score, r.fake.score).mean()

    def generator_loss(self, r: Round) -> Tensor:
        return pairing_loss(r.fake.score, r.real.score).mean()


def _refuse(what: str) -> NoReturn:
    raise SparringError(
        f"relativistic_pairing pairs reals with fakes, so {what} alone has no loss: use a separable adversarial loss, "
        "such as non_saturating or hinge, with methods that judge single samples"
    )
