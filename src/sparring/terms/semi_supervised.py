"""Semi-supervised conditional GANs: unlabelled reals join the labelled ones, with the labels that the classifier gives them.

    L_D = (L_Dreal + L_Dunlab)/2 + L_Dfake + L_Daux        L_Dunlab = E_{x~p_u} on_real(x, y~(x))
        = L_host + L_Daux + (L_Dunlab - L_Dreal)/2

    on_real     the host's loss of a real sample, for a label where D is conditional: max(0, 1 - D(x, y)) for hinge
    y~(x)       argmax_k C_k(x), the pseudo-label: a constant for the gradient
    C           the classifier that is trained beside the discriminator by L_Daux
    p_u         unlabelled data; their batch has the size of the labelled one

"A Multi-Class Hinge Loss for Conditional GANs", Eq. 7 and 8 with `multi_hinge`, Eq. 9 with `auxiliary_classifier`, one of
which trains C on the labelled reals. This term is the last summand of the second line; the generator's loss does not change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from sparring.errors import SparringError
from sparring.objective.context import Player
from sparring.objective.term import Build, Term
from sparring.terms import checks

if TYPE_CHECKING:
    from sparring.objective.round import Round


def pseudo_labels(logits: Tensor, num_classes: int) -> Tensor:
    """argmax_k C_k over the real classes of logits [B, num_classes (+ extra)]; [B]."""
    return logits[:, :num_classes].detach().argmax(1)


class SemiSupervised(Term):
    """Half of the host's real side becomes unlabelled data with pseudo-labels."""

    head: str = "class_logits"
    """The classifier's output in the discriminator, as another term of the objective names it."""

    def needs(self, player: Player, update: int) -> set[str]:
        return {"real", "unlabelled"} if player == "discriminator" else set()

    def check(self, build: Build) -> None:
        if "unlabelled" not in build.sides:
            raise SparringError(
                "semi_supervised has no unlabelled data: keep a share of the labels with data.labelled, or name a source "
                "with unlabelled.source"
            )
        checks.separable_host(build, "semi_supervised")
        if build.objective is not None and self.head not in build.objective.heads():
            raise SparringError(
                f"semi_supervised takes pseudo-labels from the head '{self.head}', which no term trains: "
                "add multi_hinge or auxiliary_classifier"
            )

    def discriminator_loss(self, r: Round) -> Tensor:
        logits = r.unlabelled[self.head]
        believed = r.unlabelled.relabel(pseudo_labels(logits, r.num_classes or logits.shape[1]))
        return (r.host.on_real(believed).mean() - r.host.on_real(r.real).mean()) / 2
