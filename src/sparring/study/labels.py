"""What to call the groups of runs that somebody has already: by their recipe, and by what tells them apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sparring.recipe.files import flat
from sparring.study.recipe_hash import WORDS_ABOUT


def labels_of(recipes: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """A name for each recipe: its own, with the settings in which it differs from others of that name, by short keys."""
    found = {}
    known = {key for recipe in recipes.values() for key in flat(recipe)}
    for name in dict.fromkeys(str(recipe.get("name", "unnamed")) for recipe in recipes.values()):
        namesakes = {key: recipe for key, recipe in recipes.items() if str(recipe.get("name", "unnamed")) == name}
        kept = {key: {k: v for k, v in recipe.items() if k not in WORDS_ABOUT} for key, recipe in namesakes.items()}
        for key, settings in _apart(kept).items():
            words = [
                f"{_short(setting, known)}={value}" if value else _short(setting, known) for setting, value in settings
            ]
            found[key] = ", ".join([name, *words])
    return found


def _apart(recipes: Mapping[str, Mapping[str, Any]], before: str = "") -> dict[str, list[tuple[str, str]]]:
    """Each recipe's settings that not all of them have. Of parts of another kind that kind is enough."""
    found: dict[str, list[tuple[str, str]]] = {recipe: [] for recipe in recipes}
    for key in sorted(dict.fromkeys(key for recipe in recipes.values() for key in recipe), key="kind".__ne__):
        values = {recipe: part.get(key) for recipe, part in recipes.items()}
        if all(value == next(iter(values.values())) for value in values.values()):
            continue
        parts = {recipe: value for recipe, value in values.items() if isinstance(value, Mapping)}
        inner = _apart(parts, f"{before}{key}.") if len(parts) > 1 else {}
        for recipe, value in values.items():
            if recipe not in parts:
                found[recipe].append((f"{before}{key}", str(value)))
            elif len(parts) < len(values) and not inner.get(recipe):
                found[recipe].append((f"{before}{key}", ""))
            found[recipe] += inner.get(recipe, [])
        if key == "kind":
            for kind in set(values.values()):
                alike = {recipe: part for recipe, part in recipes.items() if part.get("kind") == kind}
                for recipe, settings in _apart(alike, before).items() if len(alike) > 1 else ():
                    found[recipe] += settings
            break
    return found


def _short(key: str, known: Iterable[str]) -> str:
    """The last two parts of a dotted key, or as many more as it takes to mean no other key."""
    parts = key.split(".")
    for count in range(2, len(parts)):
        end = "." + ".".join(parts[-count:])
        if sum(f".{other}.".find(f"{end}.") >= 0 for other in known if not other.startswith(f"{key}.")) <= 1:
            return end[1:]
    return key
