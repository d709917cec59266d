"""Measures generators and images: an extractor computes features, and `sparring.metrics` computes numbers from them."""

from importlib import import_module
from typing import Any

_HOME = {"ImageSet": "image_set", "evaluate_images": "engine", "evaluate_sets": "engine", "open_set": "sources"}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
