"""WGAN-GP: the discriminator's gradient should have norm 1 on the lines between real and generated samples.

    L = E_{x^} (||grad_x^ D(x^)||_2 - 1)^2        x^ = eps x + (1 - eps) G(z),  eps ~ U[0, 1]

    x       a real sample, paired with a fake by its place in the batch
    x^      a point on the line between the two, one eps for each pair
    D       the host's realness: the score, or for a host on class logits their largest log-probability

Gulrajani et al., "Improved Training of Wasserstein GANs", 2017, Eq. 3; lambda = 10 is the paper's. `one_sided` penalises
only norms above the target (the paper's footnote on page 5); `target` 0 gives the zero-centred penalty on the same points.

The points have their own pass, with the labels of the real samples if the discriminator takes labels. With batch norm the
gradient is that of the batch's summed scores instead of each sample's own: use layer norm or none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.errors import SparringError
from sparring.objective.context import Player
from sparring.objective.term import Penalty
from sparring.schedule import Scheduled

if TYPE_CHECKING:
    from sparring.objective.round import Round


def between(x: Tensor, fake: Tensor, eps: Tensor) -> Tensor:
    """eps x + (1 - eps) G(z) [B, ...]; eps has one number for each pair, [B, 1, ...]."""
    if x.shape != fake.shape:
        raise SparringError(
            f"gradient_penalty draws a line from each fake to a real sample and got batches of shape {list(fake.shape)} "
            f"and {list(x.shape)}: make them equal"
        )
    return torch.lerp(fake, x, eps)


def off_target(gradient: Tensor, target: float, one_sided: bool) -> Tensor:
    """(||gradient||_2 - target)^2 per sample [B]; `one_sided` counts norms above the target only."""
    excess = torch.linalg.vector_norm(gradient.flatten(1), dim=1) - target
    return (F.relu(excess) if one_sided else excess).square()


class GradientPenalty(Penalty):
    """Holds the norm of the discriminator's gradient at `target` between real and generated samples."""

    differentiates_twice: ClassVar[bool] = True

    weight: Scheduled = 10.0
    """The paper's lambda."""
    target: float = 1.0
    """The norm that the gradient should have. 0 gives the zero-centred penalty."""
    one_sided: bool = False
    """Penalise only norms above the target."""

    def needs(self, player: Player, update: int) -> set[str]:
        return {"real.images", "fake.images"} if player == "discriminator" else set()

    def discriminator_loss(self, r: Round) -> Tensor:
        x, fake = r.real.images, r.fake.images
        eps = r.uniform(len(x), *[1] * (x.ndim - 1))
        line = r.judge(between(x, fake, eps), r.real.labels, differentiate=True)
        (gradient,) = torch.autograd.grad(r.host.realness(line).sum(), line.input, create_graph=True)
        return off_target(gradient, self.target, self.one_sided).mean()
