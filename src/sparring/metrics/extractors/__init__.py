"""Feature extractors, one file each."""

from sparring.metrics.extractors.base import Extractor, Features
from sparring.metrics.extractors.fashion import FashionExtractor

__all__ = ["Extractor", "FashionExtractor", "Features"]
