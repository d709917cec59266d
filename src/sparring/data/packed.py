"""Images in memory: one uint8 array, gathered by index and normalised in one go.

Between the data and the metrics an image is float32 in [-1, 1]; at both ends it is uint8. The two maps are

    float = uint8 / 127.5 - 1                    0 -> -1, 255 -> 1
    uint8 = round((float + 1) * 127.5)           clamped to 0..255, halves to even; the inverse of the first

Pixels are channels-last in memory, as convolutions want them, so a batch needs no reordering.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from sparring.data.classes import choose_classes, classes_without_images, printable
from sparring.data.stored import Stored
from sparring.data.transfer import to_device
from sparring.errors import SparringError
from sparring.messages import counted

_HASH_CHUNK = 16 * 2**20  # bytes hashed by one thread at a time


def to_uint8(images: Tensor) -> Tensor:
    """Float images in [-1, 1] as uint8, rounded to the nearest level; values outside the range are clamped.

    Raises SparringError for integers, which this map would turn into black and white.
    """
    if not images.is_floating_point():
        raise SparringError(f"to_uint8 takes float images in [-1, 1], got {images.dtype}: they need no conversion")
    return images.float().add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def to_float(images: Tensor) -> Tensor:
    """uint8 images as float32 in [-1, 1], by x / 127.5 - 1; `to_uint8` gives the same levels back exactly."""
    if images.dtype != torch.uint8:
        raise SparringError(f"to_float takes uint8 images, got {images.dtype}: convert them with to_uint8 first")
    return images.to(torch.float32).div_(127.5).sub_(1)


def is_whole(values: Tensor) -> bool:
    """Whether a tensor has an integer type, as labels do; bool is none."""
    return not (values.is_floating_point() or values.is_complex() or values.dtype == torch.bool)


@dataclass(frozen=True, eq=False)
class PackedImages:
    """A data set as one array.

    images        uint8 [N, C, H, W], C 1 or 3, channels-last in memory; perhaps mapped from a file
    labels        int64 [N] or None: >= 0 a class, < 0 no class known
    class_names   a name for each class, or () if classes are numbered only
    name, split   where the images come from, for logs and reports; `split` is None where the source has none
    stored        how the decoded files were stored; None if there were no files
    """

    images: Tensor
    labels: Tensor | None = None
    class_names: tuple[str, ...] = ()
    name: str = "images"
    split: str | None = None
    stored: Stored | None = None
    _rows: Tensor = field(init=False, repr=False)  # [N, H * W * C], the same memory: gathering rows is a plain copy

    def facts(self) -> dict[str, Any]:
        """A description of the images, for reports."""
        return {
            "name": self.name,
            "split": self.split,
            "images": len(self),
            "size": self.size,
            "channels": self.channels,
            "classes": self.num_classes,
            "class_names": list(self.class_names),
        }

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
            raise SparringError(
                f"packed images must be uint8 [N, C, H, W] with C 1 or 3, got {images.dtype} {list(images.shape)}: "
                "convert floats in [-1, 1] with sparring.data.to_uint8"
            )
        pixels = images.permute(0, 2, 3, 1).contiguous()
        names = tuple(printable(str(name)) for name in self.class_names)
        if len(set(names)) < len(names):
            counts = Counter(names)
            twice = next(name for name in names if counts[name] > 1)
            raise SparringError(f"class '{twice}' is named twice in '{self.name}': class names must differ")
        if labels is not None:
            labels = self._checked_labels(labels, names)
        object.__setattr__(self, "images", pixels.permute(0, 3, 1, 2))
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "class_names", names)
        object.__setattr__(self, "name", printable(self.name))
        object.__setattr__(self, "_rows", pixels.flatten(1))

    def _checked_labels(self, labels: Tensor, names: tuple[str, ...]) -> Tensor:
        if not is_whole(labels) or labels.shape != (len(self.images),):
            raise SparringError(
                f"labels of '{self.name}' must be integers [{len(self.images)}], one for each image, "
                f"got {labels.dtype} {list(labels.shape)}; for one-hot rows take their argmax"
            )
        labels = labels.to(device=self.images.device, dtype=torch.int64)
        if names and len(labels) and int(labels.max()) >= len(names):
            raise SparringError(
                f"label {int(labels.max())} of '{self.name}' has no name: {counted(len(names), 'class name')} allow labels "
                f"up to {len(names) - 1}; name every class, or none"
            )
        return labels

    def __len__(self) -> int:
        return len(self.images)

    @property
    def channels(self) -> int:
        return self.images.shape[1]

    @property
    def height(self) -> int:
        return self.images.shape[2]

    @property
    def width(self) -> int:
        return self.images.shape[3]

    @property
    def size(self) -> int:
        """The side of square images in pixels. Raises SparringError if they are not square."""
        if self.height != self.width:
            raise SparringError(
                f"'{self.name}' has images of {self.height}x{self.width} pixels, not square: crop them with data.size"
            )
        return self.height

    @cached_property
    def num_classes(self) -> int:
        """The number of named classes, else the highest label + 1; 0 without labels."""
        if self.labels is None or not len(self.labels):
            return len(self.class_names)
        return len(self.class_names) or max(0, int(self.labels.max()) + 1)

    @cached_property
    def class_counts(self) -> dict[int, int]:
        """The number of images of each class that has any; images without a class are not counted."""
        if self.labels is None:
            return {}
        labels, counts = self.labels[self.labels >= 0].unique(return_counts=True)
        return dict(zip(labels.tolist(), counts.tolist(), strict=True))

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the content: pixels, labels, class names and the shape, but not name, split or device."""
        pixels = self._rows.reshape(-1).cpu().numpy()
        starts = range(0, len(pixels), _HASH_CHUNK)
        with ThreadPoolExecutor() as pool:  # hashing releases Python's lock
            hashes = pool.map(lambda start: hashlib.blake2b(pixels[start : start + _HASH_CHUNK].data).digest(), starts)
            digest = hashlib.blake2b(b"".join(hashes), digest_size=16)
        digest.update(repr((tuple(self.images.shape), self.class_names, self.labels is None)).encode())
        if self.labels is not None:
            digest.update(self.labels.cpu().numpy().astype("<i8").tobytes())
        return digest.hexdigest()

    def require_labels(self, reason: str) -> Tensor:
        """The labels [N]. Raises SparringError, which says that `reason` needs them, if there are none."""
        if self.labels is None:
            raise SparringError(f"{reason} needs labels, but '{self.name}' has none: put each class in its own folder")
        return self.labels

    def uint8_batch(self, index: Tensor, device: torch.device | str | None = None) -> tuple[Tensor, Tensor | None]:
        """Images uint8 [B, C, H, W], channels-last, and labels [B] or None, at the rows `index` (int64 [B])."""
        index = to_device(index, self._rows.device)
        rows = self._rows.index_select(0, index)
        labels = None if self.labels is None else self.labels.index_select(0, index)
        if device is not None:
            rows = to_device(rows, device)
            labels = None if labels is None else to_device(labels, device)
        pixels = rows.view(len(index), self.height, self.width, self.channels)
        return pixels.permute(0, 3, 1, 2), labels

    def batch(self, index: Tensor, device: torch.device | str | None = None) -> tuple[Tensor, Tensor | None]:
        """Images float32 [B, C, H, W] in [-1, 1], channels-last, and labels [B] or None, at the rows `index`.

        Images move to `device` (default: where they are) as bytes, and become floats there.
        """
        images, labels = self.uint8_batch(index, device)
        return to_float(images), labels

    def to(self, device: torch.device | str) -> "PackedImages":
        """The same data with its images and labels on another device, so that batches need no transfer."""
        labels = None if self.labels is None else self.labels.to(device)
        return replace(self, images=self.images.to(device), labels=labels)

    def take(self, index: Tensor) -> "PackedImages":
        """The rows `index` (int64 [n]) in that order, as a data set with the same classes."""
        images, labels = self.uint8_batch(index)
        return replace(self, images=images, labels=labels)

    def select_classes(self, classes: str | int | Sequence[str | int]) -> "PackedImages":
        """The images of some classes, in their old order; labels are renumbered in the given order.

        `classes`: names, numbers, `"0-9"` (both ends included), `"0:10"` (as Python slices), or a list of those.
        Raises SparringError for unknown classes, naming the nearest, and if there are no labels.
        """
        labels = self.require_labels("a choice of classes")
        chosen = choose_classes(classes, self.class_names, self.num_classes, self.name)
        renumbered = _renumbered(labels, {old: new for new, old in enumerate(chosen)})
        kept = (renumbered >= 0).nonzero().squeeze(1)
        names = tuple(self.class_names[number] for number in chosen) if self.class_names else ()
        images, _ = self.uint8_batch(kept)
        return replace(self, images=images, labels=renumbered[kept], class_names=names)

    def without_empty_classes(self) -> "PackedImages":
        """The same images without the classes that have none; the other classes are renumbered in order.

        Classes without names are then named by their old numbers.
        """
        if self.labels is None or not classes_without_images(self.labels, self.num_classes)[0]:
            return self
        present = self.labels[self.labels >= 0].unique().tolist()
        names = tuple(self.class_names[old] if self.class_names else str(old) for old in present)
        labels = _renumbered(self.labels, {old: new for new, old in enumerate(present)})
        return replace(self, labels=labels, class_names=names)

    def check_no_class_is_empty(self) -> None:
        """Raise SparringError if a class has no image to train on, since the networks would be asked for it all the same."""
        if self.labels is None:
            return
        count, first = classes_without_images(self.labels, self.num_classes)
        if not count:
            return
        few = ", ".join(self.class_names[number] if self.class_names else str(number) for number in first)
        raise SparringError(
            f"{count} of the {counted(self.num_classes, 'class', 'classes')} of {self.name} "
            f"{'has' if count == 1 else 'have'} no image to train on ({few}{', ...' if count > len(first) else ''}): drop "
            "such classes and renumber the others with "
            "data.renumber=true, or choose classes with data.classes=..."
        )


def _renumbered(labels: Tensor, number: Mapping[int, int]) -> Tensor:
    """Labels with their new numbers, -1 for those without one. Uses no memory for numbers that no label has."""
    values, places = labels.unique(return_inverse=True)
    new = torch.tensor([number.get(old, -1) for old in values.tolist()], dtype=torch.int64, device=labels.device)
    return new[places]
