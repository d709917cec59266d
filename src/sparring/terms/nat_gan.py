"""NAT-GAN: the discriminator is a classifier of the real classes that should answer "none in particular" to fakes.

    L_D = E_(x,y) H(y, D(x)) + E_z KL(u || D(G(z)))
    L_G = - E_z log max_i D_i(G(z))

    D(x)    softmax over the c real classes; there is no class for fakes and no score
    H       cross-entropy with the true class
    u       (1/c, ..., 1/c), the answer for whatever is not in the data
    i       the dynamic label: the class that the fake resembles most, a constant for the gradient

"Negative-Aware Training: Be Aware of Negative Samples", Eq. 9; the generator's loss is AM-GAN's, Eq. 7. `negatives` adds the
external samples of Eq. 9 to the fake side, weighing each as a fake: NAT-GAN_X with X of them per batch.

Deviations
    The paper writes its divergence in both orders (Eq. 1 and Eq. 4); the printed KL and the authors' code agree on
    KL(u || p), the default. `divergence` offers the reverse, Jensen-Shannon and the squared error, which Eq. 1 allows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from sparring.terms.class_logits import ClassLogitsLoss
from sparring.terms.divergences import TO_UNIFORM, Divergence

if TYPE_CHECKING:
    from sparring.objective.round import Round, Side


class NATGAN(ClassLogitsLoss):
    """Cross-entropy on reals, a divergence from the uniform answer on fakes; the generator wants to look like some class."""

    divergence: Divergence = "kl"
    """The distance from the uniform answer; `kl` is the paper's."""

    def on_fake(self, side: Side) -> Tensor:
        return TO_UNIFORM[self.divergence](side.class_logits)

    def generator_loss(self, r: Round) -> Tensor:
        return self.resembling_a_class(r)
