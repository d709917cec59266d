"""SDP: a realistic fake and its nearest real sample should have similar scores and similar features.

    L_SDP = sum_{i<=k} (D(G(z'_i)) - D(x'_i))^2  +  sum_{i<=k} sum_{j<=n} ||D^_j(G(z'_i)) - D^_j(x'_i)||_2^2
    D^_j  = f_ag(D_j) / ||f_ag(D_j)||_2
    L_D   = L_host + lambda/k L_SDP        L_G = L_host + lambda/k L_SDP

    G(z'_i)   the k fakes of the batch with the highest scores
    x'_i      the real sample of the same batch that is nearest to G(z'_i) in pixel space; several fakes may share one
    D         the host's realness: the score, or for a host on class logits their largest log-probability
    D_j       the activations of the discriminator's j-th of n blocks
    f_ag      global pooling over height and width: the maximum, or the average as an option
    lambda    `weight`, 0.01
    t         the step (generator updates so far) from which SDP acts
    k, I_p    the number of pairs, which is k at step 0 and grows by one every I_p steps, up to the batch size

"Reducing Differences Between Real and Realistic Samples to Improve GANs", Eq. 3 to 10 and Algorithm 1. Every update selects
its own pairs, without gradient. D's update differentiates both samples of a pair, G's update only the fake; the real one is
judged by the frozen discriminator, without the rest of its batch unless there is batch norm.

Deviations
    Eq. 6 divides by the squared norm, so that larger features make the term smaller; here it is the norm, which bounds a
    block's term by 4. `squared_norm` is the printed form. A block that is all zeros stays zero.
    The host's losses are means, not the sums of Eq. 2: lambda counts m times as much as in print, m the batch size.
    The host's usual generator loss replaces the paper's minimax one; z, and so the pairs, differ between D and G.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from sparring.errors import SparringError
from sparring.objective.context import Player
from sparring.objective.term import Build, Term
from sparring.schedule import Scheduled
from sparring.terms import checks
from sparring.terms.features import Aggregate, pooled_unit_features

if TYPE_CHECKING:
    from sparring.objective.round import Round, Side


def nearest_real(fakes: Tensor, reals: Tensor) -> Tensor:
    """For each of fakes [k, ...] the index [k] of the nearest real sample of [B, ...], by Euclidean distance."""
    distances = torch.cdist(fakes.flatten(1), reals.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
    return distances.argmin(1)


class SDP(Term):
    """Penalises score and feature differences between realistic fakes and their nearest reals, in both players' losses."""

    couples_samples: ClassVar[bool] = True

    weight: Scheduled = 0.01
    """The paper's lambda, which `k` divides."""
    t: int = Field(3000, ge=0)
    """The step from which SDP acts."""
    k: int = Field(5, ge=1)
    """The number of pairs at step 0."""
    I_p: int = Field(5000, ge=1)
    """The number of pairs grows by one every so many steps, up to the batch size."""
    aggregate: Aggregate = "max"
    """How a block's activations are pooled over height and width."""
    squared_norm: bool = False
    """Divide features by their squared norm, as Eq. 6 is printed."""

    def needs(self, player: Player, update: int) -> set[str]:
        if player == "discriminator":
            return {"real", "fake", "blocks"}
        # the generator takes one update per step, so its `update` is the step
        return {"real.images", "fake", "blocks"} if update >= self.t else set()

    def check(self, build: Build) -> None:
        if not build.has_blocks:
            raise SparringError("sdp compares features block by block, and this discriminator returns no blocks")
        checks.acts_within(self.t, build.steps, field="sdp.t", unit="steps")

    def scaled(self, factor: float) -> Term:
        counts = {"t": round(self.t * factor), "I_p": max(1, round(self.I_p * factor))}
        return super().scaled(factor).model_copy(update=counts)

    def k_at(self, step: int) -> int:
        """The number of pairs at a step, before the batch size limits it."""
        return self.k + step // self.I_p

    def features(self, blocks: Sequence[Tensor]) -> list[Tensor]:
        """Each D^_j [B, C_j] of a discriminator's blocks."""
        return [pooled_unit_features(block, self.aggregate, self.squared_norm) for block in blocks]

    def discriminator_loss(self, r: Round) -> Tensor | None:
        return self._mean_gap(r) if r.step >= self.t else None

    def generator_loss(self, r: Round) -> Tensor | None:
        return self._mean_gap(r) if r.step >= self.t else None

    def _mean_gap(self, r: Round) -> Tensor:
        """1/k L_SDP over the pairs of this round."""
        k = min(self.k_at(r.step), len(r.fake))
        top = r.host.realness(r.fake).detach().topk(k).indices
        nearest = nearest_real(r.fake.images[top].detach(), r.real.images)
        fake_score, *fake_features = self._score_and_features(r, r.fake.pick(top))
        real_score, *real_features = self._score_and_features(r, r.real.pick(nearest))
        if r.player == "generator":
            real_score, real_features = real_score.detach(), [feature.detach() for feature in real_features]

        score_gap = (fake_score - real_score).square().sum() / k
        feature_gap = score_gap.new_zeros(())
        for fake, real in zip(fake_features, real_features, strict=True):
            feature_gap = feature_gap + (fake - real).square().sum() / k
        r.log("score_gap", score_gap)
        r.log("feature_gap", feature_gap)
        r.log("k", score_gap.new_full((), k))
        return score_gap + feature_gap

    def _score_and_features(self, r: Round, side: Side) -> list[Tensor]:
        """D [k] and each D^_j [k, C_j] of some samples."""
        return [r.host.realness(side), *self.features(side.blocks)]
