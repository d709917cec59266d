"""Metrics of generators: functions on plain tensors, extractors that make such tensors of images, and `evaluate_images`."""

from sparring.metrics.am_score import am_score
from sparring.metrics.evaluate import evaluate_images, evaluate_sets
from sparring.metrics.fd_infinity import FDInfinity, frechet_distance_infinity
from sparring.metrics.gaussian import GaussianStats, frechet_distance, frechet_distance_of
from sparring.metrics.inception_score import inception_score, inception_score_from_logits
from sparring.metrics.intra_class import IntraClass, intra_class_distances
from sparring.metrics.kid import kernel_distance, kernel_distance_subsets
from sparring.metrics.prdc import PRDC, precision_recall_density_coverage
from sparring.metrics.sets import ImageSet, open_set

__all__ = [
    "PRDC",
    "FDInfinity",
    "GaussianStats",
    "ImageSet",
    "IntraClass",
    "am_score",
    "evaluate_images",
    "evaluate_sets",
    "frechet_distance",
    "frechet_distance_infinity",
    "frechet_distance_of",
    "inception_score",
    "inception_score_from_logits",
    "intra_class_distances",
    "kernel_distance",
    "kernel_distance_subsets",
    "open_set",
    "precision_recall_density_coverage",
]
