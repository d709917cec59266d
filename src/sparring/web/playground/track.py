"""A session that remembers its way: every change with its step, and moments to return to.

Playing on after a rewind repeats the changes that were made there, so a run can be watched again bit for bit. Whoever
changes something instead starts a new course, and what came later is forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparring.errors import NonFiniteLossError, SparringError
from sparring.recipe.gan import Recipe
from sparring.toy.session import Snapshot, ToySession
from sparring.toy.witness import Update, watched_step
from sparring.toy.worlds import World

SPACING = 25  # steps between moments that are kept, at first
KEPT = 32  # moments; with more of them, every other one is dropped


class Track:
    """One pair of players: `advance`, `change`, `rewind`. `log` holds each change with the step before which it was made.

    broken: why training cannot go on from here, until it is rewound; None if it can.
    """

    def __init__(self, world: World, recipe: Recipe):
        self.session = ToySession(world, recipe)
        self.log: list[tuple[int, dict[str, Any]]] = []
        self.updates: list[Update] = []  # of the last step that was watched
        self.broken: str | None = None
        self.latest = 0  # the furthest step of this course
        self._applied, self._spacing = 0, SPACING
        self._moments: dict[int, tuple[Snapshot, int]] = {}
        self._keep()

    @property
    def step(self) -> int:
        return self.session.state.step

    @property
    def changed_at(self) -> list[int]:
        """The steps at which something was changed, for a timeline."""
        return sorted({step for step, _ in self.log})

    def advance(self, count: int = 1, *, watch: bool = False, weights: bool = False) -> None:
        """Train for some steps, repeating the changes of this course. With `watch` the last step fills `updates`.

        Raises SparringError if a loss or a weight is not finite, or was not before.
        """
        if self.broken is not None:
            raise SparringError(f"{self.broken} Rewind to go on.")
        target = self.step + count
        try:
            while self.step < target:
                self._repeat()
                last = target - 1 if watch and self.step < target - 1 else target
                until = min([last, self._next_moment(), *(at for at, _ in self.log[self._applied :])])
                if watch and self.step == target - 1:
                    self.updates = watched_step(self.session, weights=weights)
                else:
                    self.session.step(until - self.step)
                self._arrive()
        except NonFiniteLossError as error:
            self.broken = str(error).partition(": the run stops")[0] + "."
            raise SparringError(f"{self.broken} Rewind to go on.") from None

    def change(self, changes: Mapping[str, Any]) -> list[str]:
        """Change settings from here on, which ends the course that was recorded beyond. Returns what starts afresh."""
        self._repeat()
        notes = self.session.change(changes)
        del self.log[self._applied :]
        self.log.append((self.step, dict(changes)))
        self._applied = len(self.log)
        self.latest = self.step
        self._moments = {at: moment for at, moment in self._moments.items() if at <= self.step}
        return notes

    def rewind(self, step: int) -> None:
        """Go to an earlier step of this course, or to a later one that was reached before."""
        step = max(0, min(step, self.latest))
        at = max(each for each in self._moments if each <= step)
        snapshot, self._applied = self._moments[at]
        self.session.restore(snapshot)
        self.broken, self.updates = None, []
        self.advance(step - at)

    def _repeat(self) -> None:
        """Make the recorded changes of this step."""
        while self._applied < len(self.log) and self.log[self._applied][0] <= self.step:
            self.session.change(self.log[self._applied][1])
            self._applied += 1

    def _next_moment(self) -> int:
        return (self.step // self._spacing + 1) * self._spacing

    def _arrive(self) -> None:
        self.latest = max(self.latest, self.step)
        if self.step % self._spacing == 0 and self.step not in self._moments:
            self._keep()

    def _keep(self) -> None:
        self._moments[self.step] = (self.session.snapshot(), self._applied)
        if len(self._moments) > KEPT:
            self._spacing *= 2
            self._moments = {at: m for at, m in self._moments.items() if at % self._spacing == 0}
