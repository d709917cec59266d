"""Describes a classifier's recipe and what it costs, without training."""

from __future__ import annotations

from typing import Any

from sparring.classify.job import outputs_of
from sparring.classify.networks import build_classifier
from sparring.classify.recipe import ClassifierRecipe


def describe_classifier(recipe: ClassifierRecipe) -> dict[str, Any]:
    """The resolved recipe, and the number of parameters if the recipe gives the images' size, channels and classes."""
    data = recipe.data
    classes = len(data.classes) if isinstance(data.classes, list) and data.num_classes is None else data.num_classes
    parameters = None
    if data.size is not None and data.channels is not None and classes is not None:
        built = build_classifier(
            recipe.network.kind,
            recipe.network.options,
            image_size=data.size,
            image_channels=data.channels,
            outputs=outputs_of(recipe.criterion, classes),
            seed=recipe.seed,
        )
        parameters = sum(p.numel() for p in built.parameters())
    return {
        "name": recipe.name,
        "about": recipe.about,
        "paper": recipe.paper,
        "run_in_full": recipe.run_in_full,
        "parameters": parameters,
        "recipe": recipe.to_dict(),
    }
