"""A batch as SDP sees it: the most realistic fakes, the nearest real image of each, and the gaps between them.

    score gap        (D(G(z')) - D(x'))^2
    feature gap      sum_j ||D^_j(G(z')) - D^_j(x')||^2, with D^_j as in the run's own `sdp`; by default the maximum over the
                     block's pixels, normalised to length 1
    slope            |D(x') - D(G(z'))| / ||x' - G(z')||_2, Eq. 11 before its limit
    derivative       |grad D(x') . l|, where l is the unit vector from G(z') to x': the limit
    gradient         ||grad D(x')||_2, the bound that explodes in Eq. 14

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
from sparring.terms.features import pooled_unit_features

Features = Callable[[Sequence[Tensor]], Sequence[Tensor]]  # of blocks


@dataclass(frozen=True)
class Pairs:
    """k fakes, their partners and the gaps between them, [k] each. `fake` and `real` are indices into the batches."""

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
        """Means over the pairs of everything except the indices."""
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
    """The k most realistic of fakes [B, C, H, W] and the nearest real image of each, from [M, C, H, W].

    features: the D^_j [B, C_j] of the discriminator's blocks, as `SDP.features`; by default the paper's.
    """
    fake_scores = subject.realness(fake, fake_labels)
    top = fake_scores.topk(min(k, len(fake))).indices
    flat = torch.cdist(fake[top].flatten(1), real.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
    distance, partner = flat.min(1)
    real_scores = subject.realness(real, real_labels)[partner]
    gap = fake_scores[top] - real_scores
    rows = features or (lambda blocks: [pooled_unit_features(block) for block in blocks])
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
    """The features of all blocks, concatenated: [B, sum of C_j]; [B, 0] without blocks."""
    rows = features(side.activations.blocks)
    return torch.cat(list(rows), 1) if len(rows) else side.activations.features.new_zeros(len(side), 0)
