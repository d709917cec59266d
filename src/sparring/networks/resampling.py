"""3x3 convolutions beside a doubling or a halving of the image, each as one stride-2 convolution with a 4x4 kernel.

    nearest doubling, then 3x3         =  one transposed 4x4 convolution of stride 2
    3x3, then the average of each 2x2  =  one 4x4 convolution of stride 2

Doubling copies each pixel, so several of the nine taps w0 w1 w2 (one row of them) meet the same pixel and can be added
beforehand; averaging adds two neighbouring outputs, whose taps overlap. Per axis the four taps of the larger kernel are

    doubling   w2,  w1 + w2,  w0 + w1,  w0
    halving    w0 / 2,  (w0 + w1) / 2,  (w1 + w2) / 2,  w2 / 2

and in the plane they are the products of both axes: one constant 16x9 matrix times the nine taps of every pair of channels.
That takes 16 multiplications where the plain order takes 36, on an output (doubling) or an input (halving) of the same size.
Values and gradients are those of the plain order to rounding. A layer holds the ordinary weight [O, I, 3, 3], which is what
initialisation, spectral norm, optimisers and checkpoints see; it is folded at each forward pass.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.networks.kernels import current

Upsampling = Literal["nearest", "bilinear"]

DOUBLING = ((0.0, 0.0, 1.0), (0.0, 1.0, 1.0), (1.0, 1.0, 0.0), (1.0, 0.0, 0.0))
HALVING = ((0.5, 0.0, 0.0), (0.5, 0.5, 0.0), (0.0, 0.5, 0.5), (0.0, 0.0, 0.5))


def doubled(x: Tensor, mode: Upsampling) -> Tensor:
    """[B, C, H, W] -> [B, C, 2H, 2W]."""
    return F.interpolate(x, scale_factor=2, mode=mode)


def _in_the_plane(axis: tuple[tuple[float, ...], ...]) -> Tensor:
    """The matrix [16, 9] that folds nine taps, from that [4, 3] of one axis."""
    matrix = torch.tensor(axis)
    return torch.kron(matrix, matrix)


def folded(taps: Tensor, matrix: Tensor) -> Tensor:
    """Weights [A, B, 3, 3] -> [A, B, 4, 4], channels-last in memory; `matrix` is [16, 9].

    One batched product with the same matrix, in the order that channels-last weights have: nothing is moved but for others.
    """
    outer, inner = taps.shape[:2]
    by_tap = taps.permute(0, 2, 3, 1).reshape(outer, 9, inner)
    larger = torch.bmm(matrix.expand(outer, 16, 9), by_tap.contiguous())
    return larger.view(outer, 4, 4, inner).permute(0, 3, 1, 2)


class UpConv(nn.Conv2d):
    """Doubling, then a 3x3 convolution: [B, I, H, W] -> [B, O, 2H, 2W]. Only nearest doubling can be fused."""

    fold: Tensor

    def __init__(self, inputs: int, outputs: int, *, mode: Upsampling = "nearest", fused: bool = True):
        super().__init__(inputs, outputs, 3, padding=1)
        self.mode: Upsampling = mode
        self.fused = fused and mode == "nearest"
        self.register_buffer("fold", _in_the_plane(DOUBLING), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if not (self.fused and current().resampling):
            return super().forward(doubled(x, self.mode))
        weight = folded(self.weight.transpose(0, 1), self.fold)
        y = F.conv_transpose2d(x, weight, stride=2, padding=1)
        # on its own: in the backward pass of a transposed convolution, torch's CPU kernels take ten times a sum for the bias
        return y if self.bias is None else y.add_(self.bias.view(-1, 1, 1))


class ConvPool(nn.Conv2d):
    """A 3x3 convolution, then the average of each 2x2: [B, I, H, W] -> [B, O, H // 2, W // 2]."""

    fold: Tensor

    def __init__(self, inputs: int, outputs: int, *, fused: bool = True):
        super().__init__(inputs, outputs, 3, padding=1)
        self.fused = fused
        self.register_buffer("fold", _in_the_plane(HALVING), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if not (self.fused and current().resampling):
            return F.avg_pool2d(super().forward(x), 2)
        return F.conv2d(x, folded(self.weight, self.fold), self.bias, stride=2, padding=1)
