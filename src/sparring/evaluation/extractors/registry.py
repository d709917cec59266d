"""The extractors by name, one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparring.errors import SparringError

if TYPE_CHECKING:
    from sparring.evaluation.extractors.base import Extractor

EXTRACTORS = {  # by their names, which no other extractor's numbers may carry
    "fashion": "sparring.evaluation.extractors.fashion:FashionExtractor",
    "inception": "sparring.evaluation.extractors.inception:InceptionExtractor",
    "efficientnet-lite0": "sparring.evaluation.extractors.efficientnet_lite0:EfficientNetLite0Extractor",
}


def own_name(name: str) -> str:
    """A name for numbers of a user's extractor that cannot be taken for one of `EXTRACTORS`."""
    return f"own-{name}" if name.lower().startswith(tuple(EXTRACTORS)) else name


def check_name(extractor: Extractor) -> None:
    """Raise SparringError for a user's extractor under a name of `EXTRACTORS`: its numbers would be taken for theirs."""
    kind = type(extractor)
    if f"{kind.__module__}:{kind.__qualname__}" in EXTRACTORS.values():
        return
    if (allowed := own_name(extractor.name)) != extractor.name:
        raise SparringError(
            f"an extractor of your own cannot be called '{extractor.name}', a name of the library's: call it '{allowed}'"
        )
