"""Metrics of generators: functions on plain tensors. What makes such tensors of images is in `sparring.evaluation`."""

from typing import Any

from sparring.metrics.am_score import am_score
from sparring.metrics.fd_infinity import FDInfinity, frechet_distance_infinity
from sparring.metrics.frechet import GaussianStats, frechet_distance, frechet_distance_of
from sparring.metrics.inception_score import inception_score, inception_score_from_logits
from sparring.metrics.intra_class import IntraClass, intra_class_distances
from sparring.metrics.kid import kernel_distance, kernel_distance_subsets
from sparring.metrics.prdc import PRDC, precision_recall_density_coverage

__all__ = [
    "PRDC",
    "FDInfinity",
    "GaussianStats",
    "IntraClass",
    "am_score",
    "frechet_distance",
    "frechet_distance_infinity",
    "frechet_distance_of",
    "inception_score",
    "inception_score_from_logits",
    "intra_class_distances",
    "kernel_distance",
    "kernel_distance_subsets",
    "precision_recall_density_coverage",
]

MOVED = ("ImageSet", "evaluate_images", "evaluate_sets", "open_set")  # to sparring.evaluation, after version 0.1


def __getattr__(name: str) -> Any:
    where = f"; it is in sparring.evaluation: from sparring.evaluation import {name}" if name in MOVED else ""
    raise AttributeError(f"module 'sparring.metrics' has no attribute '{name}'{where}")
