"""Changes that hold for several recipes: for those parts alone that a recipe has, and as shares of its run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sparring.errors import SparringError
from sparring.recipe.files import parse_value


def part_of(key: str) -> str | None:
    """`negatives`, or a term such as `objective.sdp`, if a change needs that the recipe has it."""
    first, *rest = key.split(".")
    return first if first == "negatives" else f"objective.{rest[0]}" if first == "objective" and len(rest) > 1 else None


def parts_of(recipe: Mapping[str, Any], sets: Iterable[str] = ()) -> set[str]:
    """Which of these parts a recipe has, or gains from its row's changes. Changes of all rows must not add any others."""
    parts = {f"objective.{term}" for term in recipe.get("objective") or ()}
    parts |= {".".join(key.split(".")[:2]) for key in sets if key.startswith("objective.")}
    if recipe.get("negatives") or "objective.negatives" in parts or any(part_of(key) == "negatives" for key in sets):
        parts.add("negatives")
    return parts


def fitting(sets: Mapping[str, Any], parts: Iterable[str]) -> dict[str, Any]:
    """The changes for a recipe that has these parts."""
    return {key: value for key, value in sets.items() if part_of(key) in (None, *parts)}


def values_in(word: str) -> tuple[str, list[Any]]:
    """The key and the values that a word such as "objective.sdp.k=1,5,25" gives it in turn."""
    key, _, text = word.partition("=")
    values = parse_value(f"[{text}]")
    if not isinstance(values, list) or not values or not re.fullmatch(r"[\w/-]+(\.[^.\n]+)*", key):
        raise SparringError(f"'{word:.100}' names no values: write KEY=A,B,C, such as objective.sdp.k=1,5,25")
    return key, values


def with_shares(sets: Mapping[str, Any], steps: Any) -> dict[str, Any]:
    """Changes whose "3%" has become that share of the run's steps. steps: of the recipe without changes."""
    found, steps = dict(sets), sets.get("steps", steps)
    for key, value in sets.items():
        if isinstance(value, str) and (share := re.fullmatch(r"(\d{1,3}(?:\.\d+)?)%", value.strip())):
            if not isinstance(steps, int):
                raise SparringError(f"{key}={value} is a share of the run's steps, and the recipe has none")
            found[key] = round(float(share[1]) / 100 * steps)
    return found
