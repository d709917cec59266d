"""Residual networks: the blocks that SNGAN, SAGAN, AutoGAN and adversarial sampling's ResNet share.

    generator block      x -> norm, ReLU, doubling, 3x3, norm, ReLU, 3x3     + doubled 1x1 of x
    discriminator block  x -> ReLU, 3x3, ReLU, 3x3, halving                  + 1x1 of halved x

The shortcut's 1x1 convolution runs at the lower resolution: it and the resampling (whose weights sum to one) commute, so
the result is that of the usual order. No ReLU overwrites a block's input: the shortcut sees x itself, and what a
discriminator hands out as its blocks stays as it is.

A 3x3 convolution beside a resampling is one stride-2 convolution (`resampling.py`), and the others are summed in fewer
multiplications on CPUs (`winograd.py`); `fused` False keeps the plain order, of the same numbers to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.networks.image_conv import ImageConv
from sparring.networks.layers import (
    ImageBackbone,
    ImageGenerator,
    Normalisation,
    check_positive,
    network,
    norm_layer,
    normalised,
)
from sparring.networks.resampling import ConvPool, UpConv, Upsampling, doubled
from sparring.networks.spectral import SpectralNormKind, spectral_norm
from sparring.networks.winograd import Conv3x3

Layout = Literal["constant", "pyramid"]
NormMaker = Callable[[int], nn.Module]


@dataclass(frozen=True)
class Start:
    """How the layers of a network are initialised, and how their weights are normalised.

    Xavier-uniform weights with `gain` in the 3x3 convolutions of residual blocks and 1 elsewhere (sqrt(2) and 1 are
    SNGAN's), zero biases; `convolutions` or `linear` False leaves torch's own initialisation of those layers.
    """

    spectral_norm: SpectralNormKind = "none"
    gain: float = 2**0.5
    convolutions: bool = True
    linear: bool = True

    def __call__(self, layer: nn.Module, gain: float = 1.0) -> nn.Module:
        if self.linear if isinstance(layer, nn.Linear) else self.convolutions:
            assert isinstance(layer.weight, Tensor)
            nn.init.xavier_uniform_(layer.weight, gain)
            if isinstance(layer.bias, Tensor):
                nn.init.zeros_(layer.bias)
        return spectral_norm(layer, self.spectral_norm)


def activated(norm: nn.Module, x: Tensor, labels: Tensor | None) -> Tensor:
    """ReLU(norm(x)), in place if normalising made a new tensor."""
    h = normalised(norm, x, labels)
    return F.relu(h) if h is x else F.relu_(h)


class GeneratorBlock(nn.Module):
    """[B, I, H, W] -> [B, O, 2H, 2W]."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        start: Start,
        norm: NormMaker,
        upsampling: Upsampling,
        *,
        fused: bool = True,
    ):
        super().__init__()
        self.upsampling: Upsampling = upsampling
        self.norm1, self.norm2 = norm(inputs), norm(outputs)
        self.conv1 = start(UpConv(inputs, outputs, mode=upsampling, fused=fused), start.gain)
        self.conv2 = start(Conv3x3(outputs, outputs, fused=fused), start.gain)
        self.shortcut = start(nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        h = self.conv1(activated(self.norm1, x, labels))
        h = self.conv2(activated(self.norm2, h, labels))
        return h.add_(doubled(self.shortcut(x), self.upsampling))


class DiscriminatorBlock(nn.Module):
    """x [B, I, H, W] and its ReLU -> [B, O, H, W], halved where `halve`.

    The ReLU comes from outside because the network needs it anyway, as its view of the block before. The first block takes
    images instead. With a normalisation, x is normalised before its ReLU, but in the first block.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        outputs: int,
        start: Start,
        norm: NormMaker,
        *,
        halve: bool,
        first: bool = False,
        fused: bool = True,
    ):
        super().__init__()
        self.halve = halve
        self.norm1, self.norm2 = nn.Identity() if first else norm(inputs), norm(hidden)
        self.conv1 = start(Conv3x3(inputs, hidden, fused=fused), start.gain)
        self.conv2 = start((ConvPool if halve else Conv3x3)(hidden, outputs, fused=fused), start.gain)
        same = inputs == outputs and not halve
        self.shortcut = nn.Identity() if same else start(nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: Tensor, active: Tensor) -> Tensor:
        h = active if isinstance(self.norm1, nn.Identity) else F.relu_(self.norm1(x))
        h = self.conv2(F.relu_(self.norm2(self.conv1(h))))
        return h.add_(self.shortcut(F.avg_pool2d(x, 2) if self.halve else x))


@network
class ResidualGenerator(ImageGenerator):
    """z -> linear -> [widths[0], base, base] -> one block per further width -> norm, ReLU, convolution, tanh.

    The last normalisation is not conditional.
    """

    upsampling: Upsampling = "nearest"
    spectral_norm: SpectralNormKind = "none"
    fused: bool = True

    def make_layers(
        self,
        base: int,
        widths: Sequence[int],
        start: Start,
        *,
        last_kernel: int = 3,
        eps: float = 1e-5,
        momentum: float = 0.1,
        stage_ends: dict[int, nn.Module] | None = None,
    ) -> None:
        """last_kernel: size of the last convolution. stage_ends: a module to run after a block, by the block's index."""
        check_positive("the generator", image_channels=self.image_channels, width=min(widths))
        norm = partial(self.conditional_norm, eps=eps, momentum=momentum)
        self.base = base
        self.linear = start(nn.Linear(self.input_size, widths[0] * base**2))
        self.blocks = nn.ModuleList(
            GeneratorBlock(inputs, outputs, start, norm, self.upsampling, fused=self.fused)
            for inputs, outputs in pairwise(widths)
        )
        ends = stage_ends or {}
        self.stage_ends = nn.ModuleList(ends.get(i, nn.Identity()) for i in range(len(self.blocks)))
        statistics = self.sampling_statistics
        self.last_norm = norm_layer(self.normalisation, widths[-1], eps=eps, momentum=momentum, statistics=statistics)
        self.to_image = start(ImageConv(widths[-1], self.image_channels, last_kernel, fused=self.fused))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        h = self.linear(self.conditioned(z, labels)).unflatten(1, (-1, self.base, self.base))
        for block, end in zip(self.blocks, self.stage_ends, strict=True):
            h = end(block(h, labels))
        return torch.tanh(self.to_image(activated(self.last_norm, h, None)))


@network
class ResidualBackbone(ImageBackbone):
    """images -> one block per width, the first `halvings` of them halving -> ReLU -> the sum over all pixels.

    Its `blocks` are each block's output after the ReLU that follows.
    """

    normalisation: Normalisation = "none"
    spectral_norm: SpectralNormKind = "exact"
    fused: bool = True

    def make_layers(
        self,
        widths: Sequence[int],
        halvings: int,
        start: Start,
        *,
        hidden: Literal["inputs", "outputs"] = "inputs",
        stage_ends: dict[int, nn.Module] | None = None,
    ) -> None:
        """hidden: whether the channels between a block's two convolutions are those of its inputs (SNGAN) or outputs
        (SAGAN); in the first block always its outputs. stage_ends: as the generator's.
        """
        check_positive("the backbone", image_channels=self.image_channels, width=min(widths))
        norm = partial(norm_layer, self.normalisation)
        self.couples_batch = self.normalisation == "batch"
        self.channels = widths[-1]
        self.stages = nn.ModuleList()
        for i, (inputs, outputs) in enumerate(pairwise([self.image_channels, *widths])):
            inner, halve = outputs if i == 0 or hidden == "outputs" else inputs, i < halvings
            self.stages.append(
                DiscriminatorBlock(inputs, inner, outputs, start, norm, halve=halve, first=i == 0, fused=self.fused)
            )
        ends = stage_ends or {}
        self.stage_ends = nn.ModuleList(ends.get(i, nn.Identity()) for i in range(len(widths)))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        h, active, blocks = images, images, []
        for stage, end in zip(self.stages, self.stage_ends, strict=True):
            h = end(stage(h, active))
            active = F.relu(h)
            blocks.append(active)
        return active.sum((2, 3)), blocks


def generator_widths(layout: Layout, width: int, doublings: int, max_width: int) -> list[int]:
    """Channels from the base up to the full size: all `width`, or `width` at the full size and doubled at each halving."""
    if layout == "constant":
        return [width] * (doublings + 1)
    return [min(width << halvings, max_width) for halvings in range(doublings, -1, -1)]


def backbone_widths(layout: Layout, width: int, doublings: int, max_width: int) -> list[int]:
    """Channels of a backbone's `doublings + 1` blocks: all `width`, or `width` in the first and doubled at each block."""
    if layout == "constant":
        return [width] * (doublings + 1)
    return [min(width << block, max_width) for block in range(doublings + 1)]
