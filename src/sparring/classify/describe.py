"""Describes a classifier's recipe and what it costs, without training."""

from __future__ import annotations

from typing import Any

import torch

from sparring.classify.job import outputs_of
from sparring.classify.networks import build_classifier
from sparring.classify.recipe import ClassifierRecipe
from sparring.training.operations import CountedOperations

BACKWARD = 2  # a backward pass takes as many operations as so many forward passes


def describe_classifier(recipe: ClassifierRecipe) -> dict[str, Any]:
    """The resolved recipe, and the number of parameters if the recipe gives the images' size, channels and classes."""
    costs = costs_of(recipe)
    return {
        "name": recipe.name,
        "about": recipe.about,
        "paper": recipe.paper,
        "run_in_full": recipe.run_in_full,
        "parameters": costs[0][0] if costs else None,
        "recipe": recipe.to_dict(),
    }


def costs_of(recipe: ClassifierRecipe) -> list[tuple[int, int]]:
    """Of each classifier that the recipe trains: its parameters, and the operations of a step with the most negatives.

    Empty where the recipe does not give the images' size, channels and classes.
    """
    data, costs = recipe.data, []
    classes = len(data.classes) if isinstance(data.classes, list) and data.num_classes is None else data.num_classes
    if data.size is None or data.channels is None or classes is None:
        return []
    negatives = recipe.negatives.range[1] if recipe.negatives and recipe.negatives.placement == "on_top" else 0
    for criterion in recipe.classifiers:
        with torch.device("meta"):
            built = build_classifier(
                recipe.network.kind,
                recipe.network.options,
                image_size=data.size,
                image_channels=data.channels,
                outputs=outputs_of(criterion, classes),
                seed=recipe.seed,
            )
            images = torch.empty(recipe.batch_size + negatives, data.channels, data.size, data.size)
        with CountedOperations() as counted:
            built(images)
        operations = counted.total * (1 + BACKWARD)
        costs.append((sum(p.numel() for p in built.parameters()), operations))
    return costs
