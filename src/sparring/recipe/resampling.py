"""Moving the pixels of images [B, C, H, W] by one affine map each: whole pixels exactly, anything else between two filters.

A map G [B, 3, 3] takes the place (x, y, 1) of a pixel of the result, from the centre and in pixels, to its place in the
source. Beyond its edges an image goes on mirrored at the centre of its outermost pixels.

`resampled` goes as Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020, appendix B: twice as
many pixels by the low-pass filter of the sym6 wavelet, bilinear sampling there, then half as many by the same filter. The
filter is orthogonal to itself moved by whole pixels, so a move by whole pixels is exact up to rounding, inside the image.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# Low-pass filter of the symlet with 6 vanishing moments (Daubechies, "Ten Lectures on Wavelets", 1992, section 8.1.1).
SYM6 = (
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633, 0.4910559419267466,
    0.787641141030194, 0.3379294217276218, -0.07263752278646252, -0.021060292512300564, 0.04472490177066578,
    0.0017677118642428036, -0.007800708325034148,
)  # fmt: skip
BEFORE = 5  # its values before the largest one
CENTRE = (
    sum(k * value for k, value in enumerate(SYM6)) / sum(SYM6) - BEFORE
)  # 0.1: pixel i is at 2 i + CENTRE of the doubled
BILINEAR, BORDER = 0, 1  # as `grid_sampler_2d_backward` counts them


def moved(x: Tensor, G: Tensor) -> Tensor:
    """Each pixel is copied from the nearest one to its place: exact where G maps pixels to pixels."""
    height, width = x.shape[2:]
    places = _mapped(G, torch.arange(height, device=x.device), torch.arange(width, device=x.device), height, width)
    rows, columns = (
        mirrored((place + (size - 1) / 2).round().long(), size)
        for place, size in ((places[:, 1], height), (places[:, 0], width))
    )
    index = (rows * width + columns)[:, None].expand(-1, x.shape[1], -1)
    return x.flatten(2).gather(2, index).view_as(x)


def resampled(x: Tensor, G: Tensor) -> Tensor:
    """The image at the places that G gives, filtered; images are at least 2x2."""
    height, width = x.shape[2:]
    fine = doubling(height, x.device, x.dtype) @ x @ doubling(width, x.device, x.dtype).T
    # places of the result at twice its pixels, and of those around it that the filter reads
    rows, columns = (
        (torch.arange(2 * size + 2 * BEFORE, device=x.device, dtype=x.dtype) - BEFORE - CENTRE) / 2
        for size in (height, width)
    )
    places = _mapped(G, rows, columns, height, width)
    columns_of, rows_of = (
        2 * mirrored(place + (size - 1) / 2, size) + CENTRE
        for place, size in ((places[:, 0], width), (places[:, 1], height))
    )
    grid = torch.stack(
        [columns_of / (width - 0.5) - 1, rows_of / (height - 0.5) - 1], 2
    )  # the first pixel is -1, the last 1
    sampled = _Sampled.apply(fine, grid.view(len(x), len(rows), len(columns), 2))
    return halving(height, x.device, x.dtype) @ sampled @ halving(width, x.device, x.dtype).T


def mirrored(index: Tensor, size: int) -> Tensor:
    """The place in [0, size - 1] that a place beyond the edges shows."""
    period = 2 * size - 2
    index = index % period
    return torch.minimum(index, period - index)


@lru_cache(maxsize=16)
def doubling(size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """[2 size, size]: twice as many values, of the signal that is mirrored at both ends."""
    matrix = torch.zeros(2 * size, size, dtype=torch.float64, device="cpu")  # even in a dry run
    for row in range(2 * size):
        for k, value in enumerate(SYM6):
            twice = row + BEFORE - k
            if twice % 2 == 0:
                place = twice // 2 % (2 * size - 2)
                matrix[row, min(place, 2 * size - 2 - place)] += 2**0.5 * value
    return matrix.to(device, dtype)


@lru_cache(maxsize=16)
def halving(size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """[size, 2 size + 10]: pixels from the doubled values around them."""
    matrix = torch.zeros(size, 2 * size + 2 * BEFORE, dtype=torch.float64, device="cpu")
    for row in range(size):
        for k, value in enumerate(SYM6):
            matrix[row, 2 * row + k] = value / 2**0.5
    return matrix.to(device, dtype)


def _mapped(G: Tensor, rows: Tensor, columns: Tensor, height: int, width: int) -> Tensor:
    """[B, 2, rows x columns]: where G takes the pixels of a lattice, x and y from the centre."""
    y, x = torch.meshgrid(rows - (height - 1) / 2, columns - (width - 1) / 2, indexing="ij")
    lattice = torch.stack([x.flatten(), y.flatten(), torch.ones_like(x).flatten()])
    return G[:, :2] @ lattice.to(G)


class _Sampled(torch.autograd.Function):
    """Bilinear sampling as a linear map of the image, which can be differentiated as often as wanted; torch's only once."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.shape = x.shape
        return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=True)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (grid,) = ctx.saved_tensors
        return _Spread.apply(gradient, grid, ctx.shape), None


class _Spread(torch.autograd.Function):
    """The transpose of `_Sampled`."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, grid: Tensor, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(grid)
        unread = y.new_zeros(shape)
        spread: Tensor = torch.ops.aten.grid_sampler_2d_backward(
            y.contiguous(), unread, grid, BILINEAR, BORDER, True, [True, False]
        )[0]
        return spread

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (grid,) = ctx.saved_tensors
        return _Sampled.apply(gradient, grid), None, None
