"""Recipes: loaded from names, files and mappings, checked, explained, and made into networks."""

import importlib
from typing import Any

NAMES = (
    "EMA",
    "Data",
    "Discriminator",
    "Evaluation",
    "Generator",
    "Network",
    "Optimizer",
    "Recipe",
    "differences",
    "flat",
)


def __getattr__(name: str) -> Any:
    if name not in NAMES:
        raise AttributeError(f"module 'sparring.recipe' has no attribute '{name}'")
    return getattr(importlib.import_module("sparring.recipe.gan"), name)
