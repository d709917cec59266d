"""Fits a recipe to images that it was not written for: without classes, or of another size."""

from __future__ import annotations

from collections.abc import Iterable

from sparring.data.packed import PackedImages
from sparring.errors import SparringError
from sparring.messages import Note
from sparring.recipe.gan import CONDITIONINGS, Recipe


def fitted_to(recipe: Recipe, real: PackedImages, typed: Iterable[str], note: Note) -> Recipe:
    """The recipe for these images. Images without classes train an unconditional GAN, with a note.

    typed: the keys of the user's overrides; a conditioning among them stays, and is refused later. Raises SparringError,
    with the cure, if a term of the objective needs classes.
    """
    typed = set(typed)
    if "data" in typed and "data.size" not in typed and recipe.data.size is not None:
        size = f"{recipe.data.size}x{recipe.data.size}"
        if real.stored is not None and real.stored.size != size:
            theirs = real.stored.size or "several sizes"
            note(
                f"images of {real.name} ({theirs}) are cropped to squares and resized to {size}, the recipe's size: "
                "data.size=N chooses another, data.size=null keeps theirs"
            )
    if real.num_classes:
        return recipe
    for name, term in recipe.objective.terms.items():
        if any(head.outputs == "num_classes" or head.shared_with for head in term.heads()):
            without = f"objective.{name}=null"
            if name == recipe.objective.host_name:
                without += " 'objective.hinge={}', another adversarial loss"
            raise SparringError(
                f"objective.{name} needs class labels, and {real.name} has none: put each class in its own folder, or "
                f"train without it: {without}"
            )
    changed = [
        key
        for key in CONDITIONINGS
        if recipe.conditioning(key) != "none" and not any(_within(key, said) for said in typed)
    ]
    if changed:
        note(
            f"{real.name} has no classes: an unconditional GAN is trained ({', '.join(f'{key}=none' for key in changed)})"
        )
    return recipe.without_classes(changed)


def _within(key: str, said: str) -> bool:
    """Whether an override of `said` can have set the key."""
    return key == said or key.startswith(f"{said}.")
