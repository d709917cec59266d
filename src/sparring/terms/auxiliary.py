"""An auxiliary classifier: its loss on reals for the discriminator, on fakes for the generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from sparring.networks.discriminator import Head
from sparring.objective.context import Player
from sparring.objective.term import Build, Term
from sparring.schedule import Scheduled
from sparring.terms import checks
from sparring.terms.class_logits import labels_of

if TYPE_CHECKING:
    from sparring.objective.round import Round, Side


class AuxiliaryTerm(Term):
    """A classification loss beside the host: L_Daux = E_real loss (+ E_fake loss with `on_fake`), L_Gaux = E_fake loss."""

    generator_weight: Scheduled | None = 0.1
    """The factor in the generator's loss."""
    on_fake: bool = False
    """The discriminator also learns the classes of fakes, as the released code of MHGAN and ACGAN does."""
    shared: bool = False
    """The logits are h E^T with the class embedding E of the projection head, without another layer (MHSharedGAN)."""
    head: str = "class_logits"
    """The name of the discriminator's output, for two classifiers in one objective."""

    def heads(self) -> tuple[Head, ...]:
        return (Head(name=self.head, outputs="num_classes", shared_with="score" if self.shared else None),)

    def needs(self, player: Player, update: int) -> set[str]:
        if player == "generator":
            return set() if self.weight == 0 else {"fake"}  # a classifier that is not trained does not steer
        return {"real", "fake"} if self.on_fake else {"real"}

    def check(self, build: Build) -> None:
        checks.labels(build, self)

    def per_sample(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss [B] of logits [B, K] for labels [B]."""
        raise NotImplementedError

    def mean_loss(self, side: Side) -> Tensor:
        return self.per_sample(side[self.head], labels_of(side, self)).mean()

    def discriminator_loss(self, r: Round) -> Tensor:
        on_real = self.mean_loss(r.real)
        return on_real + self.mean_loss(r.fake) if self.on_fake else on_real

    def generator_loss(self, r: Round) -> Tensor:
        return self.mean_loss(r.fake)
