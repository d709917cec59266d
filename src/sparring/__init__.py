"""Sparring trains GANs against better opponents.

    import sparring
    run = sparring.train("quickstart", out="runs/first")
    images = sparring.load("runs/first").sample(64, seed=0)      # uint8 [64, 1, 32, 32]

The terms work in any loop, with any networks: see `sparring.Objective`. Names are imported when they are first used, so
that `import sparring` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sparring.version import __version__

_PUBLIC = {
    "train": "sparring.training.run:train",
    "Run": "sparring.training.run:Run",
    "load": "sparring.sampling:load_generator",
    "sample": "sparring.api:sample",
    "evaluate": "sparring.api:evaluate",
    "recipes": "sparring.recipe_list:recipes",
    "show": "sparring.api:show",
    "pack": "sparring.data.sources:pack",
    "diagnose": "sparring.diagnose.report:diagnose",
    "load_images": "sparring.data.sources:load",
    "PackedImages": "sparring.data.packed:PackedImages",
    "Recipe": "sparring.recipe:Recipe",
    "Objective": "sparring.training.objective:Objective",
    "train_classifier": "sparring.classify.run:train_classifier",
    "load_classifier": "sparring.classify.saved:load_classifier",
    "predict": "sparring.classify.predict:predict",
    "export_classifier": "sparring.classify.export:export_classifier",
    "NATLoss": "sparring.classify.nat_loss:NATLoss",
    "ncr": "sparring.metrics.ncr:ncr",
    "NCR": "sparring.metrics.ncr:NCR",
    "Term": "sparring.terms.base:Term",
    "AdversarialLoss": "sparring.terms.base:AdversarialLoss",
    "Penalty": "sparring.terms.base:Penalty",
    "Head": "sparring.terms.base:Head",
    "Schedule": "sparring.terms.base:Schedule",
    "SparringError": "sparring.errors:SparringError",
    "NonFiniteLossError": "sparring.errors:NonFiniteLossError",
}


def _terms() -> dict[str, str]:
    """The terms' classes, by their own names: `sparring.Hinge`."""
    from sparring.terms import REGISTRY

    return {path.partition(":")[2]: path for path in REGISTRY.values()}


def __getattr__(name: str) -> Any:
    if name == "toy":  # a module of its own: sparring.toy.run(...)
        return importlib.import_module("sparring.toy")
    path = _PUBLIC.get(name) or _terms().get(name)
    if path is None:
        raise AttributeError(f"module 'sparring' has no attribute '{name}'")
    module, _, attribute = path.partition(":")
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC, *_terms(), "toy"})


if TYPE_CHECKING:
    from sparring import toy
    from sparring.api import evaluate, sample, show
    from sparring.classify.export import export_classifier
    from sparring.classify.nat_loss import NATLoss
    from sparring.classify.predict import predict
    from sparring.classify.run import train_classifier
    from sparring.classify.saved import load_classifier
    from sparring.data.packed import PackedImages
    from sparring.data.sources import load as load_images
    from sparring.data.sources import pack
    from sparring.diagnose.report import diagnose
    from sparring.errors import NonFiniteLossError, SparringError
    from sparring.metrics.ncr import NCR, ncr
    from sparring.recipe import Recipe
    from sparring.recipe_list import recipes
    from sparring.sampling import load_generator as load
    from sparring.terms.base import AdversarialLoss, Head, Penalty, Schedule, Term
    from sparring.training.objective import Objective
    from sparring.training.run import Run, train
