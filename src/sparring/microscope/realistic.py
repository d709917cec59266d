"""SDP's own view of a batch: the fakes called most realistic, the nearest real of each, and what lies between them.

    score gap        (D(G(z')) - D(x'))^2
    feature gap      sum_j ||D^_j(G(z')) - D^_j(x')||^2, with D^_j as the run's own `sdp` has it, or else the block's maximum
                     over the pixels at length 1
    slope            |D(x') - D(G(z'))| / ||x' - G(z')||_2, what Eq. 11 has before its limit
    derivative       |grad D(x') . l|, l the unit vector from G(z') to x': the limit itself
    gradient         ||grad D(x')||_2, the bound on it, which Eq. 14 sees explode

"Reducing Differences Between Real and Realistic Samples to Improve GANs", Eq. 3 to 14. For a linear D
slope and derivative are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.microscope.subject import Subject
from sparring.objective.side import Side
from sparring.terms.features import attention

Features = Callable[[Sequence[Tensor]], Sequence[Tensor]]  # of blocks


@dataclass(frozen=True)
class Pairs:
    """k fakes, their partners, and what lies between them: [k] each; `fake` and `real` are rows of the batches."""

    fake: Tensor
    real: Tensor
    fake_score: Tensor
    real_score: Tensor
    score_gap: Tensor
    feature_gap: Tensor
    distance: Tensor
    slope: Tensor
    derivative: Tensor
    gradient: Tensor

    def means(self) -> dict[str, float]:
        """Means over the pairs of all but the rows."""
        return {name: float(value.float().mean()) for name, value in vars(self).items() if name not in ("fake", "real")}


def realistic_pairs(
    subject: Subject,
    real: Tensor,
    real_labels: Tensor | None,
    fake: Tensor,
    fake_labels: Tensor | None,
    k: int,
    features: Features | None = None,
) -> Pairs:
    """The k most realistic of fakes [B, C, H, W] and their nearest reals of [M, C, H, W], which may come again.

    features: each D^_j [B, C_j] of the discriminator's blocks, `SDP.features`; None: the paper's.
    """
    fake_scores = subject.realness(fake, fake_labels)
    top = fake_scores.topk(min(k, len(fake))).indices
    flat = torch.cdist(fake[top].flatten(1), real.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
    distance, partner = flat.min(1)
    real_scores = subject.realness(real, real_labels)[partner]
    gap = fake_scores[top] - real_scores
    rows = features or (lambda blocks: [attention(block) for block in blocks])
    seen = [subject.read(x, y, lambda side: _joined(side, rows)) for x, y in ((fake, fake_labels), (real, real_labels))]
    gradients = subject.gradients(real, real_labels)[partner].flatten(1)
    way = (real[partner] - fake[top]).flatten(1)
    length = distance.clamp_min(1e-30)
    return Pairs(
        top,
        partner,
        fake_scores[top],
        real_scores,
        gap.square(),
        (seen[0][top] - seen[1][partner]).square().sum(1),
        distance,
        gap.abs() / length,
        (gradients * way).sum(1).abs() / length,
        torch.linalg.vector_norm(gradients, dim=1),
    )


def _joined(side: Side, features: Features) -> Tensor:
    """The features of all blocks in one row, [B, sum of C_j]; [B, 0] without blocks."""
    rows = features(side.activations.blocks)
    return torch.cat(list(rows), 1) if len(rows) else side.activations.features.new_zeros(len(side), 0)
