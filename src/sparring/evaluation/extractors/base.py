"""The interface of feature extractors: features, and class logits if they classify, of uint8 images."""

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from sparring.archives import check_tensor_archive
from sparring.errors import SparringError
from sparring.run.numerics import numerics


class ExtractorUnavailableError(SparringError):
    """The weights or the package of an extractor are not on this machine. reason: the message without the ways out."""

    def __init__(self, reason: str, ways_out: str) -> None:
        super().__init__(f"{reason}{ways_out}")
        self.reason = reason


class Features(NamedTuple):
    """What an extractor computes for N images."""

    features: Tensor  # [N, d] float32
    logits: Tensor | None = None  # [N, K] float32 if the extractor is a classifier


@runtime_checkable
class Extractor(Protocol):
    """A frozen network that turns uint8 images [N, C, H, W] into features.

    Its results do not depend on how images are batched, it draws no random numbers, and it changes no global state. Numbers
    from two different extractors cannot be compared. `cacheable = True` means that its features depend on nothing but its
    name, `weights_sha256` and `resize`, which includes its code: only then are statistics of real images cached.
    """

    name: str  # e.g. "fashion"
    weights_sha256: str  # of the file the weights came from, as `sha256sum` prints it
    resize: str  # how images are resized, e.g. "none (32x32 only)"
    dimensions: int  # d
    class_names: tuple[str, ...] | None  # of the K logits; None if the extractor is not a classifier

    def __call__(self, images: Tensor) -> Features:
        """Features of uint8 images [N, C, H, W]. Raises SparringError for images that it does not accept."""
        ...


class NetworkExtractor:
    """Base class of extractors with a network. It batches images, moves them to the device, and checks the results.

    A subclass sets the attributes of `Extractor` and implements `see` for one batch of uint8 images on the device. With
    `colour`, greyscale images are expanded to three channels.
    """

    name: str
    weights_sha256: str
    resize: str
    dimensions: int
    class_names: tuple[str, ...] | None = None
    colour = True
    cacheable = False  # see `Extractor`
    batch_size = 50  # images per pass of the network; results do not depend on it
    net: nn.Module
    device: torch.device

    def see(self, images: Tensor) -> Features:
        raise NotImplementedError

    @torch.no_grad()
    @numerics()
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
    """Raise SparringError, naming the first image, for features or logits that are not finite."""
    for what, values in (("features", seen.features), ("logits", seen.logits)):
        if values is not None and not values.isfinite().all():
            row = int((~values.isfinite()).flatten(1).any(1).nonzero()[0])
            raise SparringError(
                f"the {name} extractor gives NaN or infinite {what}, first for image {row} of a batch: its weights do not "
                "fit these images; check the file they came from"
            )


def read_weights(path: Path | str, sha256: str | None = None) -> tuple[bytes, str]:
    """The bytes of a weights file and their SHA-256. Raises SparringError if it is missing or has another hash."""
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
    """The tensors that torch.save wrote. Raises SparringError for anything else; nothing is executed."""
    try:
        if zipfile.is_zipfile(io.BytesIO(content)):  # old files of torch.save are not zip files
            check_tensor_archive(content, "it")
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:  # torch's message is many lines long
        raise SparringError(
            f"{what} as tensors: it is not a file of torch.save, or holds more than tensors, such as a whole module; save "
            "the state_dict"
        ) from None


def check_names(lacking: list[str], wrong: str) -> None:
    """Raise SparringError with `wrong` and the first name if a state lacks any entries."""
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise SparringError(f"{wrong}: it lacks {lacking[0]}{more}")


def sha256_of(path: Path | str) -> str:
    """The SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
