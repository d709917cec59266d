"""Describe a recipe and what it costs, and compare two recipes. Works for GANs and for classifiers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from sparring.classify.describe import describe_classifier, without_memory
from sparring.classify.recipe import ClassifierRecipe
from sparring.errors import SparringError
from sparring.messages import Note, no_note
from sparring.recipe.base import BaseRecipe, differences
from sparring.recipe.files import kind_of, parse_overrides, read_recipe
from sparring.recipe.gan import Recipe
from sparring.run.folder import cure_for_moved, is_run
from sparring.training.dry_run import describe
from sparring.training.operations import CountedOperations

BACKWARD = 2  # a backward pass takes as many operations as so many forward passes


def show(
    recipe: Any,
    overrides: Iterable[str] | Mapping[str, Any] = (),
    *,
    allow_code: bool = False,
    note: Note | None = None,
) -> dict[str, Any]:
    """Describe a recipe and what it costs, without training.

    For the keys of the result see `sparring.training.dry_run.describe` (GANs) and
    `sparring.classify.describe.describe_classifier`. If `allow_code` is true, code that a run's recipe names is imported
    even if it does not ship with sparring (see docs/trust.md).
    """
    overrides = overrides if isinstance(overrides, Mapping) else list(overrides)
    loaded = load_recipe(recipe, overrides, allow_code=allow_code)
    if isinstance(loaded, ClassifierRecipe):
        return describe_classifier(loaded)
    with cure_for_moved(Path(recipe), loaded) if is_run(recipe) else nullcontext():
        return describe(loaded, note or no_note, parse_overrides(overrides))


def cost_of_a_step(recipe: Any, note: Note = no_note) -> tuple[int | None, int | None]:
    """Parameters of all networks, and operations of a training step, counted without memory.

    Operations are those of convolutions and matrix products; a multiplication and an addition count two. Classifiers whose
    recipe does not give the images' size, channels and classes have None.
    """
    loaded = load_recipe(recipe)
    if not isinstance(loaded, ClassifierRecipe):
        found = describe(loaded, note)
        return sum(found["parameters"].values()), found["per_step"]["operations"]
    built = without_memory(loaded)
    with CountedOperations() as counted:
        for network, images in built:
            network(images)
    parameters = sum(p.numel() for network, _ in built for p in network.parameters())
    return (parameters, counted.total * (1 + BACKWARD)) if built else (None, None)


def load_recipe(
    recipe: Any, overrides: Iterable[str] | Mapping[str, Any] = (), *, allow_code: bool = False
) -> Recipe | ClassifierRecipe:
    """The recipe of a GAN or classifier, from a name, file, run folder, mapping or recipe."""
    values: Mapping[str, Any] = recipe.to_dict() if isinstance(recipe, BaseRecipe) else read_recipe(recipe)
    kind = kind_of(values) or ("classifier" if "data" in values else "GAN")  # a GAN needs more than data
    return (ClassifierRecipe if kind == "classifier" else Recipe).load(recipe, overrides, allow_code=allow_code)


def compare(
    recipe: Any, other: Any, overrides: Iterable[str] | Mapping[str, Any] = (), *, allow_code: bool = False
) -> dict[str, dict[str, Any]]:
    """The differences between two recipes, by dotted key: {"this": value, "other": value}, None for a missing key.

    Names, descriptions and the papers' numbers are ignored. The overrides apply to the first recipe. Raises SparringError
    if one recipe trains a GAN and the other a classifier.
    """
    a, b = load_recipe(recipe, overrides, allow_code=allow_code), load_recipe(other, allow_code=allow_code)
    if type(a) is not type(b):
        raise SparringError(f"'{a.name}' and '{b.name}' cannot be compared: one trains a GAN, the other a classifier")
    changed = differences(a, b)
    ignored = {"name", "about", "run_in_full"} | {key for key in changed if key.startswith("paper")}
    return {key: {"this": one, "other": two} for key, (one, two) in changed.items() if key not in ignored}
