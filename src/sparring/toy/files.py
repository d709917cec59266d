"""Worlds from the user's files: points in a table, and the dark pixels of an image."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import TYPE_CHECKING
from warnings import catch_warnings, simplefilter

import numpy as np
import torch
from torch import Tensor

from sparring.archives import read_npy
from sparring.data.decode import decoding, opened_image, upright
from sparring.errors import SparringError, one_line
from sparring.limits import IMAGE_BYTES, TABLE_BYTES
from sparring.messages import counted
from sparring.parsing import read_bytes, read_text
from sparring.randomness import generator_for

if TYPE_CHECKING:
    from PIL import Image

FEWEST = 10  # points to draw a batch from
LONGEST_SIDE = 512  # pixels of an image that becomes a density; larger images are shrunk
SMALLEST = 1e-140  # squares of values below it underflow in float64
FINEST = 1e-12  # of the largest value: points that differ by less differ by rounding
BLANK = 1 / 255  # an image whose lightest and darkest pixels differ by less is blank


def read_points(file: Path) -> Tensor:
    """Points [N, 1] or [N, 2] float64 of a .csv or a .npy.

    In a .csv, empty lines, lines that begin with #, and a first line without numbers (column names) are skipped.
    Raises SparringError for text between the numbers, missing values, other shapes, values that are not finite, and fewer
    than 10 points.
    """
    if not file.is_file():
        raise SparringError(f"'{file}' is not a file")
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
        raise SparringError(f"{file} has {counted(len(values), 'point')}: at least {FEWEST} are needed")
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(1))[0])
        raise SparringError(f"{file}: point {row + 1} is {values[row].tolist()}, and points are finite")
    return torch.from_numpy(values)


def _read_npy(file: Path) -> np.ndarray:
    values = read_npy(file)
    if values.dtype.kind not in "iuf":
        raise SparringError(f"{file} holds {values.dtype}, and points are numbers")
    return values.astype(np.float64)


def _read_table(file: Path) -> np.ndarray:
    text = read_text(file, TABLE_BYTES, encoding="utf-8-sig")
    lines = [(number, line.strip(" ")) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(number, line) for number, line in lines if line.strip() and not line.startswith("#")]
    separator = _separator([line for _, line in lines])
    rows: list[list[float]] = []
    for i, (number, line) in enumerate(lines):
        where = f"{file}, line {number}"
        cells = _cells(line, separator, where)
        if i == 0 and not any(_is_number(cell.replace(",", ".")) for cell in cells):
            continue  # the columns' names
        rows.append(_point(cells, where))
        if len(rows[-1]) != len(rows[0]):
            raise SparringError(f"{where}: {len(rows[-1])} numbers, and the lines before have {len(rows[0])}")
    return np.array(rows, dtype=np.float64)


def _separator(lines: list[str]) -> str | None:
    """The separator in most lines, so that one in a header alone does not decide; None: spaces."""
    counts = {mark: sum(mark in line for line in lines) for mark in (";", "\t", ",")}  # of two as common, the first
    mark = max(counts, key=lambda found: counts[found])
    return mark if counts[mark] else None


def _cells(line: str, separator: str | None, where: str) -> list[str]:
    """The stripped cells of a line; a quoted cell cannot continue on the next line."""
    if separator is None:
        return line.split()
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator, strict=True))]
    except csv.Error as error:
        raise SparringError(f"{where}: '{line[:40]}' cannot be read, {error}: look for a stray quote") from None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # only Python reads 1_05 as a number


def _point(cells: list[str], where: str) -> list[float]:
    for cell in cells:
        if not cell:
            raise SparringError(f"{where}: a value is missing: fill it in, or remove the point")
        if not _is_number(cell):
            cure = "write one or two numbers per line, separated by commas"
            if _is_number(cell.replace(",", ".", 1)):
                cure = f"write decimals with a point, {cell.replace(',', '.', 1)}"
            raise SparringError(f"{where}: '{cell[:40]}' is not a number: {cure}")
    return [float(cell) for cell in cells]


def standardised(values: Tensor, file: Path) -> Tensor:
    """Mean 0 and root mean square 1 over both coordinates together, which keeps shapes; float32.

    Raises SparringError if all points are the same, or differ by too little or too much for float64.
    """
    if (values == values[0]).all():
        raise SparringError(f"{file}: all points are the same, {values[0].tolist()}: there is nothing to learn")
    centred = values - values.mean(0)
    size, largest = float(centred.square().mean().sqrt()), float(values.abs().max())
    if not math.isfinite(size):
        raise SparringError(f"{file}: values up to {largest:.3g} are too large: scale them down")
    if largest < SMALLEST:
        raise SparringError(f"{file}: values up to {largest:.3g} are too small: scale them up")
    if size <= FINEST * largest:
        raise SparringError(
            f"{file}: the points differ by {size:.3g} around {largest:.3g}, which is rounding: subtract an offset first"
        )
    return (centred / size).float()


def points_of_image(file: Path, count: int, seed: int) -> Tensor:
    """Points [count, 2] drawn from the dark pixels of an image, uniform within each; the longer side spans -2 to 2.

    If the image is darker than middle grey on average, its light pixels are drawn instead. Transparent pixels count as
    white, and EXIF orientation is applied. Raises SparringError if the image cannot be read or is blank.
    """
    if not file.is_file():
        raise SparringError(f"there is no image {file}")
    with one_line(f"{file} is not a readable image: "), catch_warnings():
        simplefilter("ignore")  # of damaged EXIF blocks and the like
        with opened_image(read_bytes(file, IMAGE_BYTES)) as opened, decoding(opened):
            flat = _grey(opened)
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


def _grey(opened: Image.Image) -> Image.Image:
    """The image in 8 bits of grey, at most `LONGEST_SIDE` long; 16 and 32 bits are scaled from darkest to lightest pixel."""
    from PIL import Image

    opened = upright(opened)
    if opened.mode == "F" or opened.mode.startswith("I"):
        values = np.asarray(opened, dtype=np.float64)
        if not np.isfinite(values).all():
            raise ValueError("it has pixels that are not finite")
        low, high = values.min(), values.max()
        shades = (values - low) * (255 / (high - low)) if high > low else values * 0
        opened = Image.fromarray(shades.astype(np.float32))
    opened.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    if opened.mode == "F":
        return Image.fromarray(np.asarray(opened).round().clip(0, 255).astype(np.uint8))
    coloured = opened.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", coloured.size, "white"), coloured).convert("L")
