"""AutoGAN's CIFAR-10 networks (Gong et al., AutoGAN: Neural Architecture Search for GANs, 2019), variants a, b and c.

G is a linear layer, three cells that double the size at 256 channels, then batch norm, ReLU, 3x3 and tanh; 4,405,251
parameters with 128 latents for variant a. A cell, with the outputs of earlier cells' first convolutions as its skips:

    h = 3x3(double(relu(x))) + sum of 1x1(resize(skip))        h is the skip that this cell hands on
    y = 3x3(relu(h)) + 1x1(double(x))                          the last summand where the cell has a shortcut

    a  nearest, bilinear, nearest doubling; the third cell has no shortcut
    b  nearest and a shortcut in all three
    c  as a, with batch norm before both ReLUs of the first cell

A skip that is handed on includes the skips added to it, as in the authors' code, where the sum is in place. D is SNGAN's
for 32 pixels with a bias-free head (1,053,824). Convolutions start Xavier-uniform with gain 1 and zero biases, batch norm's
scales from N(1, 0.02), linear layers as torch starts them. Sizes are multiples of 8; at each, D halves twice.
"""

from __future__ import annotations

from dataclasses import field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.errors import SparringError
from sparring.networks.dcgan import initialise
from sparring.networks.image_conv import ImageConv
from sparring.networks.layers import ImageGenerator, Normalisation, check_positive, network
from sparring.networks.resampling import UpConv, Upsampling, doubled
from sparring.networks.residual import ResidualBackbone, Start, activated
from sparring.networks.spectral import SpectralNormKind
from sparring.networks.winograd import Conv3x3

CELLS, SMALLEST_BASE = 3, 4
DOUBLING: dict[str, tuple[Upsampling, Upsampling, Upsampling]] = {
    "a": ("nearest", "bilinear", "nearest"),
    "b": ("nearest", "nearest", "nearest"),
    "c": ("nearest", "bilinear", "nearest"),
}
SHORTCUTS = {"a": (True, True, False), "b": (True, True, True), "c": (True, True, False)}
NORMALISED = {"a": (False, False, False), "b": (False, False, False), "c": (True, False, False)}


def _base(image_size: int) -> int:
    if image_size % 2**CELLS or image_size < SMALLEST_BASE * 2**CELLS:
        close = max(SMALLEST_BASE, round(image_size / 2**CELLS)) * 2**CELLS
        raise SparringError(
            f"autogan makes square images of 32 pixels or a larger multiple of 8, got image_size={image_size}: "
            f"set data.size={close}"
        )
    return image_size // 2**CELLS


class Cell(nn.Module):
    """x [B, W, H, H] and the skips of earlier cells -> (the skip to hand on, y), both [B, W, 2H, 2H]."""

    def __init__(
        self,
        width: int,
        start: Start,
        *,
        upsampling: Upsampling,
        skips: int,
        shortcut: bool,
        norms: tuple[nn.Module, nn.Module],
        fused: bool = True,
    ):
        super().__init__()
        self.upsampling: Upsampling = upsampling
        self.norm1, self.norm2 = norms
        self.conv1 = start(UpConv(width, width, mode=upsampling, fused=fused))
        self.conv2 = start(Conv3x3(width, width, fused=fused))
        self.skips = nn.ModuleList(start(nn.Conv2d(width, width, 1)) for _ in range(skips))
        self.shortcut = start(nn.Conv2d(width, width, 1)) if shortcut else None

    def forward(self, x: Tensor, skips: list[Tensor]) -> tuple[Tensor, Tensor]:
        h = self.conv1(activated(self.norm1, x, None))
        for conv, skip in zip(self.skips, skips, strict=True):
            h = h.add_(F.interpolate(conv(skip), size=h.shape[2:], mode=self.upsampling))
        y = self.conv2(activated(self.norm2, h, None))
        return h, y if self.shortcut is None else y.add_(doubled(self.shortcut(x), self.upsampling))


@network
class AutoGANGenerator(ImageGenerator):
    """z [B, Z], labels [B] or None -> images [B, C, S, S] in [-1, 1], S being 32 or a larger multiple of 8."""

    variant: Literal["a", "b", "c"] = "a"
    """Which cells: `a`, `b` or `c` above."""
    width: int = 256
    """Channels of every block."""
    normalisation: Normalisation = field(init=False, default="batch")
    spectral_norm: SpectralNormKind = "none"
    conditioning: Literal["none", "concat"] = "none"
    fused: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        width = self.width
        check_positive("autogan", width=width, image_channels=self.image_channels)
        self.base = _base(self.image_size)
        start = Start(self.spectral_norm, gain=1, linear=False)

        def norm(present: bool) -> nn.Module:
            return initialise(self.conditional_norm(width), "normal") if present else nn.Identity()

        self.linear = start(nn.Linear(self.input_size, width * self.base**2))
        variants = zip(DOUBLING[self.variant], SHORTCUTS[self.variant], NORMALISED[self.variant], strict=True)
        self.cells = nn.ModuleList(
            Cell(
                width,
                start,
                upsampling=upsampling,
                skips=i,
                shortcut=shortcut,
                norms=(norm(normalised), norm(normalised)),
                fused=self.fused,
            )
            for i, (upsampling, shortcut, normalised) in enumerate(variants)
        )
        self.last_norm = norm(True)
        self.to_image = start(ImageConv(width, self.image_channels, fused=self.fused))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        h = self.linear(self.conditioned(z, labels)).unflatten(1, (-1, self.base, self.base))
        skips: list[Tensor] = []
        for cell in self.cells:
            skip, h = cell(h, skips)
            skips.append(skip)
        return torch.tanh(self.to_image(activated(self.last_norm, h, None)))


@network
class AutoGANBackbone(ResidualBackbone):
    """images [B, C, S, S] -> features [B, width]; blocks: its four residual blocks after the following ReLU."""

    width: int = 128
    """Channels of every block."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _base(self.image_size)
        self.start = Start(self.spectral_norm, gain=1, linear=False)
        self.make_layers([self.width] * 4, halvings=2, start=self.start)

    def make_head(self, name: str, outputs: int) -> nn.Module:
        """A bias-free linear layer."""
        return self.start(nn.Linear(self.channels, outputs, bias=False))
