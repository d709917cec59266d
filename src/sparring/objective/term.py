"""What a method consists of: a `Term`, the `Head` it asks the discriminator for, and schedules of its numbers.

An objective is a mapping from names to terms. Exactly one of them is the host, an `AdversarialLoss`; the others reach it
as `r.host`. A term sees one `Round` at a time (`sparring.objective.round`): one update of one player.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, Field, StrictBool, field_validator, model_validator
from torch import Tensor

from sparring.limits import whole
from sparring.networks.discriminator import Head
from sparring.objective.context import Player
from sparring.schedule import Schedule, Scheduled

if TYPE_CHECKING:
    from sparring.objective.round import Round, Side


class Build(BaseModel, frozen=True, arbitrary_types_allowed=True):
    """What `Term.check` knows of a run that is being built."""

    steps: int
    d_steps: int = 1
    updates_per_epoch: int | None = None
    num_classes: int = 0
    has_labels: bool = False
    sides: frozenset[str] = frozenset({"real", "fake"})  # the batches that the run's data provide
    couples_batch: bool = False
    has_blocks: bool = True
    objective: Any = None


class Term(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """One method. Its hyper-parameters are its fields, and their defaults are the paper's values.

    A method defines what it needs and its loss for each player; the trainer, or your own loop, does the rest.
    """

    weight: Scheduled = 1.0
    """The factor of the term's loss: a number, or a schedule in steps. 0 leaves the term out."""
    generator_weight: Scheduled | None = None
    """The factor in the generator's loss. Null means `weight`."""

    couples_samples: ClassVar[bool] = False  # not a mean over samples: acts per rank and per micro-batch
    differentiates_twice: ClassVar[bool] = False  # its loss contains a gradient with respect to images

    @model_validator(mode="before")
    @classmethod
    def _no_booleans_for_numbers(cls, values: Any) -> Any:
        """Python counts True as 1, but a weight of `true` in a recipe is a mistake, so it is refused."""
        if isinstance(values, dict):
            for name, value in values.items():
                field = cls.model_fields.get(name)
                if isinstance(value, bool) and field and field.annotation not in (bool, StrictBool, bool | None):
                    raise ValueError(f"{name} takes a number, got {str(value).lower()}")
        return values

    @field_validator("*")
    @classmethod
    def _whole_numbers(cls, value: Any) -> Any:
        return whole(value)

    def heads(self) -> tuple[Head, ...]:
        """The outputs that this term reads from the discriminator."""
        return ()

    def needs(self, player: Player, update: int) -> set[str]:
        """What the term reads in this update of this player; the empty set means that it does not act.

        A side (`real`, `fake`, `negative`, `unlabelled`) is judged; `real.images` is its pixels and labels alone;
        `real.gradient` the host's gradient there; `real.second_order` means that the pass is differentiated twice;
        `<side>.differentiated` makes its `input` a leaf; `blocks` are the discriminator's intermediate activations;
        `penalties` are those of the objective, for a second update. `update` counts this player's updates.
        """
        return set()

    def check(self, build: Build) -> None:
        """Raise SparringError if this term cannot work in the run that is being built."""

    def rows(self) -> dict[str, int]:
        """The rows per update of each side whose size this term sets; other sides have the batch size."""
        return {}

    def initial_state(self) -> dict[str, Tensor]:
        """The initial memory, if any: read as `r.state`, updated by `r.remember`, saved in checkpoints."""
        return {}

    def discriminator_loss(self, r: Round) -> Tensor | None:
        """The term's scalar in the discriminator's loss, before its weight."""
        return None

    def generator_loss(self, r: Round) -> Tensor | None:
        """The term's scalar in the generator's loss, before its weight."""
        return None

    def second_update(self, r: Round) -> Tensor | None:
        """The loss of a further discriminator update, judged at the weights after the first."""
        return None

    @property
    def has_second_update(self) -> bool:
        return type(self).second_update is not Term.second_update

    def weight_for(self, player: Player) -> Scheduled:
        """The weight in this player's loss, perhaps a schedule."""
        return self.weight if player == "discriminator" or self.generator_weight is None else self.generator_weight

    def at(self, step: int) -> Term:
        """This term with its schedules resolved at a generator step."""
        resolved = {name: number.at(step) for name, number in self if isinstance(number, Schedule)}
        return self.model_copy(update=resolved) if resolved else self

    def scaled(self, factor: float) -> Term:
        """This term for a run `factor` times as long; methods with step counts of their own extend this."""
        schedules = {name: number.scaled(factor) for name, number in self if isinstance(number, Schedule)}
        return self.model_copy(update=schedules) if schedules else self


class AdversarialLoss(Term):
    """The host. `on_real` and `on_fake` are per sample, so that other methods can apply them to other samples."""

    separable: ClassVar[bool] = True  # False: the loss pairs reals with fakes, so `on_real` and `on_fake` do not exist
    categorical: ClassVar[bool] = False  # judges by class logits instead of a score

    def heads(self) -> tuple[Head, ...]:
        return (Head(name="score"),)

    def needs(self, player: Player, update: int) -> set[str]:
        return {"real", "fake"} if player == "discriminator" else {"fake"}

    def on_real(self, side: Side) -> Tensor:
        """The discriminator's loss [B] on samples that it should accept."""
        raise NotImplementedError

    def on_fake(self, side: Side) -> Tensor:
        """The discriminator's loss [B] on samples that it should reject."""
        raise NotImplementedError

    def realness(self, side: Side) -> Tensor:
        """How real the discriminator finds each sample [B], larger is more; what SDP ranks and penalties differentiate."""
        return side.score

    @property
    def boundary(self) -> float | None:
        """The score above which a sample costs less as a real one than as a fake; None if there is none."""
        return None

    def discriminator_loss(self, r: Round) -> Tensor:
        return self.on_real(r.real).mean() + self.on_fake(r.fake).mean()

    @property
    def is_sum_of_sides(self) -> bool:
        """Whether the discriminator's loss is mean on_real(real) + mean on_fake(fake) and nothing else."""
        return self.separable and type(self).discriminator_loss is AdversarialLoss.discriminator_loss


class Penalty(Term):
    """A regulariser that may be lazy: applied at each `every`-th update of its player, its weight times `every`."""

    every: int = Field(1, ge=1)
    """Act at each n-th update of its player, n times as strong."""


@dataclass(frozen=True)
class ActiveTerm:
    """A term that acts in one update, with its schedules resolved: its needs and the factor of its loss."""

    name: str
    term: Term
    weight: float
    needs: frozenset[str]


def period(terms: Iterable[Term]) -> int:
    """The number of updates after which terms that act every so often repeat what they do."""
    return math.lcm(*(math.lcm(getattr(t, "every", 1), getattr(t, "join_every", 1)) for t in terms))
