"""CatGAN: the discriminator is sure of real samples and unsure of fakes; both players keep their classes in balance.

    L_D = - H[mean_i D(x_i)] + E_x H[D(x)] - E_z H[D(G(z))]
    L_G = - H[mean_i D(G(z_i))] + E_z H[D(G(z))]

    D(x)    softmax over the c classes
    H[p]    entropy of a distribution; H[mean D] is that of the batch's marginal class distribution

Springenberg, "Unsupervised and Semi-supervised Learning with Categorical Generative Adversarial Networks", 2016;
"Negative-Aware Training: Be Aware of Negative Samples", Eq. 10 and 11. The entropy form takes no labels;
`auxiliary_classifier` on the same head adds them. `negatives` joins the fakes in E_z H of L_D: CatGAN_X.

Deviations
    The paper prints Eq. 10 and 11 as losses; they are objectives to maximise, so the losses are their negatives.
    It prints cross-entropies where CatGAN has conditional entropies: `form: cross_entropy` follows the print, with the true
    class for reals and the dynamic label, the largest of D, for fakes. The marginal is that of each rank and micro-batch.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor

from sparring.objective.term import Build
from sparring.terms.class_logits import ClassLogitsLoss, dynamic_label

if TYPE_CHECKING:
    from sparring.objective.round import Round, Side


def entropy(logits: Tensor) -> Tensor:
    """H[softmax] per sample [B] of logits [B, c], between 0 and log c."""
    log_p = logits.log_softmax(1)
    return -(log_p.exp() * log_p).sum(1)


def marginal_entropy(logits: Tensor) -> Tensor:
    """H of a batch's mean distribution for logits [B, c], in logarithms, so that a class that never occurs adds 0."""
    log_mean = logits.log_softmax(1).logsumexp(0) - log(len(logits))
    return -(log_mean.exp() * log_mean).sum()


class CatGAN(ClassLogitsLoss):
    """Entropies of the class distribution, per sample and of the batch's mean."""

    couples_samples: ClassVar[bool] = True

    form: Literal["entropy", "cross_entropy"] = "entropy"
    """Entropies, or the cross-entropies that the negative-aware paper prints."""

    def check(self, build: Build) -> None:
        if self.form == "cross_entropy":
            super().check(build)

    def on_real(self, side: Side) -> Tensor:
        return entropy(side.class_logits) if self.form == "entropy" else super().on_real(side)

    def on_fake(self, side: Side) -> Tensor:
        return -self._unsureness(side.class_logits)

    def discriminator_loss(self, r: Round) -> Tensor:
        return super().discriminator_loss(r) - marginal_entropy(r.real.class_logits)

    def generator_loss(self, r: Round) -> Tensor:
        logits = r.fake.class_logits
        return self._unsureness(logits).mean() - marginal_entropy(logits)

    def _unsureness(self, logits: Tensor) -> Tensor:
        """H[D] per sample, or in the printed form the cross-entropy with the dynamic label."""
        if self.form == "entropy":
            return entropy(logits)
        return F.cross_entropy(logits, dynamic_label(logits), reduction="none")
