"""A small network of R3GAN's kind (Huang et al., The GAN is dead; long live the GAN!, 2024): no normalisation layers.

    block  x + 1x1(lrelu(grouped 3x3(lrelu(1x1(x)))))
    G      linear(z) times a learned 4x4 basis per channel -> blocks -> (doubling -> blocks) per stage -> 1x1, tanh
    D      1x1 -> (blocks -> halving) per stage -> blocks -> one 4x4 convolution per channel -> heads without bias

The inner width of a block is `expansion` times the outer; its last 1x1 starts at zero, so that the block starts as the
identity. Resampling is by the binomial filter [1, 2, 1]. Weights start from N(0, gain^2 / fan-in) with gain 1, and in blocks
sqrt(2 / (1 + 0.2^2)) L^(-1/4), L being the number of blocks. A class enters G as an embedding beside the latents and D as
its projection, whose bias-free head here adds its own score. The authors' CIFAR-10 network is width 768, 2 blocks
per stage, cardinality 96, 64 latents; this one's defaults are an eighth of its width.

Deviations: tanh at G's end (theirs has none), because images are in [-1, 1] everywhere here; one width for all stages.
"""

from __future__ import annotations

from dataclasses import field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.errors import SparringError
from sparring.networks.layers import (
    ImageBackbone,
    ImageGenerator,
    Normalisation,
    Statistics,
    base_and_doublings,
    check_positive,
    network,
)

LEAK = 0.2
LEAK_GAIN = (2 / (1 + LEAK**2)) ** 0.5


def _start(layer: nn.Module, gain: float = 1.0) -> nn.Module:
    """N(0, gain^2 / fan-in) weights and zero biases; in place, returns the layer."""
    assert isinstance(layer.weight, Tensor)
    if not layer.weight.is_meta:  # torch would import its compiler for it, seconds of each process
        nn.init.normal_(layer.weight, 0, gain * layer.weight[0].numel() ** -0.5)
    if isinstance(layer.bias, Tensor):
        nn.init.zeros_(layer.bias)
    return layer


class Block(nn.Module):
    """[B, W, H, H] -> the same shape; `depth` is the number of blocks in the network."""

    def __init__(self, width: int, expansion: int, cardinality: int, depth: int):
        super().__init__()
        inner, gain = width * expansion, LEAK_GAIN * depth**-0.25
        self.enter = _start(nn.Conv2d(width, inner, 1), gain)
        self.mix = _start(nn.Conv2d(inner, inner, 3, padding=1, groups=cardinality), gain)
        self.leave = _start(nn.Conv2d(inner, width, 1, bias=False), 0)

    def forward(self, x: Tensor) -> Tensor:
        h = F.leaky_relu_(self.enter(x), LEAK)
        h = F.leaky_relu_(self.mix(h), LEAK)
        return self.leave(h).add_(x)


class Resample(nn.Module):
    """Doubling or halving by the filter [1, 2, 1] in both directions, zeros beyond the border.

    Doubling: out[2i + 1] = x[i], out[2i] = (x[i - 1] + x[i]) / 2. Halving: out[i] = (x[2i - 1] + 2 x[2i] + x[2i + 1]) / 4.
    """

    def __init__(self, channels: int, direction: Literal["double", "halve"]):
        super().__init__()
        self.direction = direction
        line = torch.tensor([1.0, 2.0, 1.0]) / (2 if direction == "double" else 4)
        self.register_buffer("filter", torch.outer(line, line).repeat(channels, 1, 1, 1), persistent=False)
        self.filter: Tensor

    def forward(self, x: Tensor) -> Tensor:
        if self.direction == "double":
            return F.conv_transpose2d(x, self.filter, stride=2, groups=x.shape[1])[:, :, :-1, :-1]
        return F.conv2d(F.pad(x, (1, 0, 1, 0)), self.filter, stride=2, groups=x.shape[1])


def _stages(network: R3GANGenerator | R3GANBackbone, stages: int) -> nn.ModuleList:
    width, blocks, expansion, cardinality = network.width, network.blocks, network.expansion, network.cardinality
    check_positive("r3gan", width=width, blocks=blocks, expansion=expansion, cardinality=cardinality)
    if width * expansion % cardinality:
        raise SparringError(
            f"r3gan: cardinality divides width * expansion = {width * expansion}, got {cardinality}: "
            f"set width to a multiple of {cardinality}"
        )
    return nn.ModuleList(
        nn.Sequential(*[Block(width, expansion, cardinality, blocks * stages) for _ in range(blocks)])
        for _ in range(stages)
    )


@network
class R3GANGenerator(ImageGenerator):
    """z [B, Z], labels [B] or None -> images [B, C, S, S] in [-1, 1], S being 4 to 7 times a power of 2."""

    width: int = 96
    """Channels of every block."""
    blocks: int = 2
    """Residual blocks in each stage."""
    expansion: int = 2
    """The inner width of a block, as a multiple of the outer."""
    cardinality: int = 12
    """Number of groups of a block's 3x3 convolution."""
    conditioning: Literal["none", "concat"] = "none"
    normalisation: Normalisation = field(init=False, default="none")
    sampling_statistics: Statistics = field(init=False, default="running")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("r3gan", image_channels=self.image_channels)
        base, doublings = base_and_doublings(self.image_size, "r3gan")
        self.stages = _stages(self, doublings + 1)
        self.linear = _start(nn.Linear(self.input_size, self.width, bias=False))
        self.basis = nn.Parameter(torch.randn(self.width, base, base))
        self.up = Resample(self.width, "double")
        self.to_image = _start(nn.Conv2d(self.width, self.image_channels, 1, bias=False))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        h = self.linear(self.conditioned(z, labels))[:, :, None, None] * self.basis
        for i, stage in enumerate(self.stages):
            h = stage(self.up(h) if i else h)
        return torch.tanh(self.to_image(h))


@network
class R3GANBackbone(ImageBackbone):
    """images [B, C, S, S] -> features [B, width]; blocks: each stage's output before it is halved; this network has no
    activation there."""

    width: int = 96
    """Channels of every block."""
    blocks: int = 2
    """Residual blocks in each stage."""
    expansion: int = 2
    """The inner width of a block, as a multiple of the outer."""
    cardinality: int = 12
    """Number of groups of a block's 3x3 convolution."""

    couples_batch = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("r3gan", image_channels=self.image_channels)
        base, doublings = base_and_doublings(self.image_size, "r3gan")
        self.channels = self.width
        self.stages = _stages(self, doublings + 1)
        self.from_image = _start(nn.Conv2d(self.image_channels, self.width, 1, bias=False))
        self.down = Resample(self.width, "halve")
        self.basis = _start(nn.Conv2d(self.width, self.width, base, groups=self.width, bias=False))

    def make_head(self, name: str, outputs: int) -> nn.Module:
        """A bias-free linear layer."""
        return _start(nn.Linear(self.channels, outputs, bias=False))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        h, blocks = self.from_image(images), []
        for i, stage in enumerate(self.stages):
            h = stage(self.down(h) if i else h)
            blocks.append(h)
        return self.basis(h).flatten(1), blocks
