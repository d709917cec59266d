"""LSGAN: the score is regressed on one target for real samples and on another for generated ones.

    L_D = 1/2 E_x (D(x) - b)^2 + 1/2 E_z (D(G(z)) - a)^2
    L_G = 1/2 E_z (D(G(z)) - c)^2

    a       the discriminator's target for generated samples
    b       the discriminator's target for real samples
    c       the score that the generator wants for its samples

Mao et al., "Least Squares Generative Adversarial Networks", 2017, Eq. 2. The defaults a = 0, b = c = 1 are its Eq. 9, which
its experiments use; a = -1, b = 1, c = 0 (Eq. 8) makes the generator minimise a Pearson chi-squared divergence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from sparring.objective.term import AdversarialLoss

if TYPE_CHECKING:
    from sparring.objective.round import Round, Side


def half_square(score: Tensor, target: float) -> Tensor:
    """1/2 (D - target)^2, per sample."""
    return 0.5 * (score - target).square()


class LeastSquares(AdversarialLoss):
    """Squared distance of the score from the targets a (fake), b (real) and c (the generator's)."""

    a: float = 0.0
    """The discriminator's target for fakes."""
    b: float = 1.0
    """The discriminator's target for real images."""
    c: float = 1.0
    """The score that the generator wants for its images."""

    @property
    def boundary(self) -> float | None:
        return (self.a + self.b) / 2 if self.b > self.a else None

    def on_real(self, side: Side) -> Tensor:
        return half_square(side.score, self.b)

    def on_fake(self, side: Side) -> Tensor:
        return half_square(side.score, self.a)

    def generator_loss(self, r: Round) -> Tensor:
        return half_square(r.fake.score, self.c).mean()
