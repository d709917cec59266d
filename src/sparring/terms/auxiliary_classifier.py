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

import torch.nn.functional as F
from torch import Tensor

from sparring.terms.auxiliary import AuxiliaryTerm


class AuxiliaryClassifier(AuxiliaryTerm):
    """Cross-entropy on the auxiliary classifier."""

    def per_sample(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, reduction="none")
