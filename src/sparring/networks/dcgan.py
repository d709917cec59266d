"""DCGAN (Radford et al., Unsupervised Representation Learning with Deep Convolutional GANs, 2016).

At 32 and 64 pixels, width 128 and 100 latents these are the networks of adversarial sampling's authors, 3,448,576 and
2,637,312 parameters at 32, 12,658,432 and 11,036,160 at 64; at 128 theirs have width 64. All kernels are 4x4:

    generator      z [Z] -> 4x4 -> doubled by stride-2 transposed convolutions -> [C, S, S], tanh
    discriminator  [C, S, S] -> halved by stride-2 convolutions -> 4x4, one bias-free 4x4 convolution as its head

The stage of S/2 pixels, the first of the discriminator and the last but one of the generator, has `width` channels, and
each halving of the size doubles them, up to `max_width`: 512, 256, 128 at 4, 8 and 16 pixels for S = 32. Sizes with
another base (48 = 6 * 8) have 6x6 instead of 4x4, at the latent end only.

Deviations: a stage without normalisation has a bias instead (the authors always normalise), except those that have
neither in the paper: the discriminator's first, the generator's last and the heads.
"""

from __future__ import annotations

import itertools
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.errors import SparringError
from sparring.networks.layers import (
    ConditionalBatchNorm2d,
    ImageBackbone,
    ImageGenerator,
    Normalisation,
    base_and_doublings,
    check_positive,
    network,
    norm_layer,
    normalised,
)
from sparring.networks.spectral import SpectralNormKind, spectral_norm

Initialisation = Literal["normal", "default"]
WEIGHT_STD = 0.02  # section 4 of the paper
LEAK = 0.2  # section 4 of the paper


def stage_widths(width: int, doublings: int, max_width: int) -> list[int]:
    """Channels of the stages from S/2 pixels down to the base: doubled at each halving."""
    return [min(width << stage, max_width) for stage in range(doublings)]


def initialise(module: nn.Module, initialisation: Initialisation) -> nn.Module:
    """Start one layer, in place: `normal` is N(0, 0.02) weights, N(1, 0.02) scales of batch norm and zero shifts (the
    common implementation of the paper's section 4); `default` leaves torch's own. Returns the layer."""
    if any(weight.is_meta for weight in module.parameters()):
        return module  # without memory; torch would import its compiler for `normal_`, seconds of each process
    if initialisation == "normal":
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0, WEIGHT_STD)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, WEIGHT_STD)
        elif isinstance(module, ConditionalBatchNorm2d):
            nn.init.normal_(module.gamma.weight, 1, WEIGHT_STD)
    return module


class Started(Protocol):
    initialisation: Initialisation
    spectral_norm: SpectralNormKind


def started(network: Started, layer: nn.Module) -> nn.Module:
    """A layer, initialised and then spectrally normalised as the network's options say; in place, returns the layer."""
    return spectral_norm(initialise(layer, network.initialisation), network.spectral_norm)


@network
class DCGANGenerator(ImageGenerator):
    """z [B, Z], labels [B] or None -> images [B, C, S, S] in [-1, 1].

    width: channels at S/2 pixels. normalisation and spectral_norm are independent of each other. conditioning and
    sampling_statistics: see `ConditionalGenerator`. Raises SparringError for a size that is not 4 to 7 times a power of 2.
    """

    width: int = 128
    max_width: int = 1024
    spectral_norm: SpectralNormKind = "none"
    initialisation: Initialisation = "normal"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("dcgan", width=self.width, max_width=self.max_width, image_channels=self.image_channels)
        base, doublings = base_and_doublings(self.image_size, "dcgan")
        widths = stage_widths(self.width, doublings, self.max_width)[::-1]

        def up(inputs: int, outputs: int, kernel: int, stride: int, bias: bool) -> nn.Module:
            return started(self, nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding=stride - 1, bias=bias))

        unnormalised = self.normalisation == "none"
        self.convs = nn.ModuleList([up(self.input_size, widths[0], base, 1, unnormalised)])
        self.convs += [up(a, b, 4, 2, unnormalised) for a, b in itertools.pairwise(widths)]
        norms = [initialise(self.conditional_norm(channels), self.initialisation) for channels in widths]
        self.norms = nn.ModuleList(norms)
        self.to_image = up(widths[-1], self.image_channels, 4, 2, False)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        h = self.conditioned(z, labels)[:, :, None, None]
        for conv, norm in zip(self.convs, self.norms, strict=True):
            h = F.relu_(normalised(norm, conv(h), labels))
        return torch.tanh(self.to_image(h))


@network
class DCGANBackbone(ImageBackbone):
    """images [B, C, S, S] -> features [B, channels], the flattened 4x4 stage; blocks: the stages after their LeakyReLU.

    conditioning: `concat` adds a learned plane of the class to the image as one more channel (Mirza and Osindero,
    Conditional Generative Adversarial Nets, 2014); a sample whose label is negative or unknown gets a plane of zeros.
    Raises SparringError for a size that is not 4 to 7 times a power of 2.
    """

    width: int = 128
    max_width: int = 1024
    normalisation: Normalisation = "batch"
    spectral_norm: SpectralNormKind = "none"
    conditioning: Literal["none", "concat"] = "none"
    initialisation: Initialisation = "normal"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("dcgan", width=self.width, max_width=self.max_width, image_channels=self.image_channels)
        base, doublings = base_and_doublings(self.image_size, "dcgan")
        widths = stage_widths(self.width, doublings, self.max_width)
        self.couples_batch = self.normalisation == "batch" and doublings > 1  # the first stage has no normalisation
        self.uses_labels = self.conditioning == "concat"
        self.class_plane: nn.Embedding | None = None
        if self.uses_labels:
            if not self.num_classes:
                raise SparringError("backbone conditioning=concat needs class labels, and the data have none")
            self.class_plane = nn.Embedding(self.num_classes, self.image_size**2)  # N(0, 1), the scale of the pixels

        def down(inputs: int, outputs: int, bias: bool) -> nn.Module:
            return started(self, nn.Conv2d(inputs, outputs, 4, 2, padding=1, bias=bias))

        self.convs = nn.ModuleList([down(self.image_channels + self.uses_labels, widths[0], False)])
        self.convs += [down(a, b, self.normalisation == "none") for a, b in itertools.pairwise(widths)]
        norms = [initialise(norm_layer(self.normalisation, channels), self.initialisation) for channels in widths[1:]]
        self.norms = nn.ModuleList([nn.Identity(), *norms])
        self.channels = widths[-1] * base**2

    def make_head(self, name: str, outputs: int) -> nn.Module:
        """A bias-free convolution over the whole last stage, that is a bias-free linear layer on its flattened values."""
        return started(self, nn.Linear(self.channels, outputs, bias=False))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        h = images if self.class_plane is None else torch.cat([images, self._plane(images, labels)], 1)
        blocks = []
        for conv, norm in zip(self.convs, self.norms, strict=True):
            h = F.leaky_relu_(norm(conv(h)), LEAK)
            blocks.append(h)
        return h.flatten(1), blocks

    def _plane(self, images: Tensor, labels: Tensor | None) -> Tensor:
        assert self.class_plane is not None
        if labels is None:
            return torch.zeros_like(images[:, :1])
        known = (labels >= 0).to(images.dtype)[:, None]
        plane = self.class_plane(labels.clamp_min(0)) * known
        return plane.view(-1, 1, self.image_size, self.image_size)
