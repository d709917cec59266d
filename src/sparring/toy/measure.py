"""A toy run from its first step to its last, measured on the way: what a study keeps of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sparring.errors import NonFiniteLossError
from sparring.recipe.gan import Recipe
from sparring.toy import yardsticks
from sparring.toy.session import ToySession, distance_of
from sparring.toy.worlds import World

LOOKS = 20  # at a run, evenly spaced
LEVELS = {"nat-1d": 0.25, "ring-8": 0.2, "grid-25": 0.3}  # of the distance, set before the first run


@dataclass(frozen=True)
class MeasuredRun:
    """failed: why it ended early, or None. numbers: by yardstick, None where there is none. distances: [step, distance]."""

    failed: str | None
    numbers: dict[str, float | None]
    distances: list[tuple[int, float]]


def measured_run(here: World, recipe: Recipe) -> MeasuredRun:
    """Train a recipe on a world. A run whose loss became infinite has no numbers but the distances until then."""
    session = ToySession(here, recipe)
    at, distances, looks = [], [], []
    failed, numbers = None, {}
    try:
        for i in range(LOOKS):
            session.step(round(recipe.steps * (i + 1) / LOOKS) - session.state.step)
            look = session.look(pictures=False)
            numbers = look.numbers
            at.append(look.step)
            distances.append(numbers[distance_of(here)])
            looks.append(yardsticks.verdicts(torch.from_numpy(look.realness), look.of_data, look.of_samples))
    except NonFiniteLossError as error:
        failed, numbers = f"not finite by step {session.state.step if error.step is None else error.step}", {}
    level = LEVELS.get(here.name)
    found = {
        "distance": None if failed else distances[-1],
        "modes": numbers.get("modes"),
        "high_quality": numbers.get("high_quality"),
        "reached": None if failed or level is None else yardsticks.steps_to_reach(at, distances, level),
        "oscillation": None if failed or len(looks) < 2 else yardsticks.oscillation(torch.stack(looks)),
    }
    return MeasuredRun(failed, found, list(zip(at, distances, strict=True)))
