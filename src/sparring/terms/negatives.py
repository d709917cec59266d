"""Negatives: external samples that are not in the data join the fake side of any host.

    L_D = E_x on_real(x) + E_{G(z), n} on_fake       the mean over fakes and negatives together
        = L_host + n_n / (n_f + n_n) (mean on_fake(negatives) - mean on_fake(fakes))

    on_real, on_fake    the host's losses of one sample
    n_f, n_n            fakes and negatives in the batch; n_n is `per_batch`, the X of NAT-GAN_X

"Negative-Aware Training: Be Aware of Negative Samples", Eq. 9, whose expectation runs over both. The term is the last
summand of the second line, so `weight` 1 is Eq. 9 and smaller weights favour the fakes, down to 0, the host alone; the
largest weight that leaves the fakes a share is (n_f + n_n) / n_n. With `nat_gan` it is NAT-GAN_X, with `cat_gan` CatGAN_X,
with a host on a score the paper's 1-D and 2-D form; with `am_gan` the paper reports that it does not converge. If D has
batch norm, fakes and negatives share one pass. The generator's loss does not change.

join_every: the negatives join each n-th discriminator update (the authors' notes: every 10 batches; the paper: every one).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field
from torch import Tensor

from sparring.errors import SparringError
from sparring.limits import ROWS
from sparring.objective.context import Player
from sparring.objective.term import Build, Term
from sparring.schedule import value_at
from sparring.terms import checks

if TYPE_CHECKING:
    from sparring.objective.round import Round, Side


def share_of_mean(losses: Tensor, total: int, parts: int) -> Tensor:
    """The part that this share of a batch adds to its mean, for an update that averages over `parts` uneven shares."""
    return parts * losses.sum() / max(total, 1)


class Negatives(Term):
    """`per_batch` external negatives on the fake side, each weighing as much as a fake."""

    per_batch: int = Field(3, ge=1, le=ROWS)
    """How many negatives join each batch; each weighs as much as a fake."""
    join_every: int = Field(1, ge=1)
    """Join every so many discriminator updates."""

    def rows(self) -> dict[str, int]:
        return {"negative": self.per_batch}

    def needs(self, player: Player, update: int) -> set[str]:
        joins = player == "discriminator" and update % self.join_every == 0
        return {"fake", "negative"} if joins else set()

    def check(self, build: Build) -> None:
        if "negative" not in build.sides:
            raise SparringError("negatives has no data: name a source with negatives.source")
        checks.separable_host(build, "negatives")

    def discriminator_loss(self, r: Round) -> Tensor:
        n_f, n_n = r.fake.total, r.negative.total
        share = n_n / max(n_f + n_n, 1)
        weight = value_at(self.weight, r.step)
        if weight * share > 1:
            raise SparringError(
                f"negatives.weight {weight} leaves {n_f} fakes beside {n_n} negatives less than nothing: "
                f"at most {(n_f + n_n) / n_n:g}"
            )

        def mean_on_fake(side: Side) -> Tensor:
            return share_of_mean(r.host.on_fake(side), side.total, r.context.parts)

        return share * (mean_on_fake(r.negative) - mean_on_fake(r.fake))
