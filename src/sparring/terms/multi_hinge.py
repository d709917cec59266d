"""MHGAN: a classifier beside the projection discriminator, trained with a multi-class hinge.

    L_Daux = E_(x,y) max(0, 1 - C_y(x) + C_{!y}(x))                     weight 1
    L_Gaux = E_(z,y) max(0, 1 - C_y(G(z,y)) + C_{!y}(G(z,y)))           weight lambda = 0.1, `generator_weight`

    C(x)    K class affinities, a linear layer on the discriminator's features
    C_{!y}  max_{k != y} C_k, the highest affinity for another class
    y       the label of a real sample; for a fake the class that it was generated for

"A Multi-Class Hinge Loss for Conditional GANs" (MHGAN), Eq. 4 and 5. `shared` reads C from the projection head's class
embedding: MHSharedGAN, which the paper fine-tunes from a trained SAGAN, as training it from scratch fails.

Deviations
    `on_fake` adds the generated term that the released code has in L_Daux and the paper does not.
    Labels run from 0 to K-1 (the paper: 0 to K). Labels of fakes are uniform over the classes, as in the released code.
"""

from __future__ import annotations

from torch import Tensor

from sparring.terms.auxiliary import AuxiliaryTerm
from sparring.terms.class_logits import crammer_singer


class MultiHinge(AuxiliaryTerm):
    """A Crammer-Singer hinge with margin `margin` on the auxiliary classifier."""

    margin: float = 1.0
    """By how much the right class should win."""

    def per_sample(self, logits: Tensor, labels: Tensor) -> Tensor:
        return crammer_singer(logits, labels, self.margin)
