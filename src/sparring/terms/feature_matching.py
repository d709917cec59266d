"""Feature matching: generated samples should have, on average, the discriminator's features of real ones.

    L_G = || E_x f(x) - E_z f(G(z)) ||_2^2

    f(x)    the features that the discriminator's heads read

Salimans et al., "Improved Techniques for Training GANs", 2016, section 3.1. It is added to the host's generator loss; with
`generator_weight: 0` on the host it takes its place. The means are those of each rank and micro-batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from sparring.objective.context import Player
from sparring.objective.term import Term
from sparring.terms.features import squared_mean_distance

if TYPE_CHECKING:
    from sparring.objective.round import Round


class FeatureMatching(Term):
    """The squared distance of mean features, for the generator."""

    couples_samples: ClassVar[bool] = True

    def needs(self, player: Player, update: int) -> set[str]:
        return {"real", "fake"} if player == "generator" else set()

    def generator_loss(self, r: Round) -> Tensor:
        return squared_mean_distance(r.real.features, r.fake.features)
