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

from sparring.networks.layers import ClassConditioning, Normalisation, Statistics, base_and_doublings
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


class ASGenerator(ResidualGenerator):
    """z [B, Z], labels [B] or None -> images [B, C, S, S] in [-1, 1], S being 4 to 7 times a power of 2.

    width: channels at the full size; None is the authors' for the layout.
    """

    def __init__(
        self,
        *,
        image_size: int,
        image_channels: int = 3,
        latent_size: int = 128,
        num_classes: int = 0,
        layout: Layout = "constant",
        width: int | None = None,
        max_width: int = 1024,
        upsampling: Upsampling = "bilinear",
        normalisation: Normalisation = "batch",
        spectral_norm: SpectralNormKind = "none",
        conditioning: ClassConditioning = "none",
        initialisation: Literal["xavier", "default"] = "xavier",
        sampling_statistics: Statistics = "running",
        fused: bool = True,
    ):
        base, doublings = base_and_doublings(image_size, "resnet_as")
        if width is None:
            width = CONSTANT_WIDTH if layout == "constant" else GENERATOR_PYRAMID_WIDTH
        xavier = initialisation == "xavier"
        super().__init__(
            base=base,
            widths=generator_widths(layout, width, doublings, max_width),
            image_channels=image_channels,
            start=Start(spectral_norm, convolutions=xavier, linear=xavier),
            upsampling=upsampling,
            latent_size=latent_size,
            num_classes=num_classes,
            conditioning=conditioning,
            normalisation=normalisation,
            sampling_statistics=sampling_statistics,
            last_kernel=1,
            fused=fused,
        )


class ASBackbone(ResidualBackbone):
    """images [B, C, S, S] -> features [B, channels]; blocks: its residual blocks after the following ReLU.

    Every block halves, the last to half the base (2x2 at 32 pixels). width: channels of the first block; None is the
    authors' for the layout.
    """

    def __init__(
        self,
        *,
        image_size: int,
        image_channels: int = 3,
        num_classes: int = 0,
        layout: Layout = "constant",
        width: int | None = None,
        max_width: int = 1024,
        normalisation: Normalisation = "none",
        spectral_norm: SpectralNormKind = "none",
        fused: bool = True,
    ):
        _, doublings = base_and_doublings(image_size, "resnet_as")
        if width is None:
            width = CONSTANT_WIDTH if layout == "constant" else BACKBONE_PYRAMID_WIDTH.get(doublings, 64)
        super().__init__(
            image_channels=image_channels,
            widths=backbone_widths(layout, width, doublings, max_width),
            halvings=doublings + 1,
            start=Start(spectral_norm),
            normalisation=normalisation,
            fused=fused,
        )
