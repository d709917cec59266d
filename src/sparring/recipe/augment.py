"""Differentiable augmentation of every judged image, of both players: the recipe's `augment`, not a term.

    L_D = E_x f_D(-D(T(x))) + E_z f_D(D(T(G(z))))        L_G = E_z f_G(-D(T(G(z))))

    T    random brightness, saturation and contrast (`colour`), a shift (`translation`), a square set to zero (`cutout`)

Zhao, Liu, Lin, Zhu and Han, "Differentiable Augmentation for Data-Efficient GAN Training", 2020, Eq. 4-6; the ranges are
the authors'. Images are [B, C, H, W] in [-1, 1]; pixels that are cut out or shifted in are 0, mid-grey.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from pydantic import BaseModel, Field, ValidationError
from torch import Tensor

from sparring.errors import SparringError, one_line
from sparring.plugins import find
from sparring.recipe.explain import explain
from sparring.trust import SHIPPED, Trust

Draw = Callable[..., Tensor]  # draw(B, ...) -> uniform numbers in [0, 1), one row per image
Augment = Callable[[Tensor, Draw], Tensor]


def colour(x: Tensor, draw: Draw) -> Tensor:
    """Brightness by up to 0.5, then saturation times 0 to 2, then contrast times 0.5 to 1.5."""
    ones = (len(x), 1, 1, 1)
    x = x + (draw(*ones) - 0.5)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (2 * draw(*ones))
    level = x.mean((1, 2, 3), keepdim=True)
    return level + (x - level) * (draw(*ones) + 0.5)


def translation(x: Tensor, draw: Draw, ratio: float) -> Tensor:
    """Shift each image by a whole number of pixels, up to `ratio` of its size in each direction."""
    rows = _shifted(x.shape[2], ratio, draw(len(x), 1))
    columns = _shifted(x.shape[3], ratio, draw(len(x), 1))
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1))
    image = torch.arange(len(x), device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _shifted(size: int, ratio: float, u: Tensor) -> Tensor:
    """For each output pixel the index of its source pixel, [B, size], along an axis padded by one zero at each end."""
    most = int(size * ratio + 0.5)
    shift = (u * (2 * most + 1)).floor().long() - most
    return (torch.arange(size, device=u.device)[None] + shift + 1).clamp(0, size + 1)


def cutout(x: Tensor, draw: Draw, ratio: float) -> Tensor:
    """Set a rectangle of `ratio` of the size to zero. Its centre is in the image, so a part may lie outside."""
    keep = torch.ones(len(x), 1, *x.shape[2:], dtype=torch.bool, device=x.device)
    for axis in (2, 3):
        size = x.shape[axis]
        length = int(size * ratio + 0.5)
        start = (draw(len(x), 1) * (size + 1 - length % 2)).floor().long() - length // 2
        place = torch.arange(size, device=x.device)[None] - start
        inside = (place >= 0) & (place < length)
        inside = inside[:, None, :, None] if axis == 2 else inside[:, None, None, :]
        keep = inside if axis == 2 else ~(keep & inside)
    return x * keep


class DiffAugment(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """DiffAugment: its policy is the list of transformations, in order."""

    policy: tuple[Literal["colour", "translation", "cutout"], ...] = Field(
        ("colour", "translation", "cutout"), min_length=1
    )
    """The transformations, in order."""
    translation: float = Field(0.125, ge=0, lt=1)
    """The largest shift, as a share of the image's size."""
    cutout: float = Field(0.5, gt=0, lt=1)
    """The side of the square that is set to grey, as a share of the image's size."""

    def __call__(self, images: Tensor, draw: Draw) -> Tensor:
        """images [B, C, H, W] -> the same shape, differentiable."""
        if images.ndim != 4:
            raise SparringError(f"augment takes images [B, C, H, W], got {tuple(images.shape)}")
        transformations: dict[str, Callable[[Tensor], Tensor]] = {
            "colour": lambda x: colour(x, draw),
            "translation": lambda x: translation(x, draw, self.translation),
            "cutout": lambda x: cutout(x, draw, self.cutout),
        }
        for name in self.policy:
            images = transformations[name](images)
        return images


AUGMENTATIONS = {"diffaugment": "sparring.recipe.augment:DiffAugment", "ada": "sparring.recipe.ada:ADA"}


def make_augment(recipe: Mapping[str, Any] | None, trust: Trust = SHIPPED) -> Augment | None:
    """Make the recipe's augmentation, such as `{kind: diffaugment, policy: [...]}`; None makes none.

    `{kind: package.module:Class, ...}` makes your own. It is called with images and `draw(*shape)`, which returns uniform
    numbers. Raises SparringError for an unknown kind.
    """
    if recipe is None:
        return None
    fields = dict(recipe)
    kind = fields.pop("kind", None)
    if kind is None:
        raise SparringError("augment needs a kind, such as {kind: diffaugment}")
    made = find(str(kind), AUGMENTATIONS, "augmentation", trust)
    with one_line(f"augmentation '{kind}' cannot be built: ", "; check its options"):
        try:
            augment: Augment = made(**fields)
        except ValidationError as error:
            raise SparringError(explain(error, made, prefix="augment")) from None
    if not callable(augment):
        raise SparringError(
            f"augmentation '{kind}' is a {type(augment).__name__}: an augmentation is called with images"
        )
    return augment
