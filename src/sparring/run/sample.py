"""Samples of a trained generator, and files of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from sparring.archives import write_arrays
from sparring.errors import SparringError
from sparring.files import ANOTHER_FOLDER, one_line_for_disk_errors
from sparring.report.plots import image_grid
from sparring.report.samples import layout
from sparring.run.generator import load_generator


def sample(
    run: str | Path,
    n: int = 64,
    *,
    seed: int = 0,
    labels: Any = None,
    out: str | Path | None = None,
    allow_code: bool = False,
) -> Tensor:
    """Sample n images uint8 [N, C, H, W] from a run or a generator file, and write them if `out` is given.

    out: a .png (all in one picture), an .npz (`images` [N, C, H, W]), or a folder (one PNG each).
    allow_code: whether to import code that does not ship with sparring (see docs/trust.md).
    """
    target = None if out is None else Path(out)
    if target is not None and target.suffix not in ("", ".png", ".npz"):
        raise SparringError(f"cannot write samples to '{out}': give a .png, an .npz or a folder")
    generator = load_generator(run, allow_code=allow_code)
    images = generator.sample(n, labels=labels, seed=seed)
    if target is not None:
        with one_line_for_disk_errors(ANOTHER_FOLDER):
            write_images(images, target, classes=generator.num_classes if labels is None else 0)
    return images


def write_images(images: Tensor, out: Path, *, classes: int = 0) -> None:
    """Write images uint8 [N, C, H, W] as one PNG, an npz or a folder of PNGs, by the ending of `out`.

    classes: how many classes the images show, in turn.
    """
    if out.suffix == ".png":
        grid = layout(len(images), classes, rows=None)
        image_grid(images, out, columns=grid.columns, cells=grid.cells)
    elif out.suffix == ".npz":
        out.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(out, {"images": images.numpy()})
    else:
        if out.is_dir() and any(out.iterdir()):
            raise SparringError(f"{out} is not empty: give a new folder, so that old samples do not stay among the new")
        out.mkdir(parents=True, exist_ok=True)
        for i, image in enumerate(images):
            pixels = image[0] if len(image) == 1 else image.permute(1, 2, 0)
            Image.fromarray(pixels.numpy()).save(out / f"{i:06d}.png")
