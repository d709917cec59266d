"""Metrics for generators. Each file has a `Metric` class and its arithmetic as functions of plain tensors.

`sparring.evaluation` turns images into such tensors. The functions are imported on first use, so that the command line can
list the metrics without importing torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparring.metrics.base import Metric, record
    from sparring.metrics.fd_infinity import FDInfinity, frechet_distance_infinity
    from sparring.metrics.frechet import frechet_distance, frechet_distance_of
    from sparring.metrics.intra_class import IntraClass, intra_class_distances
    from sparring.metrics.kid import kernel_distance, kernel_distance_subsets
    from sparring.metrics.moments import GaussianStats
    from sparring.metrics.prdc import PRDC, precision_recall_density_coverage
    from sparring.metrics.score_am import am_score
    from sparring.metrics.score_is import inception_score, inception_score_from_logits

REGISTRY: dict[str, str] = {  # in the order of their records
    "fd": "sparring.metrics.frechet:FrechetDistance",
    "fd-infinity": "sparring.metrics.fd_infinity:FrechetDistanceInfinity",
    "kd": "sparring.metrics.kid:KernelDistance",
    "kd-subsets": "sparring.metrics.kid:KernelDistanceSubsets",
    "intra": "sparring.metrics.intra_class:IntraClassDistance",
    "is": "sparring.metrics.score_is:InceptionScore",
    "am": "sparring.metrics.score_am:AMScore",
    "classes": "sparring.metrics.class_shares:ClassShares",
    "prdc": "sparring.metrics.prdc:PrecisionRecall",
}
_PUBLIC = {
    "base": ("Metric", "record"),
    "fd_infinity": ("FDInfinity", "frechet_distance_infinity"),
    "frechet": ("frechet_distance", "frechet_distance_of"),
    "intra_class": ("IntraClass", "intra_class_distances"),
    "kid": ("kernel_distance", "kernel_distance_subsets"),
    "moments": ("GaussianStats",),
    "prdc": ("PRDC", "precision_recall_density_coverage"),
    "score_am": ("am_score",),
    "score_is": ("inception_score", "inception_score_from_logits"),
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}
MOVED = ("ImageSet", "evaluate_images", "evaluate_sets", "open_set")  # to sparring.evaluation, after version 0.1


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"sparring.metrics.{_HOME[name]}"), name)
    where = f"; it is in sparring.evaluation: from sparring.evaluation import {name}" if name in MOVED else ""
    raise AttributeError(f"module 'sparring.metrics' has no attribute '{name}'{where}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
