"""K+1 classes: the discriminator classifies reals and puts fakes in their own class; the generator matches features.

    L_D = E_(x,y) l(y, C(x)) + E_z l(K+1, C(G(z)))
    L_G = || E_x f(x) - E_z f(G(z)) ||_2^2

    C(x)    K+1 logits, the last one for fakes
    f(x)    the features that the discriminator's heads read
    l       cross-entropy, -log p_y; or the multi-hinge, max(0, 1 - C_y + max_{k != y} C_k)

Salimans et al., "Improved Techniques for Training GANs", 2016, sections 3.1 and 5: feature matching and K+1 classes. The
multi-hinge form puts the hinge of "A Multi-Class Hinge Loss for Conditional GANs", Eq. 4, in place of the
cross-entropy. A real sample with a negative label is of some real class and costs -log(1 - p_{K+1}) in the cross-entropy
form (section 5); the multi-hinge form takes labelled samples alone.

Feature matching compares batch means, for each rank and micro-batch; real samples are judged in the generator's update too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor

from sparring.objective.context import Player
from sparring.terms.class_logits import ClassLogitsLoss, crammer_singer, labels_of
from sparring.terms.features import squared_mean_distance

if TYPE_CHECKING:
    from sparring.objective.round import Round, Side


def minus_log_class(logits: Tensor, labels: Tensor) -> Tensor:
    """-log p_y per sample [B]; -log(1 - p_{K+1}) where the label is negative, for logits [B, K+1]."""
    log_p = logits.log_softmax(1)
    some_class = log_p[:, :-1].logsumexp(1)
    own_class = log_p.gather(1, labels.clamp_min(0)[:, None])[:, 0]
    return -torch.where(labels >= 0, own_class, some_class)


class KPlusOne(ClassLogitsLoss):
    """A classifier with a class for fakes, against a generator that matches mean features."""

    extra: ClassVar[int] = 1
    couples_samples: ClassVar[bool] = True

    form: Literal["cross_entropy", "multi_hinge"] = "cross_entropy"
    """The classification loss of the discriminator."""

    def needs(self, player: Player, update: int) -> set[str]:
        return {"real", "fake"}

    def on_real(self, side: Side) -> Tensor:
        return self._classification(side.class_logits, labels_of(side, self))

    def on_fake(self, side: Side) -> Tensor:
        logits = side.class_logits
        return self._classification(logits, torch.full_like(logits[:, 0], logits.shape[1] - 1, dtype=torch.int64))

    def _classification(self, logits: Tensor, labels: Tensor) -> Tensor:
        return minus_log_class(logits, labels) if self.form == "cross_entropy" else crammer_singer(logits, labels)

    def generator_loss(self, r: Round) -> Tensor:
        return squared_mean_distance(r.real.features, r.fake.features)
