"""A set of images to measure: a run, a lone generator file, a folder, a zip, an npz, a named data set, or Python's own.

All are the same to the metrics: how many images, image i for any i, and perhaps labels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from sparring.archives import open_npz
from sparring.data.classes import turns_at
from sparring.errors import SparringError
from sparring.metrics.features import check_whole
from sparring.randomness import generator_for

if TYPE_CHECKING:
    from sparring.data.packed import PackedImages
    from sparring.data.stored import Stored
    from sparring.metrics.gaussian import GaussianStats

Labels = Literal["data", "uniform"]  # see `metrics.labels`
Generate = Callable[[int, int], Tensor]  # (start, count) -> uint8 [count, C, H, W]
DEFAULT_GENERATED = 10_000  # images of a generator where nobody says how many
NAMED = (".safetensors", ".json")


@dataclass(frozen=True)
class ImageSet:
    """n images: `take(start, count)` gives uint8 [count, C, H, W], the same ones whenever they are asked for.

    labels       int64 [n] or None; < 0: no class known
    class_counts images of each class in the whole set that these were drawn from
    drawn_labels how a generator's labels were chosen, "data" or "uniform" (see `metrics.labels`); None for all others
    stored       how the files are stored that the images were decoded from
    seed         of the latents, or of the draw from a larger set; None where nothing was drawn
    fingerprint  of the pixels, where they are known beforehand: statistics are kept by it
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
    """A data set, or n of its images drawn by the seed. Raises SparringError where it has fewer, or n is no number >= 2."""
    drawn, counts = None, packed.class_counts
    if n is not None:
        check_whole(n, f"the number of images to take of {packed.name}", 2)
    if n is not None and n != len(packed):
        if n > len(packed):
            raise SparringError(f"asked for {n} images of {packed.name}, which has {len(packed)}: lower n")
        order = torch.randperm(len(packed), generator=generator_for(seed, "reference"))[:n]
        packed, drawn = packed.take(order.sort().values), seed
    if len(packed) < 2:
        raise SparringError(f"{packed.name} has {len(packed)} images, and a distribution takes at least 2")
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


def of_generator(
    path: str | Path,
    n: int | None,
    seed: int,
    device: torch.device | str = "cpu",
    *,
    real: ImageSet | GaussianStats | None = None,
    labels: Labels = "data",
    note: Callable[[str], None] = lambda line: None,
) -> ImageSet:
    """n images of a run's generator, or of a generator file's.

    real, labels: what they are compared with, and whether classes come in its shares ("data") or all as often ("uniform");
    without `real` all come as often. note: takes a line where real images do not say their shares.
    """
    from sparring.metrics.labels import turns_for
    from sparring.sampling import load_generator, sampler_of, takes_labels

    saved = load_generator(path, device)
    n = DEFAULT_GENERATED if n is None else n
    check_whole(n, "n, the number of generated images to measure,", 2)
    conditional = takes_labels(saved.module, saved.num_classes)
    turns, drawn = torch.arange(saved.num_classes), "uniform"
    if conditional and real is not None:
        turns, drawn = turns_for(saved.num_classes, saved.class_names, real, labels, note)
    generate = sampler_of(saved.module, saved.latent_size, saved.num_classes, seed, device, turns=turns)
    example = generate(0, 1)
    if example.ndim != 4:
        raise SparringError(f"{path} generates points {list(example.shape[1:])}, not images: they have no features")
    return ImageSet(
        f"{Path(path).resolve().name}, step {saved.description.get('step')}",
        n,
        example.shape[1],
        generate,
        labels=turns_at(turns, 0, n) if conditional else None,
        num_classes=saved.num_classes if conditional else 0,
        class_names=saved.class_names if conditional else (),
        seed=seed,
        content_hash=saved.description.get("content_hash"),
        drawn_labels=drawn if conditional else None,
    )


def open_set(
    source: Any,
    *,
    n: int | None = None,
    seed: int = 0,
    split: str | None = None,
    size: int | None = None,
    channels: int | None = None,
    skip_unreadable: bool = False,
    note: Callable[[str], None] | None = None,
    device: torch.device | str = "cpu",
    real: ImageSet | GaussianStats | None = None,
    labels: Labels = "data",
) -> ImageSet:
    """Whatever `source` names. n: how many images; by default all there are, or 10,000 of a generator.

    real, labels are for generators, as in `of_generator`.
    split, size, channels, skip_unreadable are for data, as in `sparring.load_images`. Raises SparringError for what is no
    set of images.
    """
    if isinstance(source, ImageSet):
        return source
    if is_generator(source):
        if split is not None:
            raise SparringError(f"'{source}' is a generator: it has no split '{split}'")
        said = note or (lambda line: None)
        return of_generator(Path(source).expanduser(), n, seed, device, real=real, labels=labels, note=said)
    if is_statistics(source):
        raise SparringError(
            f"'{source}' holds statistics, not images: they are what is compared with, so give them to --real"
        )
    from sparring.data.sources import load

    packed = load(source, split=split, size=size, channels=channels, skip_unreadable=skip_unreadable, note=note)
    return of_images(packed, n, seed)


def is_generator(source: Any) -> bool:
    """Whether this names a run, or a generator's file."""
    if not isinstance(source, str | os.PathLike):
        return False
    path = Path(source).expanduser()
    is_run = os.path.isdir(path) and any((path / name).is_file() for name in ("recipe.json", "generator.safetensors"))
    return is_run or (path.suffix in NAMED and os.path.isfile(path))


def is_statistics(source: Any) -> bool:
    """Whether this names an .npz of statistics, `mu` and `sigma`, as pytorch-fid and this package write them."""
    path = Path(source).expanduser() if isinstance(source, str | Path) else None
    if path is None or path.suffix != ".npz" or not os.path.isfile(path):
        return False
    try:
        with open_npz(path) as file:
            return "mu" in file and "sigma" in file
    except SparringError:  # its reader will say what is wrong with it
        return False
