"""What a source of images holds, as far as it matters for the choice of a recipe."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sparring.data.packed import PackedImages
from sparring.data.sources import files_of, load
from sparring.errors import SparringError
from sparring.messages import Note, counted

FEWEST = 16  # images
SMALLEST = 8  # pixels of the shorter side
LOOK = 32  # pixels at which images are compared with each other
MIRRORED = 2_000  # images that are compared with their mirror images


@dataclass(frozen=True)
class Seen:
    """What a look at a source found.

    images      as uint8 at `LOOK` pixels
    sides       smallest, median and largest shorter side in pixels
    ratio       median of the longer side by the shorter one
    unreadable  files that are damaged
    copies      images that equal an earlier one at `LOOK` pixels
    asymmetry   how far the mean image is from its mirror image, in standard deviations of a pixel (root mean squares)
    """

    images: PackedImages
    sides: tuple[int, int, int]
    ratio: float
    unreadable: int
    copies: int
    asymmetry: float

    @property
    def per_class(self) -> list[int]:
        """The number of images of each class, smallest first; [] without classes."""
        return sorted(self.images.class_counts.values())

    def lines(self) -> list[str]:
        """What was seen, for people."""
        low, middle, high = self.sides
        stored = "" if self.images.stored is None else f", {self.images.stored}"
        size = f"{low} pixels" if low == high else f"{low} to {high} pixels, half of them {middle} or less"
        found = [
            f"{counted(len(self.images), 'image')}, {'grey' if self.images.channels == 1 else 'colour'}{stored}",
            f"shorter side: {size}",
        ]
        if self.ratio > 1.01:
            found.append(
                f"longer side: {self.ratio:.2f} times the shorter one; a central square is cut out, the rest is lost"
            )
        if counts := self.per_class:
            several = f"{counts[0]:,} to {counts[-1]:,} images"
            each = several if counts[0] < counts[-1] else f"{counted(counts[0], 'image')} each"
            found.append(f"{counted(len(counts), 'class', 'classes')} of {each}")
        else:
            found.append("no classes: put the images of each class into a folder if there are any")
        if self.unreadable:
            found.append(f"{counted(self.unreadable, 'file')} cannot be read and will be skipped")
        if self.copies:
            found.append(f"{counted(self.copies, 'image')} {'equals' if self.copies == 1 else 'equal'} an earlier one")
        return found


def look_at(source: Any, *, split: str | None = None, note: Note | None = None) -> Seen:
    """Look at a source of images, as `sparring.load_images` takes it; damaged files are skipped.

    Raises SparringError if there are no images, or if no GAN could learn from them: fewer than 16, or less than 8 pixels.
    """
    count, sizes = files_of(source, split)
    if sizes and (side := statistics.median(min(size) for size in sizes)) < SMALLEST:
        width = counted(round(side), "pixel")
        raise SparringError(
            f"half of the images are at most {width} wide or high: give images of at least {SMALLEST}x{SMALLEST}"
        )
    images = load(source, split=split, size=LOOK, skip_unreadable=True, note=note)
    if len(images) < FEWEST:
        found = counted(len(images), "image")
        raise SparringError(f"{found} cannot teach a GAN anything: give at least {FEWEST}, and better some hundreds")
    distinct = len({row.tobytes() for row in images.images.permute(0, 2, 3, 1).numpy()})
    if distinct < FEWEST:
        raise SparringError(
            f"only {distinct} of the {len(images)} images differ from each other: give at least {FEWEST} different ones"
        )
    sizes = sizes or _sizes_in_memory(source, split)
    sides = [min(size) for size in sizes]
    return Seen(
        images=images,
        sides=(min(sides), int(statistics.median_low(sides)), max(sides)),
        ratio=statistics.median(max(size) / min(size) for size in sizes),
        unreadable=max(0, count - len(images)),
        copies=len(images) - distinct,
        asymmetry=_asymmetry(images),
    )


def _sizes_in_memory(source: Any, split: str | None) -> list[tuple[int, int]]:
    """The size of images that are no files: a data set, an array, an npz."""
    packed = load(source, split=split)
    return [(packed.width, packed.height)]


def _asymmetry(images: PackedImages) -> float:
    rows = torch.from_numpy(np.linspace(0, len(images) - 1, min(MIRRORED, len(images)), dtype=np.int64))
    pixels = images.uint8_batch(rows)[0].double()
    mean, spread = pixels.mean(0), pixels.std(0).square().mean().sqrt()
    return float((mean - mean.flip(-1)).square().mean().sqrt() / spread.clamp_min(1))
