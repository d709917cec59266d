"""What a term sees: the `Round`, one update of one player, and its sides, each a batch under judgement.

`judge_sides` judges all sides that the active terms declare by one fixed plan, so which term reads first changes nothing.
Without batch coupling that is one joint pass; where the samples of a batch see each other (batch normalisation) it is
[real], [fake + negative], [unlabelled], one pass each. A side that will be differentiated twice has its own pass, in full
precision. Under `precision: bfloat16` so has one whose gradient with respect to the pixels is used, such as for an attack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from sparring.errors import SparringError
from sparring.networks.contract import class_name, users_code
from sparring.networks.discriminator import Activations, at_least_float32
from sparring.networks.second_order import TwiceDifferentiable
from sparring.objective.context import StepContext
from sparring.objective.side import Side
from sparring.objective.term import Penalty
from sparring.randomness import generator_for

if TYPE_CHECKING:
    from sparring.objective.term import ActiveTerm, AdversarialLoss

SIDES = ("real", "fake", "negative", "unlabelled")
COUPLED_GROUPS = (("real",), ("fake", "negative"), ("unlabelled",))


class Judge(Protocol):
    """What a round asks of a discriminator: `networks.discriminator.Discriminator` or `objective.attach.Attached`."""

    couples_batch: bool
    uses_labels: bool  # its features, not only its heads, depend on the labels

    def extract(self, images: Tensor, labels: Tensor | None) -> Activations: ...

    def read(self, head: str, activations: Activations, labels: Tensor | None) -> Tensor: ...


class Round:
    """One update of one player, as its terms see it."""

    def __init__(
        self,
        judge_network: Judge,
        sides: Mapping[str, tuple[Tensor, Tensor | None]],
        *,
        context: StepContext,
        active: list[ActiveTerm],
        host: AdversarialLoss,
        num_classes: int = 0,
        totals: Mapping[str, int] | None = None,
        latents: Tensor | None = None,
        generate: Callable[[Tensor, Tensor | None], Tensor] | None = None,
        memory: Mapping[str, dict[str, Tensor]] | None = None,
        augment: Callable[[Tensor, Callable[..., Tensor]], Tensor] | None = None,
        autocast: Callable[[bool], AbstractContextManager[Any]] | None = None,
    ):
        self.judge_network, self.context, self.active, self.host = judge_network, context, active, host
        self.num_classes, self.memory = num_classes, memory or {}
        self._latents, self._generate, self._augment, self._autocast = latents, generate, augment, autocast
        self._needs = {a.name: a.needs for a in active}
        self._all_needs = frozenset().union(*self._needs.values())
        self._sides = {
            name: Side(self, name, *side, total=(totals or {}).get(name))
            for name, side in sides.items()
            if any(need.split(".")[0] == name for need in self._all_needs)
        }
        self.reader: str | None = None  # the term that is being called
        self.logs: dict[str, Tensor] = {}
        self.proposed: dict[str, dict[str, Tensor]] = {}
        self.kept: dict[str, dict[str, Tensor]] = {}
        self._draws: dict[str | None, int] = {}

    # --- where and when ---
    step = property(lambda self: self.context.step)
    update = property(lambda self: self.context.update)
    player = property(lambda self: self.context.player)
    moment = property(lambda self: self.context)  # its former name, for terms written against it

    # --- the sides ---
    def side(self, name: str) -> Side:
        """A side by its name. Raises SparringError if the term that is being called did not declare it."""
        needs = self._all_needs if self.reader is None else self._needs.get(self.reader, self._all_needs)
        if not any(need.split(".")[0] == name for need in needs):
            raise SparringError(f"{self.reader} reads r.{name} without declaring it: add '{name}' to its needs()")
        if name not in self._sides:
            raise SparringError(f"{self.reader} needs a batch of {name} samples, and this run has none: {_CURES[name]}")
        return self._sides[name]

    @property
    def real(self) -> Side:
        return self.side("real")

    @property
    def fake(self) -> Side:
        return self.side("fake")

    @property
    def negative(self) -> Side:
        return self.side("negative")

    @property
    def unlabelled(self) -> Side:
        return self.side("unlabelled")

    @property
    def sides(self) -> dict[str, Side]:
        return self._sides

    # --- judging ---
    def is_declared_judged(self, name: str | None) -> bool:
        return name is not None and (name in self._all_needs or f"{name}.second_order" in self._all_needs)

    def is_second_order(self, name: str | None) -> bool:
        return name is not None and f"{name}.second_order" in self._all_needs

    def is_differentiated(self, name: str | None) -> bool:
        wanted = {f"{name}.second_order"}
        if not self.context.second:  # a second update has the gradients of the first
            wanted |= {f"{name}.gradient", f"{name}.differentiated"}
        return name is not None and not wanted.isdisjoint(self._all_needs)

    def is_full(self, name: str | None) -> bool:
        """Whether the side's pass has full precision, because its pixels are differentiated."""
        return self.is_second_order(name) or self.is_differentiated(name)

    @property
    def is_mixed(self) -> bool:
        """Whether passes that need no full precision have less: the run's, or that of the user's loop around this round."""
        return self._autocast is not None or any(_autocasts(side.images) for side in self._sides.values())

    @contextmanager
    def precision(self, *, full: bool, twice: bool = False) -> Iterator[None]:
        """The precision of a pass: float32 with `full`, else the run's. twice: the pass may be differentiated twice."""
        if self._autocast is not None:
            chosen = self._autocast(full)
        elif full and self.is_mixed:
            chosen = torch.autocast(next(iter(self._sides.values())).images.device.type, enabled=False)
        else:
            chosen = nullcontext()
        with chosen, TwiceDifferentiable() if twice else nullcontext():
            yield

    def plan(self) -> list[list[str]]:
        """Which sides are judged together, in the order of their passes."""
        alone = [name for name in self._sides if self.is_second_order(name)]
        if self.is_mixed and not self.judge_network.couples_batch:
            alone += [name for name in self._sides if self.is_differentiated(name) and name not in alone]
        rest = [name for name in SIDES if name in self._sides and name not in alone and self.is_declared_judged(name)]
        groups = COUPLED_GROUPS if self.judge_network.couples_batch else (SIDES,)
        joint = [[name for name in group if name in rest] for group in groups]
        return [[name] for name in alone] + [group for group in joint if group]

    def judge_sides(self) -> None:
        """Judge each side that the terms declare, in the plan's passes; a side that has been judged is left alone."""
        for group in self.plan():
            if unjudged := [self._sides[name] for name in group if not self._sides[name].is_judged]:
                self._judge_together(unjudged)

    def judge_when_read(self, side: Side) -> None:
        """Judge a side outside the plan: rows that a term picked, or all rows where a batch's samples see each other."""
        if side.name is not None:
            self.judge_sides()  # a user's own step may have left that out
            if not side.is_judged and not self.judge_network.couples_batch:
                raise SparringError(
                    f"{self.reader} reads a judgement of r.{side.name} and declares only its images: "
                    f"add '{side.name}' to its needs()"
                )
        if not side.is_judged:
            self._judge_together([side])

    def _judge_together(self, group: list[Side]) -> None:
        """One pass of the discriminator over some sides together."""
        images = [self._augmented(side) for side in group]
        full, twice = (any(map(test, [side.name for side in group])) for test in (self.is_full, self.is_second_order))
        with self.precision(full=full, twice=twice):
            joint = images[0] if len(images) == 1 else torch.cat(images)
            joint = at_least_float32(joint) if full else joint  # a user's generator may make 16 bits
            activations = self.judge_network.extract(joint, _join_labels(group))
        for side, part in zip(group, activations.split([len(side) for side in group]), strict=True):
            side._activations = part

    def judge(
        self, images: Tensor, labels: Tensor | None = None, differentiate: bool = False, full: bool = False
    ) -> Side:
        """Judge any other images [B, C, H, W]: interpolates, attacked or transformed samples.

        With `differentiate`, for a penalty on its gradient, the side's `input` is a leaf and the pass is in full precision.
        So it is with `full`, for images that differ from others by less than 16 bits hold.
        """
        self.judge_sides()  # so that their passes come before any other, whoever wrote the loop
        side = Side(self, None, images, labels)
        if differentiate:
            side._input = images.detach().requires_grad_()
        augmented = self._augmented(side)
        with self.precision(full=differentiate or full, twice=differentiate):
            side._activations = self.judge_network.extract(augmented, labels)
        return side

    def _augmented(self, side: Side) -> Tensor:
        if self._augment is None:
            return side.input
        total = side.total if side.name else len(side) * self.context.parts
        with users_code(f"augment {class_name(self._augment)}", side.input):
            return self._augment(
                side.input, lambda *shape: self._draw(torch.rand, shape, f"augment/{side.name}", total)
            )

    # --- randomness ---
    def uniform(self, *shape: int) -> Tensor:
        """Numbers in [0, 1); the first dimension is this share's batch. Seeded by run, term, update and nth draw."""
        return self._draw(torch.rand, shape, self.reader)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, as `uniform`."""
        return self._draw(torch.randn, shape, self.reader)

    def _draw(
        self, sample: Callable[..., Tensor], shape: tuple[int, ...], who: str | None, total: int | None = None
    ) -> Tensor:
        """Draw for the whole batch of the update (`total` rows) and return the rows of this rank and micro-batch."""
        context, nth = self.context, self._draws.get(who, 0)
        self._draws[who] = nth + 1
        generator = generator_for(context.seed, context.player, context.update, context.second, who, nth)
        like = next(iter(self._sides.values())).images
        total = shape[0] * context.parts if total is None else total
        whole = sample(total, *shape[1:], generator=generator, dtype=torch.float32, device="cpu")
        return whole[context.rows(total)].to(like.device, like.dtype, non_blocking=True)

    # --- the generator ---
    @property
    def latents(self) -> Tensor:
        """[B, Z], the latents of the fake side."""
        if self._latents is None:
            raise SparringError(f"{self.reader} reads r.latents: pass latents= to the objective")
        return self._latents

    def generate(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Images from the generator; in the discriminator's update they have no graph."""
        if self._generate is None:
            raise SparringError(f"{self.reader} generates samples: pass generate= to the objective")
        if self.player == "generator":
            return self._generate(latents, labels)
        with torch.no_grad():
            return self._generate(latents, labels)

    # --- memory and logs ---
    @property
    def state(self) -> dict[str, Tensor]:
        """The memory of the term that is being called, as of the last update."""
        assert self.reader is not None
        return self.memory[self.reader]

    def remember(self, **values: Tensor) -> None:
        """Propose new memory; it is averaged over micro-batches and ranks and committed after the update."""
        assert self.reader is not None
        self.proposed[self.reader] = {name: value.detach() for name, value in values.items()}

    def keep(self, **values: Tensor) -> None:
        """Pass tensors from the first update to this term's second one, which reads them as `r.kept_values`."""
        assert self.reader is not None
        self.kept[self.reader] = {name: value.detach() for name, value in values.items()}

    @property
    def kept_values(self) -> dict[str, Tensor]:
        assert self.reader is not None
        return self.kept.get(self.reader, {})

    def log(self, name: str, value: Tensor) -> None:
        """Log a scalar of this term; it stays on the device until the next row of the log."""
        self.logs[f"{self.reader}/{name}"] = value.detach()

    # --- second updates ---
    def penalties(self) -> Tensor | None:
        """The weighted sum of the penalties beside the term whose second update this is; None if there are none."""
        reader, total = self.reader, None
        for active in self.active:
            if isinstance(active.term, Penalty):
                self.reader = active.name
                value = active.term.discriminator_loss(self)
                if value is not None:
                    self.logs[f"{reader}/{active.name}"] = value.detach()
                    total = active.weight * value if total is None else total + active.weight * value
        self.reader = reader
        return total

    def after_update(self, term: ActiveTerm) -> Round:
        """The round of a term's second update: the same batches at the new weights, with the old gradients.

        If the term needs `penalties`, those that are active in this update come with it, for `penalties()`.
        """
        penalties = [a for a in self.active if isinstance(a.term, Penalty)] if "penalties" in term.needs else []
        wanted = {need.split(".")[0] for active in (term, *penalties) for need in active.needs}
        again = Round(
            self.judge_network,
            {name: (side.images, side.labels) for name, side in self._sides.items() if name in wanted},
            context=replace(self.context, second=True),
            active=[term, *penalties],
            host=self.host,
            num_classes=self.num_classes,
            totals={name: side.total for name, side in self._sides.items()},
            latents=self._latents,
            generate=self._generate,
            memory=self.memory,
            augment=self._augment,
            autocast=self._autocast,
        )
        again.kept = self.kept
        for name, side in again.sides.items():
            if f"{name}.gradient" in term.needs:
                side.keep_gradient(self._sides[name].gradient)
        return again


_CURES = {
    "real": "its data are missing",
    "fake": "there is no generator",
    "negative": "name them with negatives.source",
    "unlabelled": "name them with unlabelled.source, or keep only a share of the labels with data.labelled",
}


def _autocasts(images: Tensor) -> bool:
    """Whether passes of these images are under autocast here."""
    kind = images.device.type
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)


def _join_labels(group: list[Side]) -> Tensor | None:
    """The labels of several sides as one; unknown ones are -1 beside known ones."""
    if all(side.labels is None for side in group):
        return None
    return torch.cat(
        [
            side.labels
            if side.labels is not None
            else torch.full((len(side),), -1, dtype=torch.int64, device=side.images.device)
            for side in group
        ]
    )
