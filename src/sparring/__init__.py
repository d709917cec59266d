"""Sparring trains GANs against better opponents.

    import sparring
    run = sparring.train("quickstart", out="runs/first")
    images = sparring.load("runs/first").sample(64, seed=0)      # uint8 [64, 1, 32, 32]

The terms work in any training loop, with any networks: see `sparring.Objective`. Names are imported on first use, so that
`import sparring` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sparring.version import __version__

_PUBLIC = {
    "train": "sparring.training.run:train",
    "Run": "sparring.training.run:Run",
    "load": "sparring.run.saved:load_generator",
    "status": "sparring.run.status:status",
    "sample": "sparring.run.sample:sample",
    "interpolate": "sparring.studio.interpolate:interpolate",
    "project": "sparring.studio.project:project",
    "nearest": "sparring.studio.nearest:nearest",
    "export": "sparring.studio.export:export",
    "share": "sparring.studio.share:share",
    "evaluate": "sparring.evaluation.evaluate:evaluate",
    "recipes": "sparring.recipe.listing:recipes",
    "show": "sparring.describe:show",
    "suggest": "sparring.suggestion:suggest",
    "pack": "sparring.data.sources:pack",
    "diagnose": "sparring.microscope.diagnosis:diagnose",
    "load_images": "sparring.data.sources:load",
    "PackedImages": "sparring.data.packed:PackedImages",
    "Recipe": "sparring.recipe.gan:Recipe",
    "Objective": "sparring.objective.objective:Objective",
    "train_classifier": "sparring.classify.run:train_classifier",
    "load_classifier": "sparring.classify.saved:load_classifier",
    "predict": "sparring.classify.predict:predict",
    "export_classifier": "sparring.classify.export:export_classifier",
    "NATLoss": "sparring.classify.nat_loss:NATLoss",
    "ncr": "sparring.metrics.ncr:ncr",
    "NCR": "sparring.metrics.ncr:NCR",
    "Term": "sparring.objective.term:Term",
    "AdversarialLoss": "sparring.objective.term:AdversarialLoss",
    "Penalty": "sparring.objective.term:Penalty",
    "Head": "sparring.networks.discriminator:Head",
    "Schedule": "sparring.schedule:Schedule",
    "SparringError": "sparring.errors:SparringError",
    "NonFiniteLossError": "sparring.errors:NonFiniteLossError",
}


def _terms() -> dict[str, str]:
    """The term classes by name: `sparring.Hinge`."""
    from sparring.terms import REGISTRY

    return {path.partition(":")[2]: path for path in REGISTRY.values()}


def __getattr__(name: str) -> Any:
    if name in ("toy", "study"):  # packages: sparring.toy.run(...), sparring.study(...)
        return importlib.import_module(f"sparring.{name}")
    path = _PUBLIC.get(name) or _terms().get(name)
    if path is None:
        raise AttributeError(f"module 'sparring' has no attribute '{name}'")
    module, _, attribute = path.partition(":")
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC, *_terms(), "toy", "study"})


if TYPE_CHECKING:
    from sparring import study, toy
    from sparring.classify.export import export_classifier
    from sparring.classify.nat_loss import NATLoss
    from sparring.classify.predict import predict
    from sparring.classify.run import train_classifier
    from sparring.classify.saved import load_classifier
    from sparring.data.packed import PackedImages
    from sparring.data.sources import load as load_images
    from sparring.data.sources import pack
    from sparring.describe import show
    from sparring.errors import NonFiniteLossError, SparringError
    from sparring.evaluation.evaluate import evaluate
    from sparring.metrics.ncr import NCR, ncr
    from sparring.microscope.diagnosis import diagnose
    from sparring.networks.discriminator import Head
    from sparring.objective.objective import Objective
    from sparring.objective.term import AdversarialLoss, Penalty, Term
    from sparring.recipe.gan import Recipe
    from sparring.recipe.listing import recipes
    from sparring.run.sample import sample
    from sparring.run.saved import load_generator as load
    from sparring.run.status import status
    from sparring.schedule import Schedule
    from sparring.studio.export import export
    from sparring.studio.interpolate import interpolate
    from sparring.studio.nearest import nearest
    from sparring.studio.project import project
    from sparring.studio.share import share
    from sparring.suggestion import suggest
    from sparring.training.run import Run, train
