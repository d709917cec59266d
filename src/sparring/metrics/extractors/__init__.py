"""Feature extractors, one file each, and the choice among them."""

from typing import TYPE_CHECKING

import torch

from sparring.errors import SparringError, nearest
from sparring.metrics.extractors.base import Extractor, Features
from sparring.metrics.extractors.fashion import CLASS_NAMES, FashionExtractor

if TYPE_CHECKING:
    from sparring.data.packed import PackedImages

EXTRACTORS = {"fashion": FashionExtractor}

__all__ = ["EXTRACTORS", "Extractor", "Features", "FashionExtractor", "extractor_for"]


def extractor_for(
    name: str | None, real: "PackedImages", device: torch.device | str = "cpu"
) -> Extractor | None:
    """The extractor of that name. Without a name, the embedded one where `real` holds its garments, else None.

    Raises SparringError for an unknown name.
    """
    if name is None:
        garments = bool(real.class_names) and set(real.class_names) <= set(CLASS_NAMES)
        return FashionExtractor(device) if garments and real.images.shape[1:] == (1, 32, 32) else None
    if name not in EXTRACTORS:
        raise SparringError(f"unknown extractor '{name}': {nearest(name, EXTRACTORS)}")
    return EXTRACTORS[name](device)
