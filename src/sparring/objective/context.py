"""The context of a round: player, step, update and micro-batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Player = Literal["discriminator", "generator"]


@dataclass(frozen=True)
class StepContext:
    """The place of a round in its run. Random draws depend on this and on the term that draws, and on nothing else."""

    player: Player
    step: int  # generator updates so far
    update: int  # updates of this player so far
    seed: int = 0
    part: int = 0  # which share of the update's batch this is, of `parts`: rank and micro-batch
    parts: int = 1
    second: bool = False
    updates_per_epoch: int | None = None

    def rows(self, total: int) -> slice:
        """This share's rows of a batch of `total`."""
        return share_of(total, self.part, self.parts)


def share_of(total: int, part: int, parts: int) -> slice:
    """The rows of one of `parts` shares: as even as possible, with the remainder in the first ones."""
    size, left = divmod(total, parts)
    start = part * size + min(part, left)
    return slice(start, start + size + (part < left))
