"""ACGAN: a classifier beside the discriminator, trained with cross-entropy.

    L_Daux = - E_(x,y) log C_y(x)               weight 1
    L_Gaux = - E_(z,y) log C_y(G(z,y))          weight lambda = 0.1, `generator_weight`

    C(x)    softmax of a linear layer on the discriminator's features
    y       the label of a real sample; for a fake the class that it was generated for

Odena, Olah and Shlens, "Conditional Image Synthesis with Auxiliary Classifier GANs", 2017, Eq. 3; in the place and with the
weights of "A Multi-Class Hinge Loss for Conditional GANs", whose baseline it is (Eq. 10). Options as for `multi_hinge`.

Deviations
    ACGAN itself classifies fakes in L_Daux too and gives the generator weight 1: `on_fake: true, generator_weight: 1`.
    The multi-hinge paper prints + E log C_y in losses that are minimised; the sign here is that of a cross-entropy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
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
    """A classification loss beside the host: L_Daux = E_real loss (+ E_fake loss with `on_fake`), L_Gaux = E_fake loss.

    on_fake: the discriminator also learns the classes of generated samples, as the released code of MHGAN and ACGAN does.
    shared: the logits are h E^T with the class embedding E of the projection head, no layer of their own (MHSharedGAN).
    head: the name of the discriminator's output, for two classifiers in one objective.
    """

    generator_weight: Scheduled | None = 0.1
    on_fake: bool = False
    shared: bool = False
    head: str = "class_logits"

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


class AuxiliaryClassifier(AuxiliaryTerm):
    """Cross-entropy on the auxiliary classifier."""

    def per_sample(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, reduction="none")
