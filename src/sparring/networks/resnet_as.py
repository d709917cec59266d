"""The ResNets of adversarial sampling (AS-GAN), layout and constants as in its authors' code.

Against SNGAN's: bilinear upsampling, a 1x1 last convolution in G, and a D of which every block halves. `constant` is 256
channels throughout (theirs `resnet32_same` and `resnet64_same`: with 100 latents 4,155,907 and 4,336,385 parameters at 32
pixels, 5,402,883 and 5,582,337 at 64); `pyramid` halves G's channels down to 64 and doubles D's from 96 at 32 pixels
(3,326,211 and 5,702,785) and from 64 at 64 (11,760,387 and 10,141,441).

Deviations: D has no batch norm, as in the code (the text says both nets have it: `normalisation: batch`). Both start
Xavier-uniform with zero biases, gain sqrt(2) in blocks and 1 elsewhere, as the text says; the code starts G as torch does
(`initialisation: default`).
"""

from __future__ import annotations

from typing import Literal

from sparring.networks.layers import base_and_doublings, network
from sparring.networks.resampling import Upsampling
from sparring.networks.residual import (
    Layout,
    ResidualBackbone,
    ResidualGenerator,
    Start,
    backbone_widths,
    generator_widths,
)
from sparring.networks.spectral import SpectralNormKind

CONSTANT_WIDTH = 256
GENERATOR_PYRAMID_WIDTH = 64
BACKBONE_PYRAMID_WIDTH = {3: 96}  # by doublings: 96 at 32 pixels, 64 elsewhere


@network
class ASGenerator(ResidualGenerator):
    """z [B, Z], labels [B] or None -> images [B, C, S, S] in [-1, 1], S being 4 to 7 times a power of 2.

    width: channels at the full size; None is the authors' for the layout.
    """

    layout: Layout = "constant"
    width: int | None = None
    max_width: int = 1024
    upsampling: Upsampling = "bilinear"
    initialisation: Literal["xavier", "default"] = "xavier"

    def __post_init__(self) -> None:
        super().__post_init__()
        base, doublings = base_and_doublings(self.image_size, "resnet_as")
        width = self.width
        if width is None:
            width = CONSTANT_WIDTH if self.layout == "constant" else GENERATOR_PYRAMID_WIDTH
        xavier = self.initialisation == "xavier"
        start = Start(self.spectral_norm, convolutions=xavier, linear=xavier)
        self.make_layers(base, generator_widths(self.layout, width, doublings, self.max_width), start, last_kernel=1)


@network
class ASBackbone(ResidualBackbone):
    """images [B, C, S, S] -> features [B, channels]; blocks: its residual blocks after the following ReLU.

    Every block halves, the last to half the base (2x2 at 32 pixels). width: channels of the first block; None is the
    authors' for the layout.
    """

    layout: Layout = "constant"
    width: int | None = None
    max_width: int = 1024
    spectral_norm: SpectralNormKind = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        _, doublings = base_and_doublings(self.image_size, "resnet_as")
        width = self.width
        if width is None:
            width = CONSTANT_WIDTH if self.layout == "constant" else BACKBONE_PYRAMID_WIDTH.get(doublings, 64)
        widths = backbone_widths(self.layout, width, doublings, self.max_width)
        self.make_layers(widths, doublings + 1, Start(self.spectral_norm))
