"""A toy run from its first step to its last, measured on the way: what a study keeps of it."""

from __future__ import annotations

from typing import Any

import torch

from sparring.errors import NonFiniteLossError
from sparring.recipe.gan import Recipe
from sparring.toy import yardsticks
from sparring.toy.session import ToySession, distance_of
from sparring.toy.worlds import World

LOOKS = 20  # at a run, evenly spaced
LEVELS = {"nat-1d": 0.25, "ring-8": 0.2, "grid-25": 0.3}  # of the distance, set before the first run


YARDSTICKS = ("distance", "modes", "high_quality", "reached", "oscillation")


def yardsticks_of(here: World) -> tuple[str, ...]:
    """What a run on a world is measured by. Not all worlds have modes, or a level to reach."""
    missing = [] if here.modes is not None else ["modes", "high_quality"]
    missing += [] if here.name in LEVELS else ["reached"]
    return tuple(name for name in YARDSTICKS if name not in missing)


def measured_run(here: World, recipe: Recipe) -> dict[str, Any]:
    """Train a recipe on a world, and return what a study keeps of the run.

    failed (why it ended early, or None), steps, values and best by yardstick, curve ([step, distance]), and numbers: whether
    it did reach its level, as one that never does counts as if it had at its end. A run whose loss became infinite has no
    values, but the distances until then.
    """
    session = ToySession(here, recipe)
    at, distances, looks, failed = [], [], [], None
    numbers: dict[str, Any] = {}
    try:
        for i in range(LOOKS):
            session.step(round(recipe.steps * (i + 1) / LOOKS) - session.state.step)
            look = session.look(pictures=False)
            numbers = look.numbers
            at.append(look.step)
            distances.append(numbers[distance_of(here)])
            looks.append(yardsticks.verdicts(torch.from_numpy(look.realness), look.of_data, look.of_samples))
    except NonFiniteLossError as error:
        failed = f"not finite by step {session.state.step if error.step is None else error.step}"
    level = None if failed else LEVELS.get(here.name)
    found: dict[str, float | None] = {}
    if failed is None:
        found = {
            "distance": distances[-1],
            "modes": numbers.get("modes"),
            "high_quality": numbers.get("high_quality"),
            "reached": None if level is None else yardsticks.steps_to_reach(at, distances, level),
            "oscillation": None if len(looks) < 2 else yardsticks.oscillation(torch.stack(looks)),
        }
    values = {name: value for name, value in found.items() if value is not None}
    did_reach = {} if level is None else {"did_reach": "reached" in values}
    return {
        "failed": failed,
        "steps": at[-1] if at else 0,
        "values": values if level is None else {**values, "reached": values.get("reached", recipe.steps)},
        "best": {"distance": min(distances)} if distances else {},
        "curve": {"distance": [list(point) for point in zip(at, distances, strict=True)]},
        "numbers": did_reach,
    }
