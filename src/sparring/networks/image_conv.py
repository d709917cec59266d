"""A generator's last 3x3 convolution, from many channels to the few of an image."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from sparring.networks.kernels import current


class ImageConv(nn.Conv2d):
    """A convolution of stride 1 that keeps the size: [B, I, H, W] -> [B, O, H, W], for few outputs O.

    With `fused`, every tap is applied to every pixel in one matrix product, [B H W, I] times [I, 9 O] for 3x3, and the nine
    small results are added in place. It multiplies as often as a convolution, whose kernels are built for many outputs and
    waste most of their lanes on three. Values and gradients are equal to rounding; the layer holds the ordinary weight.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, *, fused: bool = True):
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)
        self.fused = fused and kernel > 1

    def forward(self, x: Tensor) -> Tensor:
        if not (self.fused and current().image_conv):
            return super().forward(x)
        height, width = x.shape[2:]
        inputs = x.shape[1]
        # y(p) adds up w(k) x(p + k - 1), and folding adds what is at q to q + k - 1: hence the rotated kernel
        taps = self.weight.flip(2, 3).permute(1, 0, 2, 3).reshape(inputs, -1)  # [I, O k k]
        by_tap = x.permute(0, 2, 3, 1).reshape(-1, height * width, inputs) @ taps
        y = F.fold(by_tap.transpose(1, 2), (height, width), self.kernel_size, padding=self.padding)  # type: ignore[arg-type]
        return y if self.bias is None else y + self.bias.view(-1, 1, 1)
