"""Wrong recipes and overrides: values of the wrong type, or absurd values of the right type."""

from __future__ import annotations

import contextlib
import copy
import inspect
import json
import types
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml
from pydantic import BaseModel

from fuzzing.damage import damaged
from fuzzing.outcome import Outcome, command, outcome_of
from fuzzing.values import HUGE, WRONG, change, changed_text
from tiny import tiny_recipe

WHOLE = [0, 1, 2, 3, 4, 5, 7, 8, 12, 16, 33, 64, *HUGE]
NUMBERS = [0.0, 1e-9, 1e-3, 0.1, 0.5, 0.999, 1.0, 2.5, 1e6, -0.1, 1e308, -1e308, 1e-300]
TEXT = [
    "0-1",
    "class-0",
    "0:2",
    "fid",
    "train",
    "test",
    "fashion",
    "noise:normal:20",
    "noise:uniform:9",
    "quickstart",
    "x",
]
NEVER = ("threads", "steps")  # `threads` would really start that many


def wrong_recipe(random: Random, values: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A recipe with some wrong values or keys, and overrides that are wrong or absurd."""
    values, own = copy.deepcopy(values), _keys(values)
    for _ in range(random.choice([0, 0, 0, 1, 2])):
        change(random, values)
    overrides = []
    for _ in range(random.choice([0, 1, 1, 2, 4])):
        if random.random() < 0.6:
            key, value = _typed(random)
        else:
            key, value = random.choice(own), random.choice(WRONG)
            key = changed_text(random, key) if random.random() < 0.2 else key
        with contextlib.suppress(ValueError):  # an integer with more digits than Python can print
            overrides.append(f"{key}={value if isinstance(value, str) else json.dumps(value, default=str)}")
    return values, overrides


def _keys(values: Any, prefix: str = "") -> list[str]:
    found = []
    for key, value in values.items():
        found.append(f"{prefix}{key}")
        if isinstance(value, dict):
            found += _keys(value, f"{prefix}{key}.")
    return found


def _typed(random: Random) -> tuple[str, Any]:
    """A random field of a recipe, with a value of its type."""
    key, annotation = random.choice(_schema())
    return key, _of_type(random, annotation)


@cache
def _schema() -> list[tuple[str, Any]]:
    """All dotted keys of a GAN's recipe with their types: fields, terms and their fields, networks and their options."""
    from sparring.networks import BACKBONES, GENERATORS
    from sparring.plugins import find
    from sparring.recipe.gan import Recipe
    from sparring.terms import REGISTRY
    from sparring.trust import VALIDATED

    found = [("scale", float), *_fields(Recipe, "")]
    for name in REGISTRY:
        found += [(f"objective.{name}", dict), *_fields(find(name, REGISTRY, "term", VALIDATED), f"objective.{name}.")]
    for player, registry in (("generator", GENERATORS), ("discriminator", BACKBONES)):
        found += [(f"{player}.network", Literal[tuple(registry)])] * 5  # type: ignore[valid-type]
        for name in registry:
            hints = get_type_hints(find(name, registry, "network", VALIDATED).__init__)
            found += [(f"{player}.network.{option}", hint) for option, hint in hints.items() if option != "return"]
    return [(key, annotation) for key, annotation in found if key not in NEVER]


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}", field.annotation
        for option in [field.annotation, *get_args(field.annotation)]:
            if inspect.isclass(option) and issubclass(option, BaseModel) and option.__name__ != "Schedule":
                yield from _fields(option, f"{prefix}{name}.")


def _of_type(random: Random, annotation: Any) -> Any:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return random.choice(arguments)
    if origin in (Union, types.UnionType):
        return _of_type(random, random.choice(arguments))
    if annotation is bool:
        return random.choice([True, False])
    if annotation is int:
        return random.choice(WHOLE)
    if annotation is float:
        return random.choice(NUMBERS)
    if origin in (tuple, list):
        inner = arguments[0] if arguments else int
        return [_of_type(random, inner) for _ in range(random.choice([0, 1, 2, 3]))]
    if annotation is dict or origin is dict:
        return random.choice([{}, {"weight": 0.5}, {"kind": "diffaugment"}, {"a": 1}])
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        knots = {"knots": [[random.choice(WHOLE), random.choice(NUMBERS)] for _ in range(random.choice([1, 2]))]}
        return random.choice([{}, None, knots, {"source": "noise:normal:20", "size": 8}])
    return random.choice(TEXT) if annotation is str else None


def written(random: Random, values: dict[str, Any], folder: Path) -> Path:
    """A recipe as a YAML or JSON file, sometimes with damaged text."""
    name, content = "r.yaml", b"extends: quickstart\npaper: " + b"[" * 3_000
    with contextlib.suppress(RecursionError, ValueError):  # too deep or too many digits to write
        if random.random() < 0.3:
            name, content = "r.json", json.dumps(values).encode()
        else:
            content = yaml.safe_dump(values).encode("utf-8", "surrogatepass")
    if random.random() < 0.1:
        content = damaged(random, content)
    path = folder / name
    path.write_bytes(content)
    return path


def try_recipe(random: Random, shipped: list[str], images: Path, folder: Path) -> tuple[str, Outcome]:
    """Show one wrong recipe with wrong overrides, or train it for two steps if possible."""
    from sparring.recipe.files import read_recipe

    trains = random.random() < 0.4
    if trains:
        values, overrides = wrong_recipe(random, tiny_recipe(data=str(images), steps=2))
        overrides.append(f"steps={random.choice([1, 2])}")
    else:
        values, overrides = wrong_recipe(random, read_recipe(random.choice(shipped)))
    overrides = [each for each in overrides if not each.startswith("threads=")]
    path = written(random, values, folder)
    verb = ["train", path, "--out", folder / "run"] if trains else ["show", path]
    outcome = outcome_of(command(*verb, *overrides))
    left = folder / "run"
    if outcome.code == 2 and left.exists() and "finite" not in outcome.message and "infinite" not in outcome.message:
        outcome.wrong = outcome.wrong or f"a run folder is left behind: {sorted(p.name for p in left.iterdir())}"
    return f"{verb[0]} {path.name} {overrides!r:.300}", outcome
