"""Finds a latent, and a class, whose image is nearest to a real one.

Many latents are drawn. Those that are nearest in pixels, and in features if there is an extractor, are improved by gradient
descent, in rounds of fewer and fewer. The descent compares images at every resolution, so that large shapes count before
details do. Latents keep a length that normal ones have: beyond it, a generator can draw anything.
"""

from __future__ import annotations

import math
import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.archives import write_arrays
from sparring.data.decode import decode, readable
from sparring.data.packed import PackedImages, to_float, to_uint8
from sparring.errors import SparringError
from sparring.evaluation.extractors.base import Extractor
from sparring.evaluation.extractors.choice import extractor_for
from sparring.files import ANOTHER_FOLDER, check_writable, one_line_for_disk_errors, write_atomically, write_json
from sparring.limits import IMAGE_BYTES, MEASURED
from sparring.networks.contract import images_of
from sparring.networks.frozen import evaluating
from sparring.parsing import read_bytes
from sparring.report.plots import picture_rows, render
from sparring.run.latents import latent
from sparring.run.saved import load_generator
from sparring.run.saved_generator import SavedGenerator
from sparring.trust import consenting

STARTS = 500
ROUNDS = ((48, 40), (16, 80), (4, 220))  # latents that are improved, and by how many steps
RATE = 0.1  # of Adam, falling along a cosine to a tenth in each round
SMALLEST = 4  # pixels of the coarsest comparison
LONGEST = 1.2  # times the usual length of a normal latent, the square root of its size
ROWS = 50  # images at a time
PICTURE, ARRAYS, NUMBERS = "side-by-side.png", "latent.npz", "result.json"


@dataclass(frozen=True)
class Projection:
    """What was found for an image.

    latent         float32 [Z], and its class in `label`, or None
    image, target  uint8 [C, H, W]
    pixel_error    the mean difference of a pixel, in grey levels of 255
    feature_distance  between the features of both, in those of `extractor`; None without one
    """

    latent: Tensor = field(repr=False)
    label: int | None
    class_name: str | None
    image: Tensor = field(repr=False)
    target: Tensor = field(repr=False)
    pixel_error: float
    feature_distance: float | None
    extractor: str | None
    starts: int

    def numbers(self) -> dict[str, Any]:
        """Everything but the arrays, as plain data."""
        names = ("label", "class_name", "pixel_error", "feature_distance", "extractor", "starts")
        return {name: getattr(self, name) for name in names}


def project(
    run: str | os.PathLike[str] | SavedGenerator,
    image: str | Path | Tensor,
    *,
    label: Any = None,
    starts: int = STARTS,
    seed: int = 0,
    extractor: Any = None,
    out: str | Path | None = None,
    allow_code: bool = False,
) -> Projection:
    """Find the latent whose image is nearest to a real one.

    image: a file, which is cropped to its central square and resized, or uint8 [C, H, W] of the generator's size.
    label: the class, by name or number; None: searched, if there are classes. starts, seed: latents that are tried, and
        their seed. extractor: as for `sparring.evaluate`; by default the embedded one for garments, else none.
    out: a folder for both images side by side, the latent (for `sparring.sample --latents`) and the numbers.
        allow_code: see docs/trust.md.

    Raises SparringError for an image that cannot be read, and for a generator whose images depend on others of their batch.
    """
    if not isinstance(starts, int) or isinstance(starts, bool) or not 1 <= starts <= MEASURED:
        raise SparringError(f"starts is a whole number from 1, got {starts!r:.60}")
    generator = run if isinstance(run, SavedGenerator) else load_generator(run, allow_code=allow_code)
    if getattr(generator.module, "batch_statistics", False):
        raise SparringError(
            "images of this generator depend on the others of their batch, so no single latent belongs to one"
        )
    target = _target(image, generator)
    if out is not None:
        check_writable(Path(out), ANOTHER_FOLDER)
    with consenting(allow_code):
        sees = _extractor(extractor, generator, target)
    in_question = torch.arange(generator.num_classes) if generator.num_classes else None
    classes = in_question if label is None else generator.numbers(1, label)
    found = _search(generator, target, classes, starts, seed, sees)
    if out is not None:
        with one_line_for_disk_errors(ANOTHER_FOLDER):
            _write(found, Path(out))
    return found


def _target(image: str | Path | Tensor, generator: SavedGenerator) -> Tensor:
    """The image uint8 [C, H, W] as the generator would draw it."""
    shape = generator.sample(1).shape[1:]
    if len(shape) != 3:
        raise SparringError("this generator draws points, not images")
    channels, height, width = shape
    if isinstance(image, Tensor):
        if image.dtype != torch.uint8 or image.shape != shape:
            raise SparringError(f"the image is uint8 {list(shape)}, got {image.dtype} {list(image.shape)}")
        return image.cpu()
    if not os.path.isfile(image):
        raise SparringError(f"there is no image '{image}'")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")  # about damaged EXIF blocks, for example
        read = lambda: decode(read_bytes(Path(image), IMAGE_BYTES), channels, height)[0]  # noqa: E731
        pixels = readable(str(image), read)
    target = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    if target.shape != shape:
        raise SparringError(f"this generator's images are {width}x{height} pixels: give an image of that size")
    return target


def _extractor(choice: Any, generator: SavedGenerator, target: Tensor) -> Extractor | None:
    names = generator.class_names
    return extractor_for(
        choice, PackedImages(target[None], torch.zeros(1, dtype=torch.int64) if names else None, names)
    )


def _search(
    generator: SavedGenerator, target: Tensor, classes: Tensor | None, starts: int, seed: int, sees: Extractor | None
) -> Projection:
    parameter = next(generator.module.parameters())
    aim = to_float(target)[None].to(parameter.device)
    latents = torch.stack([latent(generator.latent_size, seed, i) for i in range(starts)]).to(parameter.device)
    labels = None if classes is None else classes[torch.arange(starts) % len(classes)].to(parameter.device)
    chosen = _nearest(generator, latents, labels, aim, ROUNDS[0][0], sees)
    with evaluating(generator.module):
        for keep, steps in ROUNDS:
            chosen = chosen[:keep]
            latents, labels = latents[chosen], None if labels is None else labels[chosen]
            latents = _improved(generator, latents, labels, aim, steps)
            chosen = _distances(generator, latents, labels, aim).argsort()
    best = int(chosen[0])
    z, y = latents[best].cpu(), None if labels is None else int(labels[best])
    image = generator(z, y)[0]
    return Projection(
        latent=z,
        label=y,
        class_name=None if y is None else generator.class_name(y),
        image=image,
        target=target,
        pixel_error=float((image.double() - target.double()).abs().mean()),
        feature_distance=None if sees is None else float(_features(sees, image[None], target[None])[0]),
        extractor=None if sees is None else sees.name,
        starts=starts,
    )


def _nearest(
    generator: SavedGenerator, latents: Tensor, labels: Tensor | None, aim: Tensor, keep: int, sees: Extractor | None
) -> Tensor:
    """The places of the `keep` nearest latents; with an extractor, half of them are the nearest in features."""
    with evaluating(generator.module):
        order = _distances(generator, latents, labels, aim).argsort()
    if sees is None:
        return order[:keep]
    by_features = _features(sees, generator(latents, labels), to_uint8(aim).cpu()).to(order.device).argsort()
    mixed = torch.stack([order, by_features], 1).flatten().tolist()  # the best of both in turn
    return torch.tensor(list(dict.fromkeys(mixed))[:keep], device=order.device)


def _improved(generator: SavedGenerator, latents: Tensor, labels: Tensor | None, aim: Tensor, steps: int) -> Tensor:
    """The latents [N, Z] after so many steps of Adam."""
    z = latents.clone().requires_grad_(True)
    optimizer, longest = torch.optim.Adam([z], lr=RATE), LONGEST * z.shape[1] ** 0.5
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (0.55 + 0.45 * math.cos(math.pi * step / steps))
        optimizer.zero_grad()
        _distance(images_of(generator.module, z, labels), aim).sum().backward()
        optimizer.step()
        with torch.no_grad():
            z.mul_((longest / z.norm(dim=1, keepdim=True).clamp_min(1e-12)).clamp_max(1))
    return z.detach()


@torch.no_grad()
def _distances(generator: SavedGenerator, latents: Tensor, labels: Tensor | None, aim: Tensor) -> Tensor:
    found = []
    for i in range(0, len(latents), ROWS):
        some = None if labels is None else labels[i : i + ROWS]
        found.append(_distance(images_of(generator.module, latents[i : i + ROWS], some), aim))
    return torch.cat(found)


def _distance(images: Tensor, aim: Tensor) -> Tensor:
    """The sum over resolutions of the mean squared difference, [N]: images [N, C, H, W] against one image [1, C, H, W]."""
    total = (images - aim).square().flatten(1).mean(1)
    while min(images.shape[2:]) >= 2 * SMALLEST:
        images, aim = F.avg_pool2d(images, 2), F.avg_pool2d(aim, 2)
        total = total + (images - aim).square().flatten(1).mean(1)
    return total


def _features(sees: Extractor, images: Tensor, target: Tensor) -> Tensor:
    """Distances [N] between the features of images [N, C, H, W] and those of one image [1, C, H, W], both uint8."""
    return (sees(images).features - sees(target).features).norm(dim=1)


def _write(found: Projection, folder: Path) -> None:
    rows = {"image": found.target[None], "found": found.image[None]}
    write_atomically(
        folder / PICTURE, render(picture_rows(rows, title=f"{found.pixel_error:.1f} grey levels apart"), "png")
    )
    arrays = {"latents": found.latent[None].numpy()}
    if found.label is not None:
        arrays["labels"] = np.array([found.label])
    write_arrays(folder / ARRAYS, arrays)
    write_json(folder / NUMBERS, found.numbers())
