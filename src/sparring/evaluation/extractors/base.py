"""What every feature extractor offers: features and perhaps class logits of uint8 images, and its own provenance."""

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from sparring.archives import check_tensor_archive
from sparring.errors import SparringError


class ExtractorUnavailableError(SparringError):
    """An extractor of the library whose weights or package are not on this machine. reason: that alone, without ways out."""

    def __init__(self, reason: str, ways_out: str) -> None:
        super().__init__(f"{reason}{ways_out}")
        self.reason = reason


class Features(NamedTuple):
    """What an extractor sees in N images."""

    features: Tensor  # [N, d] float32
    logits: Tensor | None = None  # [N, K] float32 where the extractor classifies


@runtime_checkable
class Extractor(Protocol):
    """A frozen network that turns uint8 images [N, C, H, W] into features.

    An extractor is independent of how images are batched, draws no random number, changes no global state, and says
    exactly what it is: numbers measured through two different extractors cannot be compared. One with `cacheable = True`
    says that its name, `weights_sha256` and `resize` tell all that its features depend on, its code too: only then are
    statistics of real images kept.
    """

    name: str  # e.g. "fashion"
    weights_sha256: str  # of the file the weights came from, as `sha256sum` prints it
    resize: str  # how images reach the network's size, e.g. "none (32x32 only)"
    dimensions: int  # d
    class_names: tuple[str, ...] | None  # of the K logits; None where the extractor does not classify

    def __call__(self, images: Tensor) -> Features:
        """Features of images [N, C, H, W], uint8. Raises SparringError for images that it cannot take."""
        ...


class NetworkExtractor:
    """An extractor around a network: checks, batches, the device, and answers that must be finite.

    A subclass sets the attributes of `Extractor`, and `see`, which looks at one batch of uint8 images on the device. Where
    `colour` is set, grey images are shown as three equal channels.
    """

    name: str
    weights_sha256: str
    resize: str
    dimensions: int
    class_names: tuple[str, ...] | None = None
    colour = True
    cacheable = False  # see `Extractor`
    batch_size = 50  # images that the network looks at together; results do not depend on it
    net: nn.Module
    device: torch.device

    def see(self, images: Tensor) -> Features:
        raise NotImplementedError

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Features:
        check_images(images, self.name)
        if self.colour and images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        seen = [self.see(batch.to(self.device)) for batch in images.split(self.batch_size)]
        features = torch.cat([part.features for part in seen]).float()
        logits = None if self.class_names is None else torch.cat([part.logits for part in seen]).float()  # type: ignore[misc]
        found = Features(features, logits)
        check_finite(found, self.name)
        return found


def check_images(images: Tensor, name: str) -> None:
    """Raise SparringError unless these are uint8 images of 1 or 3 channels."""
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
        raise SparringError(
            f"the {name} extractor takes uint8 images [N, 1 or 3, H, W], got {images.dtype} {list(images.shape)}: "
            "convert floats with (x * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)"
        )


def check_finite(seen: Features, name: str) -> None:
    """Raise SparringError for features or logits that are not finite, and name the first image that has them."""
    for what, values in (("features", seen.features), ("logits", seen.logits)):
        if values is not None and not values.isfinite().all():
            row = int((~values.isfinite()).flatten(1).any(1).nonzero()[0])
            raise SparringError(
                f"the {name} extractor gives NaN or infinite {what}, first for image {row} of a batch: its weights do not "
                "fit these images; check the file they came from"
            )


def read_weights(path: Path | str, sha256: str | None = None) -> tuple[bytes, str]:
    """A weights file's bytes and their SHA-256. Raises SparringError where it is missing or has another hash than wanted."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise SparringError(f"there is no weights file '{path}': check --weights")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256.lower():
        raise SparringError(
            f"{path} has sha256 {found}, not {sha256}: it is damaged or another file; fetch it again or correct the hash"
        )
    return content, found


def read_tensors(content: bytes, what: str) -> Any:
    """What torch.save wrote, tensors alone, from a file's bytes. Raises SparringError for anything else: it is never run."""
    try:
        if zipfile.is_zipfile(io.BytesIO(content)):  # older files of torch.save are none
            check_tensor_archive(content, "it")
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:  # torch's words are many lines long
        raise SparringError(
            f"{what} as tensors: it is not a file of torch.save, or holds more than tensors, such as a whole module; save "
            "the state_dict"
        ) from None


def check_names(lacking: list[str], wrong: str) -> None:
    """Raise SparringError, `wrong` and the first name, where a state lacks any that the network reads."""
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise SparringError(f"{wrong}: it lacks {lacking[0]}{more}")


def sha256_of(path: Path | str) -> str:
    """Hex SHA-256 of a file's bytes, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
