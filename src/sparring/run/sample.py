"""Samples of a trained generator, and files of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sparring.archives import write_arrays
from sparring.errors import SparringError
from sparring.files import ANOTHER_FOLDER, one_line_for_disk_errors
from sparring.messages import Note, counted, note_or_default
from sparring.report.film import film_kind, frames_of, write_film
from sparring.report.plots import image_grid
from sparring.report.samples import layout
from sparring.run.latents import check_truncation, read_latents, read_seeds
from sparring.run.saved import load_generator
from sparring.run.saved_generator import SavedGenerator

FILMS = (".gif", ".mp4")
ENDINGS = (".png", ".npz", *FILMS)
PER_SECOND = 4  # images of a film of samples


def sample(
    run: str | Path,
    n: int | None = None,
    *,
    seed: int | None = None,
    seeds: str | Iterable[int] | None = None,
    latents: str | Path | None = None,
    truncation: float | None = None,
    labels: Any = None,
    out: str | Path | None = None,
    note: Note | None = None,
    allow_code: bool = False,
) -> Tensor:
    """Sample images uint8 [N, C, H, W] from a run or a generator file, and write them if `out` is given.

    n, seed, seeds, truncation: as in `SavedGenerator.sample`. latents: instead, a file with your own latents: see
        `run.latents.read_latents`.
    labels: as in `SavedGenerator.sample`; a text may also name several classes with commas between, which then take turns.
    out: a .png (all in one picture), a .gif or .mp4 (one after another), an .npz (`images` [N, C, H, W], `latents`, and
        `labels` if there are classes), or a folder (one PNG each).
    note: takes lines for people. allow_code: whether to import code that does not ship with sparring (see docs/trust.md).
    """
    target = None if out is None else Path(out)
    if target is not None:
        check_ending(target)
    check_choice(n=n, seed=seed, seeds=seeds, latents=latents, truncation=truncation)
    generator, note = load_generator(run, allow_code=allow_code), note_or_default(note)
    chosen, stored = None, None
    if latents is not None:
        chosen, stored = read_latents(latents, generator.latent_size)
    count = len(chosen) if chosen is not None else 64 if n is None else n
    if seeds is not None:
        seeds = read_seeds(seeds)
        count = len(seeds)
    labels = in_turn(generator, stored if labels is None else labels, count)
    if labels is None and generator.num_classes and seeds is not None:
        note(f"every image is of the class '{generator.class_name(0)}': choose others with --label (labels=)")
    if chosen is not None:
        images = generator(chosen, labels)
    else:
        images = generator.sample(None if seeds else n, labels=labels, seed=seed, seeds=seeds, truncation=truncation)
    if target is not None:
        names = [f"seed-{k}" for k in seeds] if seeds is not None else [f"{i:06d}" for i in range(len(images))]
        by_class = generator.num_classes if labels is None and seeds is None else 0
        with one_line_for_disk_errors(ANOTHER_FOLDER):
            if target.suffix == ".npz":
                drawn = chosen if chosen is not None else generator.latents_of(count, seed, seeds, truncation)
                _write_npz(images, drawn, generator.numbers(count, labels, of_seeds=seeds is not None), target)
            else:
                write_images(images, target, classes=by_class, names=names)
    return images


def check_choice(
    *, n: Any = None, seed: Any = None, seeds: Any = None, latents: Any = None, truncation: Any = None
) -> None:
    """Raise SparringError if two of these say which images to draw."""
    if seeds is not None and latents is not None:
        raise SparringError("seeds and latents both say which images to draw: give one of them")
    rule = "seeds" if seeds is not None else "latents"
    if seeds is not None or latents is not None:
        for name, value in (("n", n), ("seed", seed)):
            if value is not None:
                raise SparringError(f"{rule} say which images to draw, and how many: leave {name} out")
    if latents is not None and truncation is not None:
        raise SparringError("latents are used unchanged: leave truncation out")
    check_truncation(truncation)


def in_turn(generator: SavedGenerator, labels: Any, count: int) -> Any:
    """Labels for `count` images. The classes that a text names take turns; anything else is returned unchanged."""
    if not isinstance(labels, str):
        return labels
    numbers = generator.classes_in(labels)
    if len(numbers) > count:
        raise SparringError(
            f"{len(numbers)} labels for {counted(count, 'image')}: draw more images, or name fewer classes"
        )
    return torch.tensor([numbers[i % len(numbers)] for i in range(count)])


def check_ending(out: Path, *, only: Sequence[str] = ("", *ENDINGS)) -> None:
    """Raise SparringError if pictures cannot be written to such a file, before any are drawn."""
    if out.suffix not in only:
        kinds = ", ".join(f"a {ending}" for ending in only if ending)
        raise SparringError(f"cannot write to '{out}': give {kinds}{' or a folder' if '' in only else ''}")
    if out.suffix in FILMS:
        film_kind(out.suffix[1:])


def write_images(
    images: Tensor, out: Path, *, classes: int = 0, names: Sequence[str] = (), rate: int = PER_SECOND, hold: int = 1
) -> None:
    """Write images uint8 [N, C, H, W] as one PNG, a film or a folder of PNGs, by the ending of `out`.

    classes: how many classes the images show, in turn. names: of the files in a folder. rate, hold: as for `write_film`.
    """
    if out.suffix in FILMS:
        write_film(frames_of(images), out.with_suffix(""), out.suffix[1:], rate=rate, hold=hold)
    elif out.suffix == ".png":
        grid = layout(len(images), classes, rows=None)
        image_grid(images, out, columns=grid.columns, cells=grid.cells)
    else:
        if out.is_dir() and any(out.iterdir()):
            raise SparringError(f"{out} is not empty: give a new folder, so that old samples do not stay among the new")
        out.mkdir(parents=True, exist_ok=True)
        for name, image in zip(names, images, strict=True):
            pixels = image[0] if len(image) == 1 else image.permute(1, 2, 0)
            Image.fromarray(pixels.numpy()).save(out / f"{name}.png")


def _write_npz(images: Tensor, latents: Tensor, labels: Tensor | None, out: Path) -> None:
    arrays: dict[str, np.ndarray] = {"images": images.numpy(), "latents": latents.numpy()}
    if labels is not None:
        arrays["labels"] = labels.numpy()
    out.parent.mkdir(parents=True, exist_ok=True)
    write_arrays(out, arrays)
