"""Feature extractors, one file each. A recipe names them by the keys of `EXTRACTORS` in `registry.py`."""

from importlib import import_module
from typing import Any

from sparring.evaluation.extractors.registry import EXTRACTORS

__all__ = ["EXTRACTORS"]
_HOME = dict.fromkeys(("Extractor", "ExtractorUnavailableError", "Features"), "base")
_HOME |= {"FashionExtractor": "fashion", "extractor_for": "choice"}


def __getattr__(name: str) -> Any:
    if name in _HOME:  # imported when first used: the command line lists extractors without torch
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
