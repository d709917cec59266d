"""Adaptive discriminator augmentation: every judged image is transformed, each transformation with probability p.

    T(x) = C (x o G)        G = F_x R_90 T_int S R(theta_1) A R(theta_2) T_frac,  C = S_c R_hue L K B

    x o G   the image whose pixel at i is x at G i; coordinates are pixels from the centre
    blit        F_x a mirror image, R_90 quarter turns, T_int a shift by whole pixels, up to an eighth of the size
    geometric   S scaling by 2^N(0, 0.2^2), R rotations by U(-pi, pi), A the width by 2^N(0, 0.2^2) and the height by its
                inverse, T_frac a shift by N(0, 0.125^2) of the size
    colour      B + N(0, 0.2^2), K times 2^N(0, 0.5^2), L mirrors at the plane of no luma, R_hue turns about the axis of luma
                by U(-pi, pi), S_c times 2^N(0, 1) beside that axis

p moves so that r_t = E sign(D(x)) of the training images stays at `target` (`training/adaptation.py`). A rotation has the
probability 1 - sqrt(1 - p), so that one of the two happens with p.

Karras, Aittala, Hellsten, Laine, Lehtinen and Aila, "Training Generative Adversarial Networks with Limited Data", 2020,
section 3 and appendix B; the defaults are the paper's "bgc". Images are [B, 1 or 3, H, W] in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Literal

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from sparring.errors import SparringError
from sparring.recipe.resampling import moved, resampled

DRAWS = 28  # uniform numbers of an image
BLIT, GEOMETRIC, COLOUR = slice(0, 7), slice(7, 18), slice(18, 28)  # which of them
LUMA = (1 / 3) ** 0.5  # the axis of luma is (LUMA, LUMA, LUMA)


class ADA(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """ADA's settings."""

    transforms: tuple[Literal["blit", "geometric", "colour"], ...] = Field(
        ("blit", "geometric", "colour"), min_length=1
    )
    """The groups of transformations."""
    target: float = Field(0.6, gt=-1, lt=1)
    """The mean sign of the discriminator's scores of training images that p aims at."""
    ramp_images: int = Field(500_000, ge=1)
    """Training images in which p can go from 0 to 1."""
    interval: int = Field(4, ge=1)
    """Discriminator updates between two changes of p."""
    p: float | None = Field(None, ge=0, le=1)
    """A fixed probability. Null lets it adapt."""

    def __call__(self, images: Tensor, draw: Callable[..., Tensor], p: Tensor | None = None) -> Tensor:
        """images [B, C, H, W] -> the same shape, differentiable. p: the probability, a scalar, where it adapts."""
        if images.ndim != 4 or images.shape[1] not in (1, 3) or min(images.shape[2:]) < 2:
            raise SparringError(
                f"augment 'ada' takes images [B, 1 or 3, H, W] of at least 2x2 pixels, got {tuple(images.shape)}"
            )
        if p is None:
            if self.p is None:
                raise SparringError("augment 'ada' without p adapts in a run alone: give it p, such as 0.3")
            p = images.new_full((), self.p)
        chance = p.to(images)
        u = draw(len(images), DRAWS)
        if "blit" in self.transforms or "geometric" in self.transforms:
            images = self._placed(images, u, chance)
        return _coloured(images, u[:, COLOUR], chance) if "colour" in self.transforms else images

    def _placed(self, images: Tensor, u: Tensor, p: Tensor) -> Tensor:
        G = torch.eye(3, device=u.device, dtype=u.dtype).expand(len(u), 3, 3)
        height, width = images.shape[2:]
        if "blit" in self.transforms:
            G = G @ blit_matrix(u[:, BLIT], p, height, width)
        if "geometric" not in self.transforms:
            return moved(images, G)
        further, is_resampled = geometric_matrix(u[:, GEOMETRIC], p, height, width)
        return torch.where(is_resampled[:, None, None, None], resampled(images, G @ further), moved(images, G))


def blit_matrix(u: Tensor, p: Tensor, height: int, width: int) -> Tensor:
    """[B, 3, 3] of whole numbers, from the draws [B, 7]."""
    flips, turns, shifts = (u[:, k] < p for k in (0, 2, 4))
    flip = torch.where(flips, 1 - 2 * (2 * u[:, 1]).floor(), 1)
    turn = torch.where(turns, (4 * u[:, 3]).floor(), 0)
    cos, sin = ((turn == k).to(u) - (turn == k + 2).to(u) for k in (0, 1))
    x, y = (torch.where(shifts, ((2 * u[:, k] - 1) * 0.125 * size).round(), 0) for k, size in ((5, width), (6, height)))
    return scaling(flip, torch.ones_like(flip)) @ turning(cos, sin) @ shifting(x, y)


def geometric_matrix(u: Tensor, p: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """[B, 3, 3] from the draws [B, 11], and whether it is another than the identity [B]."""
    each_rotation = 1 - (1 - p) ** 0.5
    chances = ((0, p), (2, each_rotation), (4, p), (6, each_rotation), (8, p))
    scales, first, stretches, second, shifts = (u[:, k] < chance for k, chance in chances)
    scale = torch.where(scales, torch.exp2(0.2 * normal(u[:, 1])), 1)
    stretch = torch.where(stretches, torch.exp2(0.2 * normal(u[:, 5])), 1)
    before, after = (torch.where(on, (2 * u[:, k] - 1) * pi, 0) for on, k in ((first, 3), (second, 7)))
    x, y = (torch.where(shifts, 0.125 * size * normal(u[:, k]), 0) for k, size in ((9, width), (10, height)))
    matrix = scaling(1 / scale, 1 / scale) @ turning(before.cos(), before.sin())
    matrix = matrix @ scaling(1 / stretch, stretch) @ turning(after.cos(), after.sin()) @ shifting(-x, -y)
    return matrix, scales | first | stretches | second | shifts


def colour_matrix(u: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    """[B, 3, 4] of colours (red, green, blue, 1), from the draws [B, 10], and whether it is another than the identity."""
    brightens, contrasts, flips, turns, saturates = (u[:, k] < p for k in (0, 2, 4, 6, 8))
    brightness = torch.where(brightens, 0.2 * normal(u[:, 1]), 0)
    contrast = torch.where(contrasts, torch.exp2(0.5 * normal(u[:, 3])), 1)
    luma = torch.where(flips, 1 - 2 * (2 * u[:, 5]).floor(), 1)
    hue = torch.where(turns, (2 * u[:, 7] - 1) * pi, 0)
    saturation = torch.where(saturates, torch.exp2(normal(u[:, 9])), 1)
    # along the axis of luma colours are multiplied by contrast and its flip, beside it turned and multiplied
    along = u.new_full((3, 3), LUMA**2)
    one = torch.eye(3, device=u.device, dtype=u.dtype)
    beside, quarter = one - along, LUMA * (one.roll(1, 0) - one.roll(-1, 0))  # the latter times v is axis x v
    turned = _each(hue.cos()) * beside + _each(hue.sin()) * quarter
    linear = _each(contrast * luma) * along + _each(contrast * saturation) * turned
    changed = brightens | contrasts | flips | turns | saturates
    return torch.cat([linear, (contrast * luma * brightness)[:, None, None].expand(-1, 3, 1)], 2), changed


def _coloured(images: Tensor, u: Tensor, p: Tensor) -> Tensor:
    matrix, changed = colour_matrix(u, p)
    if images.shape[1] == 1:  # a grey pixel is three equal colours before, and their mean afterwards
        linear, offset = matrix[:, :, :3].sum((1, 2), keepdim=True) / 3, matrix[:, :, 3:].mean(1, keepdim=True)
    else:
        linear, offset = matrix[:, :, :3], matrix[:, :, 3:]
    return torch.where(changed[:, None, None, None], (linear @ images.flatten(2) + offset).view_as(images), images)


def normal(u: Tensor) -> Tensor:
    """Standard normal numbers from uniform ones, within 4.9."""
    return 2**0.5 * torch.erfinv((2 * u - 1).clamp(-1 + 1e-6, 1 - 1e-6))


def scaling(x: Tensor, y: Tensor) -> Tensor:
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _matrix([x, zero, zero], [zero, y, zero], [zero, zero, one])


def turning(cos: Tensor, sin: Tensor) -> Tensor:
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    return _matrix([cos, -sin, zero], [sin, cos, zero], [zero, zero, one])


def shifting(x: Tensor, y: Tensor) -> Tensor:
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _matrix([one, zero, x], [zero, one, y], [zero, zero, one])


def _matrix(*rows: list[Tensor]) -> Tensor:
    return torch.stack([torch.stack(row, -1) for row in rows], 1)


def _each(numbers: Tensor) -> Tensor:
    return numbers[:, None, None]
