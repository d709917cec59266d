"""SNGAN's networks (Miyato et al., Spectral Normalization for GANs, 2018; tables 3 to 5 of its appendix).

`SNGANGenerator` and `SNGANBackbone` are the ResNets. At 32 pixels (layout `constant`) 256 channels in each of G's blocks
and 128 in D's, whose last two blocks keep the size: 4,276,739 and 1,053,825 parameters. At 64 pixels (`pyramid`) G goes
from 1024 channels to 64 and D from 64 to 1024, halving in every block. `CNNGenerator` and `CNNBackbone` are its
"standard CNN", 3,812,355 and 2,927,680 parameters at 32 pixels (2,930,496 with batch norm) before the head.

Conditional variants (Miyato and Koyama, cGANs with Projection Discriminator, 2018): conditional batch norm here,
projection as the discriminator's `conditioning`.

Sources: the ResNets' Xavier gains (sqrt(2) in blocks, 1 elsewhere) and nearest upsampling are the official code's; the
public ports that upsample bilinearly are `upsampling: bilinear`. The CNN's slope 0.1 is the paper's; its weights start
from N(0, 0.02) as DCGAN's, which the paper does not say.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.networks.dcgan import Initialisation, started
from sparring.networks.layers import (
    ImageBackbone,
    ImageGenerator,
    Normalisation,
    base_and_doublings,
    check_positive,
    network,
    norm_layer,
    normalised,
)
from sparring.networks.residual import (
    Layout,
    ResidualBackbone,
    ResidualGenerator,
    Start,
    backbone_widths,
    generator_widths,
)
from sparring.networks.spectral import SpectralNormKind

LEAK = 0.1
CONSTANT_UP_TO = 3  # doublings: the paper's ResNet for 32 pixels keeps its width, the larger ones do not
GENERATOR_WIDTH: dict[Layout, int] = {"constant": 256, "pyramid": 64}
BACKBONE_WIDTH: dict[Layout, int] = {"constant": 128, "pyramid": 64}


def _layout(layout: Layout | Literal["auto"], doublings: int) -> Layout:
    if layout != "auto":
        return layout
    return "constant" if doublings <= CONSTANT_UP_TO else "pyramid"


@network
class SNGANGenerator(ResidualGenerator):
    """z [B, Z], labels [B] or None -> images [B, C, S, S] in [-1, 1], S being 4 to 7 times a power of 2.

    layout: `auto` is constant width up to 32 pixels (56 with a base of 7) and a pyramid above. width: channels at the
    full size; None is the paper's.
    """

    layout: Literal["auto", "constant", "pyramid"] = "auto"
    width: int | None = None
    max_width: int = 1024

    def __post_init__(self) -> None:
        super().__post_init__()
        base, doublings = base_and_doublings(self.image_size, "sngan")
        layout = _layout(self.layout, doublings)
        width = GENERATOR_WIDTH[layout] if self.width is None else self.width
        self.make_layers(base, generator_widths(layout, width, doublings, self.max_width), Start(self.spectral_norm))


@network
class SNGANBackbone(ResidualBackbone):
    """images [B, C, S, S] -> features [B, channels]; blocks: its residual blocks after the following ReLU.

    In the constant layout the last two blocks keep the size (8x8 at 32 pixels); in the pyramid every block halves it.
    width: channels of the first block; None is the paper's. Normalisation (for penalties, as WGAN-GP's ResNet has it)
    stands before each ReLU but those that see the image.
    """

    layout: Literal["auto", "constant", "pyramid"] = "auto"
    width: int | None = None
    max_width: int = 1024

    def __post_init__(self) -> None:
        super().__post_init__()
        _, doublings = base_and_doublings(self.image_size, "sngan")
        layout = _layout(self.layout, doublings)
        widths = backbone_widths(
            layout, BACKBONE_WIDTH[layout] if self.width is None else self.width, doublings, self.max_width
        )
        halvings = max(1, doublings - 1) if layout == "constant" else doublings + 1
        self.make_layers(widths, halvings, Start(self.spectral_norm))


@network
class CNNGenerator(ImageGenerator):
    """z -> linear -> stride-2 4x4 transposed convolutions with norm and ReLU, from 8 `width` to `width` channels at 32
    pixels -> 3x3 convolution, tanh. Every layer has a bias; the linear one has neither norm nor ReLU after it.
    """

    width: int = 64
    max_width: int = 1024
    spectral_norm: SpectralNormKind = "none"
    initialisation: Initialisation = "normal"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("sngan_cnn", width=self.width, max_width=self.max_width, image_channels=self.image_channels)
        self.base, doublings = base_and_doublings(self.image_size, "sngan_cnn")
        widths = generator_widths("pyramid", self.width, doublings, self.max_width)
        self.linear = started(self, nn.Linear(self.input_size, widths[0] * self.base**2))
        self.convs = nn.ModuleList(
            started(self, nn.ConvTranspose2d(a, b, 4, 2, padding=1)) for a, b in pairwise(widths)
        )
        self.norms = nn.ModuleList(self.conditional_norm(channels) for channels in widths[1:])
        self.to_image = started(self, nn.Conv2d(widths[-1], self.image_channels, 3, padding=1))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        h = self.linear(self.conditioned(z, labels)).unflatten(1, (-1, self.base, self.base))
        for conv, norm in zip(self.convs, self.norms, strict=True):
            h = F.relu_(normalised(norm, conv(h), labels))
        return torch.tanh(self.to_image(h))


@network
class CNNBackbone(ImageBackbone):
    """images -> per halving a 3x3 and a stride-2 4x4 convolution -> a last 3x3, each with norm and LeakyReLU.

    Channels double from `width` at the full size: 64, 128, 256 and 512 at 4x4 for 32 pixels. features [B, channels]: the
    last activations flattened, or summed over their pixels with `pooling: sum`. blocks: the output of each resolution
    and of the last convolution (four at 32 pixels).
    """

    width: int = 64
    max_width: int = 1024
    normalisation: Normalisation = "none"
    spectral_norm: SpectralNormKind = "exact"
    pooling: Literal["flatten", "sum"] = "flatten"
    """`flatten` the last activations into features, or `sum` them over pixels."""
    initialisation: Initialisation = "normal"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("sngan_cnn", width=self.width, max_width=self.max_width, image_channels=self.image_channels)
        base, doublings = base_and_doublings(self.image_size, "sngan_cnn")
        self.couples_batch = self.normalisation == "batch"
        widths = backbone_widths("pyramid", self.width, doublings, self.max_width)
        self.channels = widths[-1] * (base**2 if self.pooling == "flatten" else 1)
        convs: list[nn.Module] = []
        for inputs, outputs in pairwise([self.image_channels, *widths]):
            convs.append(nn.Conv2d(inputs, outputs, 3, padding=1))
            if len(convs) < 2 * doublings:
                convs.append(nn.Conv2d(outputs, outputs, 4, 2, padding=1))
        self.convs = nn.ModuleList(started(self, conv) for conv in convs)
        self.norms = nn.ModuleList(norm_layer(self.normalisation, int(conv.out_channels)) for conv in convs)  # type: ignore[arg-type]

    def make_head(self, name: str, outputs: int) -> nn.Module:
        """A linear layer with a bias, started as the convolutions are."""
        return started(self, nn.Linear(self.channels, outputs))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        h, blocks, last = images, [], len(self.convs) - 1
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            h = F.leaky_relu_(norm(conv(h)), LEAK)
            if i % 2 == 1 or i == last:
                blocks.append(h)
        return (h.flatten(1) if self.pooling == "flatten" else h.sum((2, 3))), blocks
