"""What every feature extractor offers: features and perhaps class logits of uint8 images, and its own provenance."""

import hashlib
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor


class Features(NamedTuple):
    """What an extractor sees in N images."""

    features: Tensor  # [N, d] float32
    logits: Tensor | None = None  # [N, K] float32 where the extractor classifies


@runtime_checkable
class Extractor(Protocol):
    """A frozen network that turns uint8 images [N, C, H, W] into features.

    An extractor is independent of how images are batched, draws no random number, changes no global state, and says
    exactly what it is: numbers measured through two different extractors cannot be compared.
    """

    name: str  # e.g. "fashion"
    weights_sha256: str  # of the file the weights came from, as `sha256sum` prints it
    resize: str  # how images reach the network's size, e.g. "none (32x32 only)"
    dimensions: int  # d
    class_names: tuple[str, ...] | None  # of the K logits; None where the extractor does not classify

    def __call__(self, images: Tensor) -> Features:
        """Features of images [N, C, H, W], uint8. Raises SparringError for images that it cannot take."""
        ...


def sha256_of(path: Path | str) -> str:
    """Hex SHA-256 of a file's bytes, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
