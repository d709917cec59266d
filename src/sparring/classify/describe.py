"""Describes a classifier's recipe and what it costs, without training."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from sparring.classify.job import outputs_of
from sparring.classify.networks import build_classifier
from sparring.classify.recipe import ClassifierRecipe


def describe_classifier(recipe: ClassifierRecipe) -> dict[str, Any]:
    """The resolved recipe, and the number of parameters if the recipe gives the images' size, channels and classes."""
    built = without_memory(recipe)
    return {
        "name": recipe.name,
        "about": recipe.about,
        "paper": recipe.paper,
        "run_in_full": recipe.run_in_full,
        "parameters": sum(p.numel() for p in built[0][0].parameters()) if built else None,
        "recipe": recipe.to_dict(),
    }


def without_memory(recipe: ClassifierRecipe) -> list[tuple[nn.Module, torch.Tensor]]:
    """Each classifier that the recipe trains, and a batch of its images with the most negatives, on the meta device.

    Empty where the recipe does not give the images' size, channels and classes.
    """
    data, built = recipe.data, list[tuple[nn.Module, torch.Tensor]]()
    classes = len(data.classes) if isinstance(data.classes, list) and data.num_classes is None else data.num_classes
    if data.size is None or data.channels is None or classes is None:
        return []
    negatives = recipe.negatives.range[1] if recipe.negatives and recipe.negatives.placement == "on_top" else 0
    with torch.device("meta"):
        images = torch.empty(recipe.batch_size + negatives, data.channels, data.size, data.size)
        for criterion in recipe.classifiers:
            network = build_classifier(
                recipe.network.kind,
                recipe.network.options,
                image_size=data.size,
                image_channels=data.channels,
                outputs=outputs_of(criterion, classes),
                seed=recipe.seed,
            )
            built.append((network, images))
    return built
