"""AM-GAN: a classifier with an extra class for fakes; the generator aims at the class that each sample resembles most.

    L_D = E_(x,y) H(y, D(x)) + E_z H(c+1, D(G(z)))
    L_G = E_z H(y~, D(G(z)))        y~ = argmax_{i <= c} D_i(G(z))

    D(x)    softmax over c real classes and the fake class c+1, the last output
    H       cross-entropy with a one-hot label
    y~      the dynamic label, over the first c outputs alone and a constant for the gradient; the softmax has all c+1

Zhou et al., "Activation Maximization Generative Adversarial Nets", 2018; "Negative-Aware Training: Be Aware of Negative
Samples", Eq. 7 and 8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.terms.class_logits import ClassLogitsLoss

if TYPE_CHECKING:
    from sparring.objective.round import Round, Side


def minus_log_fake_class(logits: Tensor) -> Tensor:
    """H(c+1, D) per sample [B], the fake class being the last of logits [B, c+1]."""
    fake_class = torch.full((len(logits),), logits.shape[1] - 1, dtype=torch.int64, device=logits.device)
    return F.cross_entropy(logits, fake_class, reduction="none")


class AMGAN(ClassLogitsLoss):
    """Cross-entropy over c+1 classes, with dynamic labels for the generator."""

    extra: ClassVar[int] = 1

    def on_fake(self, side: Side) -> Tensor:
        return minus_log_fake_class(side.class_logits)

    def generator_loss(self, r: Round) -> Tensor:
        return self.resembling_a_class(r)
