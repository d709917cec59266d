"""Which step a recipe takes, the library's or its own, and the errors of a user's code in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sparring.errors import SparringError, one_line
from sparring.networks import BACKBONES, GENERATORS
from sparring.networks.contract import class_name
from sparring.plugins import find
from sparring.recipe.augment import AUGMENTATIONS
from sparring.training.step import train_step
from sparring.trust import VALIDATED

if TYPE_CHECKING:
    from sparring.recipe.gan import Recipe
    from sparring.training.state import TrainingState

IN_PLACE = "; no block, feature or image may be changed in place"


def step_function(recipe: Recipe) -> Callable[[TrainingState], None]:
    """One step of the recipe: its own function, or `train_step`."""
    return train_step if recipe.step is None else find(recipe.step, {}, "step", VALIDATED)


def checked_step(recipe: Recipe, step: Callable[[TrainingState], None]) -> Callable[[TrainingState], None]:
    """The step; with users' code in the recipe, it raises a one-line SparringError if it fails or is not one step."""
    kinds = [recipe.generator.network.kind, recipe.discriminator.network.kind]
    kinds += [recipe.step] if recipe.step else []
    kinds += [str(recipe.augment.get("kind"))] if recipe.augment else []
    kinds += [name for term in recipe.objective.terms.values() if ":" in (name := class_name(term))]
    ours = {path for names in (GENERATORS, BACKBONES, AUGMENTATIONS) for item in names.items() for path in item}
    theirs = ", ".join(kind for kind in kinds if kind not in ours)
    if not theirs:
        return step

    def checked(s: TrainingState) -> None:
        at = s.step
        with one_line(f"step {at} failed, with {theirs}: ", lambda error: IN_PLACE if "inplace" in str(error) else ""):
            step(s)
        if s.step != at + 1:
            raise SparringError(
                f"step {recipe.step} went from step {at} to {s.step}: call `update_generator(s)` exactly once"
            )

    return checked
