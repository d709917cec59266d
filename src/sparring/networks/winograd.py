"""3x3 convolutions by Winograd's minimal filtering F(4x4, 3x3): 36 multiplications where the plain sum takes 144.

    y = A^T [ (G w G^T) * (B^T x B) ] A        of each 6x6 window x, 4x4 outputs y, and kernel w

Winograd 1980; Lavin and Gray 2016 (arXiv 1509.09308), section 4.3, have the matrices, of the points 0, +-1, +-2, infinity.
The sums over channels are 36 matrix products. Windows are taken from a few images at a time, so that intermediate
results stay in the cache. The input's gradient is the same convolution with the kernel rotated; the kernel's gradient is

    G^T [ sum over windows of (B^T x B) * (A dy A^T) ] G

Results equal the plain sum to rounding, which in float32 is about 1e-5 of the largest output, ten times that of the plain
sum. It is for CPUs: on other devices, under autocast and for narrow layers (`kernels.py`) the plain convolution runs.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from sparring.networks.kernels import current

B_T = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
G = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
A_T = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))

WINDOWS_AT_ONCE = 256


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution of stride 1 that keeps the size: [B, I, H, W] -> [B, O, H, W]."""

    def __init__(self, inputs: int, outputs: int, *, fused: bool = True):
        super().__init__(inputs, outputs, 3, padding=1)
        self.fused = fused

    def forward(self, x: Tensor) -> Tensor:
        if not (self.fused and _pays(x, self.weight)):
            return super().forward(x)
        y = _Convolution.apply(x, self.weight)
        return y if self.bias is None else y.add_(self.bias.view(-1, 1, 1))


def _pays(x: Tensor, weight: Tensor) -> bool:
    """Whether these tensors can take this way and gain from it, whatever the number of images."""
    least = current().winograd
    if least is None:
        return False
    shortest_side, fewest_channels = least
    fits = x.shape[2] % 4 == 0 and x.shape[3] % 4 == 0 and min(x.shape[2:]) >= shortest_side
    plain = x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    same = x.dtype == weight.dtype and x.dtype in (torch.float32, torch.float64)
    return fits and plain and same and min(weight.shape[:2]) >= fewest_channels


@cache
def _matrices(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """B^T [36, 36], G [36, 9] and A^T [16, 36], each of both axes at once."""
    axes = (torch.tensor(rows, dtype=torch.float64) for rows in (B_T, G, A_T))
    b, g, a = (torch.kron(axis, axis).to(dtype) for axis in axes)
    return b, g, a


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _convolve(x, weight)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        of_x, of_weight = ctx.needs_input_grad
        if torch.is_grad_enabled():  # to be differentiated once more
            mask = [of_x, of_weight, False]
            one, no = [1, 1], [0, 0]
            dx, dw, _ = torch.ops.aten.convolution_backward(dy, x, weight, None, one, one, one, False, no, 1, mask)
            return dx, dw
        dx = _convolve(dy, weight.transpose(0, 1).flip(2, 3)) if of_x else None
        return dx, _kernels_gradient(x, dy) if of_weight else None


def _convolve(x: Tensor, weight: Tensor) -> Tensor:
    """[B, I, H, W] and [O, I, 3, 3] -> [B, O, H, W], channels-last in memory."""
    (batch, inputs, height, width), outputs = x.shape, len(weight)
    _, g, a_t = _matrices(x.dtype)
    kernels = (g @ weight.permute(2, 3, 1, 0).reshape(9, -1)).view(36, inputs, outputs)
    y = torch.empty((batch, outputs, height, width), dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    step = _images_at_once(x)
    for some, made in zip(_padded(x).split(step), y.split(step), strict=True):
        sums = torch.bmm(_windows(some), kernels).view(36, -1)
        _in_blocks(made).copy_((a_t @ sums).view(_in_blocks(made).shape))
    return y


def _kernels_gradient(x: Tensor, dy: Tensor) -> Tensor:
    """The gradient [O, I, 3, 3] of the kernels, of inputs [B, I, H, W] and outputs' gradients [B, O, H, W]."""
    inputs, outputs = x.shape[1], dy.shape[1]
    _, g, a_t = _matrices(x.dtype)
    found, step = x.new_zeros(36, inputs, outputs), _images_at_once(x)
    for some, away in zip(_padded(x).split(step), dy.split(step), strict=True):
        gradients = a_t.T @ _in_blocks(away).reshape(16, -1)
        found.baddbmm_(_windows(some).transpose(1, 2), gradients.view(36, -1, outputs))
    return (g.T @ found.view(36, -1)).view(3, 3, inputs, outputs).permute(3, 2, 0, 1)


def _images_at_once(x: Tensor) -> int:
    return max(1, WINDOWS_AT_ONCE // (x.shape[2] * x.shape[3] // 16))


def _padded(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, H + 2, W + 2, C], contiguous, zero around."""
    batch, channels, height, width = x.shape
    padded = x.new_zeros(batch, height + 2, width + 2, channels)
    padded[:, 1:-1, 1:-1] = x.permute(0, 2, 3, 1)
    return padded


def _windows(padded: Tensor) -> Tensor:
    """[b, H + 2, W + 2, C] -> B^T x B of all 6x6 windows four apart, [36, windows, C]."""
    images, height, width, channels = padded.shape
    image, row, column, _ = padded.stride()
    shape = (6, 6, images, height // 4, width // 4, channels)
    windows = padded.as_strided(shape, (row, column, image, 4 * row, 4 * column, 1), padded.storage_offset())
    return (_matrices(padded.dtype)[0] @ windows.reshape(36, -1)).view(36, -1, channels)


def _in_blocks(images: Tensor) -> Tensor:
    """A view of images [b, C, H, W]: [4, 4, b, H / 4, W / 4, C]."""
    rows = images.permute(0, 2, 3, 1).unflatten(2, (-1, 4)).unflatten(1, (-1, 4))  # b, H / 4, 4, W / 4, 4, C
    return rows.permute(2, 4, 0, 1, 3, 5)
