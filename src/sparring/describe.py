"""What a recipe is and costs, and what two do differently: of GANs and classifiers alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from sparring.classify.describe import describe_classifier
from sparring.classify.recipe import ClassifierRecipe
from sparring.errors import SparringError
from sparring.messages import Note
from sparring.recipe.base import BaseRecipe, differences
from sparring.recipe.files import kind_of, parse_overrides, read_recipe
from sparring.recipe.gan import Recipe
from sparring.run.folder import cure_for_moved, is_run
from sparring.training.dry_run import describe


def show(
    recipe: Any,
    overrides: Iterable[str] | Mapping[str, Any] = (),
    *,
    allow_code: bool = False,
    note: Note | None = None,
) -> dict[str, Any]:
    """What a recipe is and costs, without training: see `sparring.training.dry_run.describe`, and `describe_classifier`.

    allow_code: whether a run may name code that does not ship, which is imported then (see docs/trust.md).
    """
    overrides = overrides if isinstance(overrides, Mapping) else list(overrides)
    loaded = load_recipe(recipe, overrides, allow_code=allow_code)
    if isinstance(loaded, ClassifierRecipe):
        return describe_classifier(loaded)
    with cure_for_moved(Path(recipe), loaded, verb="train") if is_run(recipe) else nullcontext():
        return describe(loaded, note or (lambda text: None), parse_overrides(overrides))


def load_recipe(
    recipe: Any, overrides: Iterable[str] | Mapping[str, Any] = (), *, allow_code: bool = False
) -> Recipe | ClassifierRecipe:
    """A GAN's or a classifier's recipe, from whatever names or holds one."""
    values: Mapping[str, Any] = recipe.to_dict() if isinstance(recipe, BaseRecipe) else read_recipe(recipe)
    kind = kind_of(values) or ("classifier" if "data" in values else "GAN")  # which needs more than its images
    return (ClassifierRecipe if kind == "classifier" else Recipe).load(recipe, overrides, allow_code=allow_code)


def compare(
    recipe: Any, other: Any, overrides: Iterable[str] | Mapping[str, Any] = (), *, allow_code: bool = False
) -> dict[str, dict[str, Any]]:
    """What two recipes do differently, by dotted keys: {"this": value, "other": value}, None where one lacks the key.

    Names, descriptions and the papers' numbers are left out. overrides are the first one's. Raises SparringError for a GAN's
    recipe beside a classifier's.
    """
    a, b = load_recipe(recipe, overrides, allow_code=allow_code), load_recipe(other, allow_code=allow_code)
    if type(a) is not type(b):
        raise SparringError(f"'{a.name}' and '{b.name}' cannot be compared: one trains a GAN, the other a classifier")
    changed = differences(a, b)
    said = {"name", "about", "run_in_full"} | {key for key in changed if key.startswith("paper")}
    return {key: {"this": one, "other": two} for key, (one, two) in changed.items() if key not in said}
