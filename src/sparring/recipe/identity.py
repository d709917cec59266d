"""Which runs have the same recipe but for the seed, by a hash, and what to call recipes that differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from sparring.recipe.files import flat

WORDS_ABOUT = ("seed", "name", "about", "paper", "run_in_full", "keep_checkpoints", "start_from")
# start_from is another run's folder: a study's row that starts from another one puts the parent's hash in its place

# keys that older recipes lack, with the values at which they change no number
ADDED_LATER = {"deterministic": False, "compile": False, "freeze": None}


def recipe_hash(recipe: Mapping[str, Any], parent: str = "") -> str:
    """16 hex digits of a resolved recipe, without what changes no number, its seed, and the folder that it starts from.

    parent: the hash of the recipe whose run it starts from.
    """
    kept = _settings(recipe)
    return digest([kept, parent] if parent else kept)


def _settings(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What distinguishes a resolved recipe from others, whichever version of this package resolved it."""
    return {
        key: value
        for key, value in recipe.items()
        if key not in WORDS_ABOUT and not (key in ADDED_LATER and value == ADDED_LATER[key])
    }


def digest(values: Any) -> str:
    """16 hex digits of plain values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def labels_of(recipes: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """A name for each recipe: its own, with the settings in which it differs from others of that name, by short keys."""
    known = {key for recipe in recipes.values() for key in flat(recipe)}
    by_name: dict[str, dict[str, Mapping[str, Any]]] = {}
    for key, recipe in recipes.items():
        by_name.setdefault(str(recipe.get("name", "unnamed")), {})[key] = _settings(recipe)
    return {
        key: ", ".join([name, *(f"{_short(setting, known)}{value}" for setting, value in settings)])
        for name, namesakes in by_name.items()
        for key, settings in _apart(namesakes).items()
    }


def _apart(recipes: Mapping[str, Mapping[str, Any]], before: str = "") -> dict[str, list[tuple[str, str]]]:
    """Each recipe's settings that not all of them have, with "=value". Of parts of another kind that kind is enough."""
    found: dict[str, list[tuple[str, str]]] = {recipe: [] for recipe in recipes}
    if len(kinds := {part.get("kind") for part in recipes.values()}) > 1:
        for kind in kinds:
            alike = {recipe: part for recipe, part in recipes.items() if part.get("kind") == kind}
            for recipe, settings in _apart(alike, before).items():
                found[recipe] = [(f"{before}kind", f"={kind}"), *settings]
        return found
    for key in dict.fromkeys(key for recipe in recipes.values() for key in recipe):
        values = {recipe: part.get(key) for recipe, part in recipes.items()}
        if all(value == next(iter(values.values())) for value in values.values()):
            continue
        parts = {recipe: value for recipe, value in values.items() if isinstance(value, Mapping)}
        inner = _apart(parts, f"{before}{key}.")
        for recipe, value in values.items():
            bare = [(f"{before}{key}", "")] if len(parts) < len(values) else []
            found[recipe] += (inner[recipe] or bare) if recipe in parts else [(f"{before}{key}", f"={value}")]
    return found


def _short(key: str, known: Iterable[str]) -> str:
    """The last two parts of a dotted key, or as many more as it takes to mean no other key."""
    parts = key.split(".")
    for count in range(2, len(parts)):
        end = "." + ".".join(parts[-count:])
        if sum(f"{end}." in f".{other}." for other in known if not other.startswith(f"{key}.")) <= 1:
            return end[1:]
    return key
