"""Multilayer perceptrons for data on a line or in a plane, [B, 1] or [B, 2]."""

from __future__ import annotations

from dataclasses import field
from itertools import pairwise
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from sparring.networks.layers import ConditionalGenerator, Normalisation, Statistics, check_positive, network
from sparring.networks.spectral import SpectralNormKind, spectral_norm

LEAK = 0.2


def _layers(sizes: list[int], kind: SpectralNormKind) -> nn.ModuleList:
    """Linear layers with torch's own initialisation."""
    return nn.ModuleList(spectral_norm(nn.Linear(a, b), kind) for a, b in pairwise(sizes))


@network
class ToyGenerator(ConditionalGenerator):
    """z [B, Z], labels [B] or None -> points [B, dimensions], unbounded. `depth` hidden layers of `width`, ReLU."""

    dimensions: int
    width: int = 128
    """Units of each hidden layer."""
    depth: int = 3
    """Number of hidden layers."""
    spectral_norm: SpectralNormKind = "none"
    conditioning: Literal["none", "concat"] = "none"
    normalisation: Normalisation = field(init=False, default="none")
    sampling_statistics: Statistics = field(init=False, default="running")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("toy", dimensions=self.dimensions, width=self.width, depth=self.depth)
        self.hidden = _layers([self.input_size] + [self.width] * self.depth, self.spectral_norm)
        self.to_point = spectral_norm(nn.Linear(self.width, self.dimensions), self.spectral_norm)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        h = self.conditioned(z, labels)
        for layer in self.hidden:
            h = F.relu_(layer(h))
        return self.to_point(h)


@network
class ToyBackbone(nn.Module):
    """points [B, dimensions] -> features [B, width]; blocks: each hidden layer after its LeakyReLU, [B, width]."""

    dimensions: int
    num_classes: int = 0
    width: int = 128
    """Units of each hidden layer."""
    depth: int = 3
    """Number of hidden layers."""
    spectral_norm: SpectralNormKind = "none"

    couples_batch = False
    uses_labels = False

    def __post_init__(self) -> None:
        super().__init__()
        check_positive("toy", dimensions=self.dimensions, width=self.width, depth=self.depth)
        self.channels = self.width
        self.hidden = _layers([self.dimensions] + [self.width] * self.depth, self.spectral_norm)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        blocks, h = [], images
        for layer in self.hidden:
            h = F.leaky_relu_(layer(h), LEAK)
            blocks.append(h)
        return h, blocks
