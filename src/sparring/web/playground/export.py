"""A run of the playground for elsewhere: as a recipe, as Python that repeats it, and as a command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pprint import pformat
from typing import Any

import yaml

from sparring.toy.methods import STEPS
from sparring.web.playground.protocol import SideChoice, WorldChoice
from sparring.web.playground.track import Track


def exported(world: WorldChoice, side: SideChoice, seed: int, track: Track) -> dict[str, str]:
    """The texts of one pair of players at its present step."""
    return {
        "recipe": yaml.safe_dump(track.session.recipe.to_dict(), sort_keys=False, allow_unicode=True),
        "python": as_python(world, side, seed, track),
        "command": "" if world.points else as_command(world, side, seed, track),
    }


def as_python(world: WorldChoice, side: SideChoice, seed: int, track: Track) -> str:
    """A script that takes the same steps and changes: its session has the bits of the page's."""
    made = f"world({world.name!r}, {dict(world.options)!r}, seed={seed})"
    if world.points:
        negatives = f", {_rows(world.negatives)}" if world.negatives else ""
        made = f"drawn({_rows(world.points)}{negatives}, seed={seed})"
    lines = [
        f"from sparring.toy import ToySession, toy_recipe, {'drawn' if world.points else 'world'}",
        "",
        f"here = {made}",
        f"recipe = toy_recipe(here, {side.method!r}, {_written(side.changes)}, steps={STEPS}, seed={seed})",
        "session = ToySession(here, recipe)",
    ]
    at = 0
    for step, changes in track.log:
        if step > track.step:
            break
        lines += [f"session.step({step - at})"] if step > at else []
        lines.append(f"session.change({_written(changes)})")
        at = step
    lines += [f"session.step({track.step - at})"] if track.step > at else []
    return "\n".join([*lines, "print(session.look().numbers)", ""])


def as_command(world: WorldChoice, side: SideChoice, seed: int, track: Track) -> str:
    """`sparring toy` with the settings of the start; changes made on the way are not part of a command."""
    flat: dict[str, Any] = {f"world.{key}": value for key, value in world.options.items()} | dict(side.changes)
    words = [f"{key}={_inline(value)}" for key, value in flat.items()]
    steps = max(track.step, 1)
    return shlex.join(["sparring", "toy", world.name, side.method, *words, "--steps", str(steps), "--seed", str(seed)])


def _inline(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()


def _rows(points: Sequence[Sequence[float]]) -> str:
    return "[" + ", ".join(str(list(point)) for point in points) + "]"


def _written(changes: Mapping[str, Any]) -> str:
    return pformat(dict(changes), sort_dicts=False, width=100)
