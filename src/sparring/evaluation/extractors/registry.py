"""The extractors that ship, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparring.errors import SparringError

if TYPE_CHECKING:
    from sparring.evaluation.extractors.base import Extractor

EXTRACTORS = {  # these names are reserved
    "fashion": "sparring.evaluation.extractors.fashion:FashionExtractor",
    "inception": "sparring.evaluation.extractors.inception:InceptionExtractor",
    "efficientnet-lite0": "sparring.evaluation.extractors.efficientnet_lite0:EfficientNetLite0Extractor",
}


def own_name(name: str) -> str:
    """A name for a user's extractor that cannot be confused with one of `EXTRACTORS`."""
    return f"own-{name}" if name.lower().startswith(tuple(EXTRACTORS)) else name


def check_name(extractor: Extractor) -> None:
    """Raise SparringError if a user's extractor has a name of `EXTRACTORS`, since their numbers would be confused."""
    kind = type(extractor)
    if f"{kind.__module__}:{kind.__qualname__}" in EXTRACTORS.values():
        return
    if (allowed := own_name(extractor.name)) != extractor.name:
        raise SparringError(
            f"your extractor cannot be called '{extractor.name}', which is a reserved name: call it '{allowed}'"
        )
