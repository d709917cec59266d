"""Multilayer perceptrons for data on a line or in a plane, [B, 1] or [B, 2]."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from sparring.networks.layers import ConditionalGenerator, check_positive
from sparring.networks.spectral import SpectralNormKind
from sparring.networks.spectral import spectral_norm as normalise_spectrally

LEAK = 0.2


def _layers(sizes: list[int], kind: SpectralNormKind) -> nn.ModuleList:
    """Linear layers as torch starts them."""
    return nn.ModuleList(normalise_spectrally(nn.Linear(a, b), kind) for a, b in pairwise(sizes))


class ToyGenerator(ConditionalGenerator):
    """z [B, Z], labels [B] or None -> points [B, dimensions], unbounded. `depth` hidden layers of `width`, ReLU."""

    def __init__(
        self,
        *,
        dimensions: int,
        latent_size: int = 128,
        num_classes: int = 0,
        width: int = 128,
        depth: int = 3,
        spectral_norm: SpectralNormKind = "none",
        conditioning: Literal["none", "concat"] = "none",
    ):
        super().__init__(
            latent_size=latent_size, num_classes=num_classes, conditioning=conditioning, normalisation="none"
        )
        check_positive("toy", dimensions=dimensions, width=width, depth=depth)
        self.hidden = _layers([self.input_size] + [width] * depth, spectral_norm)
        self.to_point = normalise_spectrally(nn.Linear(width, dimensions), spectral_norm)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        h = self.conditioned(z, labels)
        for layer in self.hidden:
            h = F.relu_(layer(h))
        return self.to_point(h)


class ToyBackbone(nn.Module):
    """points [B, dimensions] -> features [B, width]; blocks: each hidden layer after its LeakyReLU, [B, width]."""

    couples_batch = False
    uses_labels = False

    def __init__(
        self,
        *,
        dimensions: int,
        num_classes: int = 0,
        width: int = 128,
        depth: int = 3,
        spectral_norm: SpectralNormKind = "none",
    ):
        super().__init__()
        check_positive("toy", dimensions=dimensions, width=width, depth=depth)
        self.spectral_norm, self.channels = spectral_norm, width
        self.hidden = _layers([dimensions] + [width] * depth, spectral_norm)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        blocks, h = [], images
        for layer in self.hidden:
            h = F.leaky_relu_(layer(h), LEAK)
            blocks.append(h)
        return h, blocks
