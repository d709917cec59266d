"""Metrics of generators: functions on plain tensors, extractors that make such tensors of images, and `evaluate_images`."""

from sparring.metrics.am_score import am_score
from sparring.metrics.evaluate import evaluate_images
from sparring.metrics.gaussian import GaussianStats, frechet_distance, frechet_distance_of
from sparring.metrics.inception_score import inception_score, inception_score_from_logits
from sparring.metrics.kid import kernel_distance, kernel_distance_subsets
from sparring.metrics.prdc import PRDC, precision_recall_density_coverage

__all__ = [
    "PRDC",
    "GaussianStats",
    "am_score",
    "evaluate_images",
    "frechet_distance",
    "frechet_distance_of",
    "inception_score",
    "inception_score_from_logits",
    "kernel_distance",
    "kernel_distance_subsets",
    "precision_recall_density_coverage",
]
