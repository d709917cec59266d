"""The number of processes of a run, and what it means to resume it on another number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sparring.errors import SparringError
from sparring.objective.attach import samples_see_each_other
from sparring.training.state import TrainingState

World = dict[str, int]  # {"from_step": 0, "processes": 2}


def couplings(state: TrainingState) -> list[str]:
    """What makes an update depend on how its batch is split over processes, in words; empty if nothing does."""
    reasons = [f"objective.{name}" for name in state.objective.coupling()]
    networks = {"discriminator": state.discriminator, "generator": state.generator}
    return reasons + [f"the {name}'s batch norm" for name, each in networks.items() if samples_see_each_other(each)]


def worlds_of(
    started: list[World] | None, state: TrainingState, *, resumed: bool, change: bool, note: Callable[[str], None]
) -> list[World]:
    """The number of processes from each step on, for recipe.json. state: at the step that the run continues from.

    started: the entry in recipe.json; None for a new run and for one of a version that did not record it. change: whether
    the user accepts another number. Raises SparringError if another number would change the training unasked.
    """
    now = state.runtime.world
    earlier = [world for world in started or [] if world["from_step"] < max(state.step, 1)] if resumed else []
    if earlier and earlier[-1]["processes"] == now:
        return earlier
    if earlier:
        before = earlier[-1]["processes"]
        coupled = couplings(state)
        if coupled and not change:
            raise SparringError(
                f"this run was on {_processes(before)} and would go on with {now}, which changes the training, because "
                f"{' and '.join(coupled)} depend{'s' if len(coupled) == 1 else ''} on each process's share of a batch: "
                f"resume it on {before}, or accept the change with --change-world-size"
            )
        what = "training changes from here on" if coupled else "the same training, up to rounding"
        note(f"the run was on {_processes(before)} and goes on with {now}: {what}")
    return [*earlier, {"from_step": state.step, "processes": now}]


def _processes(count: int) -> str:
    return f"{count} process{'' if count == 1 else 'es'}"


def read_worlds(facts: dict[str, Any]) -> list[World] | None:
    """The entry of a recipe.json; None if it is missing or unreadable."""
    worlds = facts.get("world")
    fits = isinstance(worlds, list) and all(
        isinstance(each, dict) and all(type(each.get(key)) is int for key in ("from_step", "processes"))
        for each in worlds
    )
    return worlds if fits else None
