"""From images, or a generator, to numbers: features by an extractor, then `sparring.metrics`."""

from sparring.evaluation.engine import evaluate_images, evaluate_sets
from sparring.evaluation.image_set import ImageSet
from sparring.evaluation.sources import open_set

__all__ = ["ImageSet", "evaluate_images", "evaluate_sets", "open_set"]
