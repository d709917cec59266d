"""Worlds from the user's own files: points in a table, and the dark of an image."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sparring.errors import SparringError
from sparring.randomness import generator_for

FEWEST = 10  # points: a batch is drawn from them
LONGEST_SIDE = 512  # pixels of an image that is made a density; larger ones are shrunk to it
BLANK = 1 / 255  # images whose lightest and darkest pixels are nearer than this have no shape to learn


def read_points(file: Path) -> Tensor:
    """Points [N, 1] or [N, 2] float64 of a .csv (a first row of names is skipped) or a .npy.

    Raises SparringError for text between the numbers, other shapes, values that are not finite, and fewer than 10 points.
    """
    if not file.is_file():
        raise SparringError(f"there is no file {file}")
    if file.suffix.lower() == ".npy":
        values = _read_npy(file)
    elif file.suffix.lower() in (".csv", ".txt", ".tsv"):
        values = _read_table(file)
    else:
        raise SparringError(f"points are read from .csv and .npy files, got {file.name}")
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or values.shape[1] not in (1, 2):
        raise SparringError(f"{file} holds an array of shape {list(values.shape)}: points are [N, 1] or [N, 2]")
    if len(values) < FEWEST:
        raise SparringError(f"{file} has {len(values)} point(s): at least {FEWEST} are needed to learn from")
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(1))[0])
        raise SparringError(f"{file}: point {row + 1} is {values[row].tolist()}, and points are finite")
    return torch.from_numpy(values)


def _read_npy(file: Path) -> np.ndarray:
    try:
        values = np.load(file, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise SparringError(f"{file} is no readable .npy: {str(error).splitlines()[0]}") from None
    if values.dtype.kind not in "iuf":
        raise SparringError(f"{file} holds {values.dtype}, and points are numbers")
    return values.astype(np.float64)


def _read_table(file: Path) -> np.ndarray:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise SparringError(f"{file} is no text file: {str(error).splitlines()[0]}") from None
    separator = next((mark for mark in (";", "\t", ",") if mark in text), None)
    rows: list[list[float]] = []
    for number, cells in enumerate(csv.reader(text.splitlines(), delimiter=separator or " "), start=1):
        cells = [cell.strip() for cell in cells if cell.strip()]
        if not cells:
            continue
        try:
            rows.append([float(cell) for cell in cells])
        except ValueError:
            if number == 1:
                continue  # the columns' names
            raise SparringError(
                f"{file}, line {number}: '{','.join(cells)[:40]}' is no point: write one or two numbers per line, by commas"
            ) from None
        if len(rows[-1]) != len(rows[0]):
            raise SparringError(
                f"{file}, line {number}: {len(rows[-1])} numbers, and the lines before have {len(rows[0])}"
            )
    return np.array(rows, dtype=np.float64)


def standardised(values: Tensor, file: Path) -> Tensor:
    """Mean 0 and root mean square 1, over both coordinates together, so that shapes stay; float32."""
    centred = values - values.mean(0)
    size = float(centred.square().mean().sqrt())
    if size == 0:
        raise SparringError(f"{file}: all points are the same, {values[0].tolist()}: there is nothing to learn")
    return (centred / size).float()


def points_of_image(file: Path, count: int, seed: int) -> Tensor:
    """Points [count, 2] drawn where the image is dark, each anywhere in its pixel; the longer side spans -2 to 2.

    A picture that is darker than middle grey on average is read as light on dark. Transparent pixels count as white.
    Raises SparringError where the image cannot be read or is blank.
    """
    from PIL import Image, UnidentifiedImageError

    if not file.is_file():
        raise SparringError(f"there is no image {file}")
    try:
        with Image.open(file) as opened:
            opened.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
            coloured = opened.convert("RGBA")
            flat = Image.alpha_composite(Image.new("RGBA", coloured.size, "white"), coloured).convert("L")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise SparringError(f"{file} is no readable image: {str(error).splitlines()[0]}") from None
    light = torch.from_numpy(np.asarray(flat, dtype=np.float64) / 255)
    if light.max() - light.min() <= BLANK:
        raise SparringError(f"{file} is blank: one shade all over has no shape to learn")
    dark = light.max() - light if light.mean() >= 0.5 else light - light.min()
    height, width = dark.shape
    g = generator_for(seed, "world", "image")
    chosen = torch.multinomial(dark.flatten(), count, replacement=True, generator=g)
    within = torch.rand(count, 2, generator=g, dtype=torch.float64)
    x = chosen % width + within[:, 0] - width / 2
    y = height / 2 - (chosen // width + within[:, 1])
    return (torch.stack([x, y], 1) * (4 / max(height, width))).float()
