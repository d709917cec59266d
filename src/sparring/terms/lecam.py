"""LeCam: scores are held near the moving average of the other side's, for training on few images.

    R = E_x (D(x) - a_F)^2 + E_z (D(G(z)) - a_R)^2
    a_R <- gamma a_R + (1 - gamma) E_x D(x)         a_F likewise with the fakes

    D           the host's realness: the score, or for a host on class logits their largest log-probability
    a_R, a_F    moving averages of the real and the fake scores, this term's memory; constants for the gradient
    gamma       the decay, 0.99 in the paper

Tseng et al., "Regularizing Generative Adversarial Networks under Limited Data", 2021. `weight` 0.3 is the usual strength
for CIFAR. In the first `start` discriminator updates the averages follow the batch and nothing is penalised.

Deviations
    `one_sided` is the released code's form: only a real score above a_F, and a fake one below a_R, is penalised.
    An update reads the averages as of the update before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from sparring.objective.context import Player
from sparring.objective.term import Build, Term
from sparring.schedule import Scheduled
from sparring.terms import checks

if TYPE_CHECKING:
    from sparring.objective.round import Round


def excess(above: Tensor, below: Tensor, one_sided: bool) -> Tensor:
    """(above - below)^2 per sample; `one_sided` counts it only if `above` is larger."""
    gap = above - below
    return (F.relu(gap) if one_sided else gap).square()


class LeCam(Term):
    """Squared distance of each score from the other side's moving average."""

    weight: Scheduled = 0.3
    """The strength; 0.3 is usual for CIFAR."""
    decay: float = Field(0.99, ge=0, lt=1)
    """The decay of the moving averages of scores."""
    start: int = Field(1000, ge=1)
    """Discriminator updates before anything is penalised."""
    one_sided: bool = False
    """Penalise only real scores above the fakes' average and fake ones below the reals', as the released code does."""

    def initial_state(self) -> dict[str, Tensor]:
        return {"real": torch.zeros(()), "fake": torch.zeros(())}

    def needs(self, player: Player, update: int) -> set[str]:
        return {"real", "fake"} if player == "discriminator" else set()

    def check(self, build: Build) -> None:
        updates = build.steps * build.d_steps
        checks.acts_within(self.start, updates, field="lecam.start", unit="discriminator updates")

    def scaled(self, factor: float) -> Term:
        return super().scaled(factor).model_copy(update={"start": max(1, round(self.start * factor))})

    def discriminator_loss(self, r: Round) -> Tensor | None:
        real, fake = r.host.realness(r.real), r.host.realness(r.fake)
        gamma = self.decay if r.update >= self.start else 0.0
        a_R, a_F = (r.state[side].to(real) for side in ("real", "fake"))
        r.remember(real=gamma * a_R + (1 - gamma) * real.mean(), fake=gamma * a_F + (1 - gamma) * fake.mean())
        if r.update < self.start:
            return None
        return excess(real, a_F, self.one_sided).mean() + excess(a_R, fake, self.one_sided).mean()
