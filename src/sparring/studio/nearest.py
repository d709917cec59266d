"""The training images that samples resemble most, in pixels and in features.

Distances are those of `sparring.microscope.neighbours`. What "near" means is said by real images that the run was not
trained on, if there are any: how far the middle one of them is from its nearest training image.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparring.data.packed import PackedImages, to_float
from sparring.errors import SparringError
from sparring.evaluation.extractors.choice import extractor_for
from sparring.files import ANOTHER_FOLDER, one_line_for_disk_errors, write_atomically
from sparring.messages import Note, note_or_default
from sparring.microscope.neighbours import Nearest
from sparring.microscope.neighbours import nearest as nearest_among
from sparring.randomness import generator_for
from sparring.recipe.gan import Recipe
from sparring.report.plots import picture_rows, render
from sparring.run.folder import load_trained_on
from sparring.run.sample import check_ending
from sparring.run.saved import load_generator
from sparring.studio.keys import keys_of
from sparring.trust import consenting

MOST = 32  # samples in one picture
AT_ONCE = 2_000  # training images that are compared at a time
YARDSTICK = 200  # held-out images


@dataclass(frozen=True)
class Resemblance:
    """In one space, such as pixels: the number of each sample's nearest training image, and how far it is.

    typical: the median of the same distance for held-out real images; None if the data have no other split.
    """

    space: str
    index: list[int]
    distance: list[float]
    typical: float | None


def nearest(
    run: str | os.PathLike[str],
    *,
    seeds: str | Iterable[int] | None = None,
    latents: str | Path | None = None,
    labels: Any = None,
    truncation: float | None = None,
    extractor: Any = None,
    data: Any = None,
    out: str | Path | None = None,
    note: Note | None = None,
    allow_code: bool = False,
) -> dict[str, Any]:
    """Find the training images that samples resemble most. Searches all of them.

    run: a run's folder, since the training images are needed; data: these images, if the run cannot find them itself.
    seeds, latents, labels, truncation: the samples, at most 32, as for `sparring.interpolate`.
    extractor: for the features; by default that of the recipe's evaluation, or the embedded one for garments, else none.
    out: a .png with the samples and, below each, its nearest training images. note, allow_code: see `sparring.sample`.

    Returns `samples` (what each is) and `spaces`, a list of `Resemblance` as mappings.
    """
    folder, note = Path(run), note_or_default(note)
    if out is not None:
        check_ending(Path(out), only=(".png",))
    generator = load_generator(run, allow_code=allow_code)
    if not (folder / "recipe.json").is_file():
        raise SparringError(f"'{run}' does not say what it was trained on: give the folder of its run")
    keys = keys_of(generator, seeds=seeds, latents=latents, labels=labels, truncation=truncation, note=note)
    if len(keys) > MOST:
        raise SparringError(f"at most {MOST} samples fit into the picture, got {len(keys)}: name fewer")
    images = generator(keys.latents, keys.labels)
    with consenting(allow_code, run):
        recipe = Recipe.load(folder, allow_code=allow_code)
        images_of_run = load_trained_on(folder, recipe, note, data=data)
        real, held = images_of_run.real, images_of_run.held_out()
        choice = recipe.evaluation.extractor if extractor is None and recipe.evaluation is not None else extractor
        sees = extractor_for(choice, real)
    if real.images.shape[1:] != images.shape[1:]:
        raise SparringError(f"the images are {list(real.images.shape[1:])}, and the samples {list(images.shape[1:])}")
    spaces: dict[str, Callable[[Tensor], Tensor]] = {"pixels": to_float}
    if sees is not None:
        spaces[f"features of {sees.name}"] = lambda pixels: sees(pixels).features
    found, rows, captions = [], {"sample": images}, {"sample": list(keys.names)}
    for space, see in spaces.items():
        close = _among_all(see(images), real, see)
        typical = None if held is None else float(_among_all(see(_some(held)), real, see).distance.median())
        found.append(Resemblance(space, close.index.tolist(), close.distance.tolist(), typical))
        row = "pixels" if space == "pixels" else "features"
        rows[row] = real.images[close.index]
        captions[row] = [f"{distance:.3g}" for distance in close.distance.tolist()]
    if out is not None:
        title = "Samples and their nearest training images"
        with one_line_for_disk_errors(ANOTHER_FOLDER):
            write_atomically(Path(out), render(picture_rows(rows, captions, title=title, side=1.1), "png"))
    return {"samples": list(keys.names), "n_train": len(real), "spaces": [vars(each) for each in found]}


def _some(held: PackedImages) -> Tensor:
    """Some of the held-out images, uint8."""
    order = torch.randperm(len(held), generator=generator_for("nearest", "held out"))[:YARDSTICK]
    return held.images[order]


def _among_all(queries: Tensor, real: PackedImages, see: Callable[[Tensor], Tensor]) -> Nearest:
    """The nearest of all training images for each query [N, ...], seen a part at a time."""
    index = torch.zeros(len(queries), dtype=torch.int64)
    distance = torch.full((len(queries),), torch.inf)
    for start in range(0, len(real), AT_ONCE):
        part = nearest_among(queries, see(real.images[start : start + AT_ONCE]))
        closer = part.distance < distance
        index[closer], distance[closer] = part.index[closer] + start, part.distance[closer]
    return Nearest(index, distance)
