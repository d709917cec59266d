"""What a run's numbers say about its health while it trains: each warning says what was seen and what people try.

    collapse      the diversity of samples of fixed latents falls below half of its best value, if that was at least 0.3 of
                  real images'; or, after a quarter of the run, it is below a tenth of real images'
    saturated     the discriminator's loss is almost 0 while a wide gap separates its scores of reals and fakes
    overfitting   the discriminator accepts far more of its training images than of held-out ones
    stuck         the samples of fixed latents are the same pictures as when they were last drawn

Each needs evidence. Before `trained_from`, samples reflect the initialisation: for some networks they are grey and alike,
for others noise as diverse as images, which loses diversity while it learns, so neither counts as a collapse. A loss must
stay near 0 for some steps, unchanged pictures must be some steps apart, and two accuracies must differ by more than chance.

A `Watch` uses what the run measures anyway and does not affect it. All that it remembers can be read from the run's files,
so that a resumed run warns like one that never stopped. A warning is given when its sign appears, and again only after the
sign has gone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sparring.schedule import value_at

if TYPE_CHECKING:
    from sparring.recipe.gan import EMA, Optimizer

TRAINED_STEPS, TRAINED_REACH = 300, 0.1  # steps, and their learning rates' sum, before samples tell of the training
AVERAGED = 3  # lengths of the moving average, after which e^-3 of it is older
FEWEST_STEPS = 50  # for which a discriminator is saturated, or between pictures of a stuck generator
COLLAPSED = 0.5  # share of the best diversity so far, which counts up to that of real images
NEVER_DIVERSE, FAIR_SHARE = 0.1, 0.25  # share of real images' diversity, share of the run after which it counts
FEWEST_PAIRS = 16  # of images of one class, for diversity within classes
DIVERSE = 0.3  # the least that counts as a best diversity: share of real images'
SATURATED_LOSS, SATURATED_GAP, SATURATED_TICKS = 0.02, 0.5, 3
OVERFITTED = 0.2  # of accuracy on train images above that on held-out ones
CERTAIN = 3  # standard errors of two accuracies' difference
STUCK_LEVELS = 0.25  # root of the mean squared change of a pixel, in grey levels of 255

CURES = {
    "collapse": "a lower learning rate for either player, a larger batch, r1 or sdp, a discriminator with spectral norm",
    "saturated": "a lower learning rate or fewer updates for the discriminator, r1 or gradient_penalty, as_gan, augment",
    "overfitting": "augment, more images, a smaller discriminator, r1 or lecam, or an earlier checkpoint",
    "stuck": "whether a gradient reaches the generator (a saturated discriminator?), its learning rate, and a shorter ema",
}


class Watch:
    """Takes numbers in the order of their steps; each method returns the warnings that begin there, by kind."""

    def __init__(
        self,
        host: str,
        steps: int,
        log: Iterable[Mapping[str, Any]] = (),
        vitals: Iterable[Mapping[str, Any]] = (),
        *,
        trained_from: int = 0,
    ):
        """host: the adversarial loss by its name in the objective; steps: the run's; log, vitals: the rows that it keeps.

        trained_from: the step from which samples tell of the training.
        """
        self._host_loss, self._steps, self._trained_from = f"discriminator/{host}", steps, trained_from
        self._on: set[str] = set()
        self._saturated_since: list[int] = []  # the ticks' steps
        self._drawn_at: int | None = None
        self._best = 0.0
        for row in log:
            self.tick(row)
        for row in vitals:
            if "diversity" in row:
                self.samples(row)
            elif "train" in row:  # else a warning about a row of the log
                self.accuracies(row)

    def tick(self, values: Mapping[str, Any]) -> dict[str, str]:
        """The means of a log tick, by `player/term`, and its `step`."""
        gap = values.get("discriminator/real_score", 0.0) - values.get("discriminator/fake_score", 0.0)
        loss = values.get(self._host_loss)
        # an unbounded loss is negative then
        sign = loss is not None and 0 <= loss < SATURATED_LOSS and gap > SATURATED_GAP
        self._saturated_since = [*self._saturated_since, values["step"]] if sign else []
        since = self._saturated_since
        lasting = len(since) >= SATURATED_TICKS and since[-1] - since[0] >= FEWEST_STEPS
        seen = f"its loss is {loss or 0:.2g}, and its scores of reals and fakes are {gap:.3g} apart"
        return self._begun("saturated", lasting, f"the discriminator is saturated: {seen}")

    def samples(self, values: Mapping[str, Any]) -> dict[str, str]:
        """At a `step`: `diversity` of the samples, a share of real images', and the grey levels they `moved` (or None)."""
        step, diversity, moved = values["step"], values["diversity"], values.get("moved")
        trained = step >= self._trained_from
        fallen = trained and self._best >= DIVERSE and diversity < COLLAPSED * self._best
        never = trained and step >= FAIR_SHARE * self._steps and diversity < NEVER_DIVERSE
        since = f", and was {self._best:.2f} at its best" if fallen else f" at step {step} of {self._steps}"
        seen = f"the samples' diversity is {diversity:.2f} of real images'{since}"
        collapse = self._begun("collapse", fallen or never, f"the samples collapse: {seen}")
        if trained:
            self._best = max(self._best, min(diversity, 1.0))  # of noise it is above 1
        apart = step - self._drawn_at if self._drawn_at is not None else 0
        still = moved is not None and moved < STUCK_LEVELS and apart >= FEWEST_STEPS
        self._drawn_at = step
        seen = f"samples of the same latents changed by {moved or 0:.2g} grey levels since they were last drawn"
        return collapse | self._begun("stuck", still, f"the generator is stuck: {seen}")

    def accuracies(self, values: Mapping[str, Any]) -> dict[str, str]:
        """The discriminator's accuracies by kind (real, classifier, projection), `train` and `held_out`, of `n` images."""
        train, held, n = values["train"], values["held_out"], values.get("n", {})
        kind = max(train, key=lambda name: train[name] - held[name], default=None)
        if kind is None:
            return {}
        seen = f"its accuracy ({kind}) is {train[kind]:.0%} on training images and {held[kind]:.0%} on held-out ones"
        least = max(OVERFITTED, CERTAIN * _standard_error(train[kind], held[kind], n))
        return self._begun("overfitting", train[kind] - held[kind] > least, f"the discriminator overfits: {seen}")

    def _begun(self, kind: str, sign: bool, seen: str) -> dict[str, str]:
        before = kind in self._on
        self._on = self._on | {kind} if sign else self._on - {kind}
        return {kind: f"{seen}. People try: {CURES[kind]}"} if sign and not before else {}


def _standard_error(train: float, held: float, n: Mapping[str, int]) -> float:
    """Of the difference of two shares of `n` images, from their mean share, as either may be 0 or 1; 0 if n is unknown."""
    if not n:
        return 0.0
    share = (train * n["train"] + held * n["held_out"]) / (n["train"] + n["held_out"])
    return math.sqrt(share * (1 - share) * (1 / n["train"] + 1 / n["held_out"]))


def trained_from(steps: int, optimizer: Optimizer, ema: EMA | None) -> int:
    """The step from which a generator's samples reflect its training; `steps` + 1 if that is after the run's end.

    Adam moves a weight by little more than its learning rate in a step: until the rates add up to 0.1, the weights are
    nearly the initial ones. A moving average lags behind them by its length.
    """
    if optimizer.kind == "sgd":
        start = TRAINED_STEPS
    else:
        reach, start = 0.0, 0
        while start <= steps and (start < TRAINED_STEPS or reach < TRAINED_REACH):
            reach += value_at(optimizer.lr, start)
            start += 1
    if ema is not None:
        decay = value_at(ema.decay, max(start, ema.start))
        start = max(start, ema.start) + (math.ceil(AVERAGED / (1 - decay)) if decay < 1 else steps)
    return min(start, steps + 1)


@torch.no_grad()
def diversity(images: Tensor, labels: Tensor | None) -> float:
    """The mean distance between two images uint8 [N, C, H, W] of one class (of all if there are no labels [N])."""
    flat = images.flatten(1).float()
    distances = torch.cdist(flat, flat)
    alike = torch.ones_like(distances) if labels is None else (labels[:, None] == labels[None]).float()
    alike.fill_diagonal_(0)
    return float((distances * alike).sum() / alike.sum().clamp_min(1))


def pairs_within(labels: Tensor) -> int:
    """How many pairs of images with labels [N] are of one class."""
    counts = labels.unique(return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())
