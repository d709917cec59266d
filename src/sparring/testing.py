"""Handmade rounds, to test a term against its equation without networks or data.

r = round_of(real={"score": torch.tensor([2.0, -1.0])}, fake={"score": torch.tensor([0.5])}, host=Hinge())
loss = MyTerm().discriminator_loss(r)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from sparring.errors import SparringError
from sparring.networks.discriminator import Activations
from sparring.objective.context import Player, StepContext
from sparring.objective.round import SIDES, Round
from sparring.objective.side import Side
from sparring.objective.term import ActiveTerm, AdversarialLoss, Term

TERM = "term"  # the name of the term under test, in logs and memory
_ASPECTS = ("images", "labels", "features", "blocks", "gradient", "total")


class _FakeDiscriminator:
    """A discriminator whose outputs are given by the test, or computed by the test's function."""

    uses_labels = False

    def __init__(self, judge: Callable[..., Any] | None, couples_batch: bool):
        self._judge, self.couples_batch = judge, couples_batch

    def extract(self, images: Tensor, labels: Tensor | None) -> Activations:
        if self._judge is None:
            raise SparringError("the term judges new images: pass judge=function(images, labels) to round_of")
        found = self._judge(images, labels)
        if isinstance(found, Activations):
            return found
        outputs = dict(found) if isinstance(found, Mapping) else {"score": found}
        blocks = list(outputs.pop("blocks", []))
        return Activations(outputs.pop("features", images), blocks, outputs)

    def read(self, head: str, activations: Activations, labels: Tensor | None) -> Tensor:
        if head not in activations.outputs:
            raise SparringError(f"the round has no '{head}': pass it as round_of(real={{'{head}': ...}}, ...)")
        return activations.outputs[head]


def round_of(
    real: Mapping[str, Any] | None = None,
    fake: Mapping[str, Any] | None = None,
    negative: Mapping[str, Any] | None = None,
    unlabelled: Mapping[str, Any] | None = None,
    *,
    blocks: Mapping[str, Sequence[Tensor]] | None = None,
    host: AdversarialLoss | None = None,
    player: Player = "discriminator",
    step: int = 0,
    update: int | None = None,
    seed: int = 0,
    num_classes: int = 0,
    state: Mapping[str, Tensor] | None = None,
    judge: Callable[..., Any] | None = None,
    couples_batch: bool = False,
    updates_per_epoch: int | None = None,
    terms: Mapping[str, Term] | None = None,
    **more: Any,
) -> Round:
    """A round with the given discriminator outputs.

    Each side is a mapping from head names to outputs (`score` [B], `class_logits` [B, K], ...). It may also hold `images`,
    `labels`, `features`, `blocks` (a list of [B, C, H, W]) and `gradient`. The argument `blocks` maps sides to their
    blocks instead. `judge` computes the score of images that the term makes itself, or a dict of such outputs.
    `state` is the term's memory. Raises SparringError if no side is given.
    """
    given = {"real": real, "fake": fake, "negative": negative, "unlabelled": unlabelled}
    found = {name: dict(side) for name, side in given.items() if side is not None}
    if not found:
        raise SparringError("a round needs at least one side, such as round_of(real={'score': ...})")
    for name, side_blocks in (blocks or {}).items():
        found[name]["blocks"] = side_blocks
    everything = frozenset({"blocks", *(name for name in SIDES if name in found)})
    if any("gradient" in side for side in found.values()):
        everything |= {f"{name}.gradient" for name, side in found.items() if "gradient" in side}
    placeholder = host if host is not None else AdversarialLoss()
    active = [ActiveTerm(TERM, placeholder, 1.0, everything)]
    active += [ActiveTerm(name, term, 1.0, everything) for name, term in (terms or {}).items()]
    r = Round(
        _FakeDiscriminator(judge, couples_batch),
        {name: (_images(side), side.get("labels")) for name, side in found.items()},
        context=StepContext(
            player, step, step if update is None else update, seed, updates_per_epoch=updates_per_epoch
        ),
        active=active,
        host=placeholder,
        num_classes=num_classes,
        totals={name: side["total"] for name, side in found.items() if "total" in side},
        memory={TERM: dict(state or {})},
        **more,
    )
    r.reader = TERM
    for name, content in found.items():
        _fill(r.sides[name], content)
    return r


def _fill(side: Side, content: Mapping[str, Any]) -> None:
    """Give a side the outputs of the discriminator."""
    heads = {key: value for key, value in content.items() if key not in _ASPECTS}
    if heads or "features" in content or "blocks" in content:
        features = content.get("features", side.images)
        side._activations = Activations(features, list(content.get("blocks", [])), heads)
    side._input = side.images
    if "gradient" in content:
        side.keep_gradient(content["gradient"])


def _images(side: Mapping[str, Any]) -> Tensor:
    """The side's images, or one zero per row if it has none."""
    if "images" in side:
        return side["images"]
    first = next(value for value in side.values() if isinstance(value, Tensor))
    return torch.zeros(len(first), 1, dtype=first.dtype if first.is_floating_point() else torch.float32)
