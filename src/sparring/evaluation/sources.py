"""Opens anything that can be measured as an ImageSet: a run, a generator, a folder, a named data set, images from Python."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sparring.archives import open_npz
from sparring.data.classes import turns_at
from sparring.errors import SparringError
from sparring.evaluation.image_set import ImageSet, Labels, of_images
from sparring.metrics.features import check_whole

if TYPE_CHECKING:
    from sparring.metrics.moments import GaussianStats

DEFAULT_GENERATED = 10_000  # images of a generator, unless a number is given
NAMED = (".safetensors", ".json")


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
    """n images of the generator in a run or a generator file.

    real, labels: the images to compare with, and whether classes come in their shares ("data") or in equal shares
    ("uniform", also without `real`). note: called with a message if the shares are unknown.
    """
    from sparring.evaluation.labels import turns_for
    from sparring.run.generator import sampler_of, takes_labels
    from sparring.run.saved import load_generator

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
        raise SparringError(
            f"{path} generates points {list(example.shape[1:])}, not images, which alone can be measured"
        )
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
    """Open a set of images. n: how many of them; by default all, or 10,000 of a generator.

    real, labels: for generators, as in `of_generator`. split, size, channels, skip_unreadable: for data, as in
    `sparring.load_images`. Raises SparringError if `source` is not a set of images.
    """
    if isinstance(source, ImageSet):
        return source
    if is_generator(source):
        if split is not None:
            raise SparringError(f"'{source}' is a generator: it has no split '{split}'")
        said = note or (lambda line: None)
        return of_generator(Path(source).expanduser(), n, seed, device, real=real, labels=labels, note=said)
    if is_statistics(source):
        raise SparringError(f"'{source}' holds statistics, not images: give it to --real")
    from sparring.data.sources import load

    packed = load(source, split=split, size=size, channels=channels, skip_unreadable=skip_unreadable, note=note)
    return of_images(packed, n, seed)


def is_generator(source: Any) -> bool:
    """Whether this is the path of a run or of a generator file."""
    if not isinstance(source, str | os.PathLike):
        return False
    path = Path(source).expanduser()
    is_run = os.path.isdir(path) and any((path / name).is_file() for name in ("recipe.json", "generator.safetensors"))
    return is_run or (path.suffix in NAMED and os.path.isfile(path))


def is_statistics(source: Any) -> bool:
    """Whether this is the path of an .npz with the statistics `mu` and `sigma`, as pytorch-fid writes them."""
    path = Path(source).expanduser() if isinstance(source, str | Path) else None
    if path is None or path.suffix != ".npz" or not os.path.isfile(path):
        return False
    try:
        with open_npz(path) as file:
            return "mu" in file and "sigma" in file
    except SparringError:  # whoever reads it reports what is wrong
        return False
