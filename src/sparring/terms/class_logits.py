"""What methods on class logits share; for hosts, the discriminator is a classifier and its confidence is the score.

c       real classes; `extra` more outputs stand for fakes
p_k     softmax over all outputs of the discriminator
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch.nn.functional as F
from torch import Tensor

from sparring.errors import SparringError
from sparring.networks.discriminator import Head
from sparring.objective.term import AdversarialLoss, Build, Term
from sparring.terms import checks

if TYPE_CHECKING:
    from sparring.objective.round import Round, Side


def labels_of(side: Side, term: Term) -> Tensor:
    """The side's labels [B]; raises SparringError if there are none."""
    if side.labels is None:
        raise SparringError(
            f"{checks.name_of(term)} reads the classes of the {side.name or 'judged'} samples, which have no labels: "
            "give labelled data, or pass labels= and fake_labels="
        )
    return side.labels


def dynamic_label(logits: Tensor, extra: int = 0) -> Tensor:
    """The real class that each sample resembles most [B]: the first arg-max, no gradient through it (AM-GAN)."""
    return logits[:, : logits.shape[1] - extra].detach().argmax(1)


def largest_log_probability(logits: Tensor, extra: int) -> Tensor:
    """max_k log p_k over the real classes [B]; the softmax runs over all outputs."""
    return logits.log_softmax(1)[:, : logits.shape[1] - extra].amax(1)


def crammer_singer(logits: Tensor, labels: Tensor, margin: float = 1.0) -> Tensor:
    """max(0, margin - C_y + max_{k != y} C_k) for logits C [B, K] and labels y [B]; [B].

    The gradient is -1 on C_y and +1 on the first largest of the others where the margin is missed, and 0 elsewhere.
    """
    own = F.one_hot(labels, logits.shape[1]).bool()
    c_y = logits.gather(1, labels[:, None])[:, 0]
    c_not_y = logits.masked_fill(own, -float("inf")).max(1).values
    return F.relu(margin - c_y + c_not_y)


class ClassLogitsLoss(AdversarialLoss):
    """A host without a score: `class_logits` [B, c + extra], cross-entropy on the real samples' own classes."""

    categorical: ClassVar[bool] = True
    extra: ClassVar[int] = 0

    def heads(self) -> tuple[Head, ...]:
        return (Head(name="class_logits", outputs="num_classes", extra_outputs=self.extra),)

    def check(self, build: Build) -> None:
        checks.labels(build, self)

    def on_real(self, side: Side) -> Tensor:
        return F.cross_entropy(side.class_logits, labels_of(side, self), reduction="none")

    def realness(self, side: Side) -> Tensor:
        return largest_log_probability(side.class_logits, self.extra)

    def resembling_a_class(self, r: Round) -> Tensor:
        """-E log p_y of the fakes, y the dynamic label: what AM-GAN's and NAT-GAN's generator minimises."""
        logits = r.fake.class_logits
        return F.cross_entropy(logits, dynamic_label(logits, self.extra))
