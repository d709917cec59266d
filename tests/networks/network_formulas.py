"""Formulas written out, for networks to be held against. All in float64, with no module of the library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def batch_norm(x: Tensor, gamma: Tensor | float = 1.0, beta: Tensor | float = 0.0, eps: float = 1e-5) -> Tensor:
    """Per channel over the batch and the pixels; gamma and beta are [C], or [B, C] where they belong to the class."""
    axes = (0, *range(2, x.ndim))
    mean = x.mean(axes, keepdim=True)
    variance = ((x - mean) ** 2).mean(axes, keepdim=True)
    return _channels(gamma, x) * (x - mean) / (variance + eps) ** 0.5 + _channels(beta, x)


def layer_norm(x: Tensor, gamma: Tensor | float = 1.0, beta: Tensor | float = 0.0, eps: float = 1e-5) -> Tensor:
    """Per sample over channels and pixels, scale and shift per channel."""
    rows = []
    for sample in x:
        variance = ((sample - sample.mean()) ** 2).mean()
        rows.append((sample - sample.mean()) / (variance + eps) ** 0.5)
    return _channels(gamma, x) * torch.stack(rows) + _channels(beta, x)


def running_norm(x: Tensor, mean: Tensor, variance: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
    return _channels(gamma, x) * (x - _channels(mean, x)) / (_channels(variance, x) + eps) ** 0.5 + _channels(beta, x)


def _channels(value: Tensor | float, x: Tensor) -> Tensor | float:
    if not isinstance(value, Tensor) or value.ndim == 0:
        return value
    rows = value if value.ndim == 2 else value[None]
    return rows.reshape(*rows.shape, *[1] * (x.ndim - 2))


def conv(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0) -> Tensor:
    """A convolution as a matrix product of patches."""
    outputs, _, kernel, _ = weight.shape
    size = (x.shape[-1] + 2 * padding - kernel) // stride + 1
    patches = F.unfold(x, kernel, padding=padding, stride=stride)
    y = (weight.flatten(1) @ patches).view(len(x), outputs, size, size)
    return y if bias is None else y + bias[None, :, None, None]


def transposed_conv(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0) -> Tensor:
    """Each input pixel spreads its kernel [I, O, k, k] over the output, `stride` apart; `padding` is cut off each border."""
    batch, _, height, width = x.shape
    outputs, kernel = weight.shape[1], weight.shape[-1]
    y = x.new_zeros(batch, outputs, (height - 1) * stride + kernel, (width - 1) * stride + kernel)
    for row in range(height):
        for column in range(width):
            spread = torch.einsum("bi,iokl->bokl", x[:, :, row, column], weight)
            top, left = row * stride, column * stride
            y[:, :, top : top + kernel, left : left + kernel] += spread
    y = y[:, :, padding : y.shape[2] - padding, padding : y.shape[3] - padding]
    return y if bias is None else y + bias[None, :, None, None]


def leaky(x: Tensor, slope: float) -> Tensor:
    return torch.where(x > 0, x, slope * x)


def relu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, torch.zeros_like(x))


def nearest(x: Tensor) -> Tensor:
    """Each pixel four times."""
    y = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    for down in (0, 1):
        for right in (0, 1):
            y[:, :, down::2, right::2] = x
    return y


def bilinear(x: Tensor) -> Tensor:
    """Doubling with output pixel i between inputs (i - 1/2) / 2 rounded down and up, borders repeated."""
    return _bilinear_rows(_bilinear_rows(x).transpose(2, 3)).transpose(2, 3)


def _bilinear_rows(x: Tensor) -> Tensor:
    rows = x.shape[2]
    out = []
    for i in range(2 * rows):
        low = (i - 1) // 2
        share = 0.25 if i % 2 else 0.75
        above, below = max(low, 0), min(low + 1, rows - 1)
        out.append((1 - share) * x[:, :, above] + share * x[:, :, below])
    return torch.stack(out, 2)


def average_pool(x: Tensor) -> Tensor:
    return (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4


def max_pool(x: Tensor) -> Tensor:
    return torch.stack([x[:, :, ::2, ::2], x[:, :, 1::2, ::2], x[:, :, ::2, 1::2], x[:, :, 1::2, 1::2]]).amax(0)


def scrambled(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """The network in float64 with every parameter and running statistic random, so that none hides at 0 or 1."""
    network = network.double()
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=source, dtype=torch.float64))
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=source, dtype=torch.float64))
            if name.endswith("running_var"):
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=source, dtype=torch.float64))
    return network


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def parameter_count(*modules: torch.nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


Norm = Callable[[Any, Tensor, Tensor | None], Tensor]
UPSAMPLING = {"nearest": nearest, "bilinear": bilinear}


def plain(layer: Any, x: Tensor, labels: Tensor | None) -> Tensor:
    return x


def conv3(layer: Any, x: Tensor) -> Tensor:
    return conv(x, layer.weight, layer.bias, padding=1)


def conv1(layer: Any, x: Tensor) -> Tensor:
    return conv(x, layer.weight, layer.bias)


def generator_block(block: Any, x: Tensor, labels: Tensor | None, mode: str, norm: Norm) -> Tensor:
    """norm, ReLU, doubling, 3x3, norm, ReLU, 3x3, and the shortcut's 1x1 after its doubling."""
    h = conv3(block.conv1, UPSAMPLING[mode](relu(norm(block.norm1, x, labels))))
    h = conv3(block.conv2, relu(norm(block.norm2, h, labels)))
    return h + conv1(block.shortcut, UPSAMPLING[mode](x))


def discriminator_block(block: Any, x: Tensor, *, first: bool, halve: bool, norm: Norm = plain) -> Tensor:
    """norm, ReLU (neither in the first block), 3x3, norm, ReLU, 3x3, halving, and the shortcut's 1x1 before its halving."""
    h = x if first else relu(norm(block.norm1, x, None))
    h = conv3(block.conv2, relu(norm(block.norm2, conv3(block.conv1, h), None)))
    if halve:
        return average_pool(h) + average_pool(conv1(block.shortcut, x))
    return h + (x if isinstance(block.shortcut, torch.nn.Identity) else conv1(block.shortcut, x))


def batch(layer: Any, x: Tensor, labels: Tensor | None) -> Tensor:
    return batch_norm(x, layer.weight, layer.bias)


def conditional(layer: Any, x: Tensor, labels: Tensor | None) -> Tensor:
    return batch_norm(x, layer.gamma.weight[labels], layer.beta.weight[labels])


def layer_wise(layer: Any, x: Tensor, labels: Tensor | None) -> Tensor:
    return layer_norm(x, layer.weight, layer.bias)


def assert_same(ours: Tensor, theirs: Tensor, inputs: list[Tensor], module: torch.nn.Module) -> None:
    """Equal values, and equal gradients of a random projection of them at the inputs and parameters."""
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-11)
    aim = random(*ours.shape, seed=9)
    parameters = [*inputs, *module.parameters()]
    for a, b in zip(
        torch.autograd.grad((ours * aim).sum(), parameters),
        torch.autograd.grad((theirs * aim).sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)
