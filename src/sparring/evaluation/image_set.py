"""A set of images to measure, wherever they come from: their number, image i for any i, and perhaps labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from sparring.errors import SparringError
from sparring.messages import counted
from sparring.metrics.features import check_whole
from sparring.randomness import generator_for

if TYPE_CHECKING:
    from sparring.data.packed import PackedImages
    from sparring.data.stored import Stored

Labels = Literal["data", "uniform"]  # see `evaluation.labels`
Generate = Callable[[int, int], Tensor]  # (start, count) -> uint8 [count, C, H, W]


@dataclass(frozen=True)
class ImageSet:
    """n images. `take(start, count)` returns uint8 [count, C, H, W], the same images at each call.

    labels       int64 [n] or None; < 0: no class known
    class_counts number of images of each class in the whole set that these were drawn from
    drawn_labels how the labels of a generator were chosen, "data" or "uniform" (see `evaluation.labels`); else None
    stored       the format of the image files
    seed         of the latents, or of the draw from a larger set; None if nothing was drawn
    fingerprint  of the pixels, if they are known in advance; the key of cached statistics
    content_hash of the pixels, or of the generator's weights; for records
    """

    name: str
    n: int
    channels: int
    take: Generate
    split: str | None = None
    labels: Tensor | None = None
    num_classes: int = 0
    class_names: tuple[str, ...] = ()
    seed: int | None = None
    fingerprint: str | None = None
    content_hash: str | None = None
    packed: PackedImages | None = None
    class_counts: Mapping[int, int] = field(default_factory=dict)
    drawn_labels: str | None = None
    stored: Stored | None = None


def of_images(packed: PackedImages, n: int | None = None, seed: int = 0) -> ImageSet:
    """A data set, or n of its images drawn by the seed. Raises SparringError if it has fewer, or n is not a number >= 2."""
    drawn, counts = None, packed.class_counts
    if n is not None:
        check_whole(n, f"the number of images to take of {packed.name}", 2)
    if n is not None and n != len(packed):
        if n > len(packed):
            raise SparringError(
                f"{counted(n, 'image')} of {packed.name} were requested, but it has {len(packed):,}: lower n"
            )
        order = torch.randperm(len(packed), generator=generator_for(seed, "reference"))[:n]
        packed, drawn = packed.take(order.sort().values), seed
    if len(packed) < 2:
        raise SparringError(f"{packed.name} has {counted(len(packed), 'image')}, but measuring needs at least 2")
    return ImageSet(
        packed.name,
        len(packed),
        packed.channels,
        lambda start, count: packed.images[start : start + count],
        split=packed.split,
        labels=packed.labels,
        num_classes=packed.num_classes,
        class_names=packed.class_names,
        seed=drawn,
        fingerprint=packed.fingerprint,
        content_hash=packed.fingerprint,
        packed=packed,
        class_counts=counts,
        stored=packed.stored,
    )
