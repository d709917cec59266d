"""A textbook version of one of the library's networks: the same parameters and, to rounding, the same numbers.

What changes: convolutions are torch's own, apart from resampling, shortcuts' 1x1 convolutions run at the higher resolution,
blocks do nothing in place, memory is in torch's default order, and spectral norm is torch's parametrization, which takes one
power iteration at each training pass. Everything else of a network, such as attention, is unchanged.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm as torch_spectral_norm

from sparring.networks.autogan import Cell
from sparring.networks.layers import normalised
from sparring.networks.residual import DiscriminatorBlock, GeneratorBlock
from sparring.networks.spectral import SpectralNorm


def textbook_network(network: nn.Module) -> nn.Module:
    """A copy in textbook form, in training mode."""
    plain = copy.deepcopy(network)
    norms = {name: _strip_spectral_norm(layer) for name, layer in plain.named_modules() if _is_normalised(layer)}
    for module in list(plain.modules()):
        for name, child in list(module.named_children()):
            if type(child) in _PLAIN:
                setattr(module, name, _PLAIN[type(child)](child))
    for module in plain.modules():
        if hasattr(module, "fused"):
            module.fused = False  # type: ignore[assignment]
    for path, norm in norms.items():
        _normalise(plain.get_submodule(path), norm)
    return plain.to(memory_format=torch.contiguous_format).train()


class _PlainGeneratorBlock(nn.Module):
    def __init__(self, block: GeneratorBlock):
        super().__init__()
        self.upsampling = block.upsampling
        self.norm1, self.norm2, self.conv2, self.shortcut = block.norm1, block.norm2, block.conv2, block.shortcut
        self.conv1 = _plain_conv(block.conv1)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        h = F.relu(normalised(self.norm1, x, labels))
        h = self.conv1(F.interpolate(h, scale_factor=2, mode=self.upsampling))
        h = self.conv2(F.relu(normalised(self.norm2, h, labels)))
        return h + self.shortcut(F.interpolate(x, scale_factor=2, mode=self.upsampling))


class _PlainDiscriminatorBlock(nn.Module):
    """`active`, the ReLU of x, comes from outside, as in the library's block: the backbone computes it in both."""

    def __init__(self, block: DiscriminatorBlock):
        super().__init__()
        self.halve = block.halve
        self.norm1, self.norm2, self.conv1, self.shortcut = block.norm1, block.norm2, block.conv1, block.shortcut
        self.conv2 = _plain_conv(block.conv2)

    def forward(self, x: Tensor, active: Tensor) -> Tensor:
        h = active if isinstance(self.norm1, nn.Identity) else F.relu(self.norm1(x))
        h = self.conv2(F.relu(self.norm2(self.conv1(h))))
        shortcut = self.shortcut(x)
        if self.halve:
            h, shortcut = F.avg_pool2d(h, 2), F.avg_pool2d(shortcut, 2)
        return h + shortcut


class _PlainCell(nn.Module):
    def __init__(self, cell: Cell):
        super().__init__()
        self.upsampling = cell.upsampling
        self.norm1, self.norm2, self.conv2 = cell.norm1, cell.norm2, cell.conv2
        self.skips, self.shortcut = cell.skips, cell.shortcut
        self.conv1 = _plain_conv(cell.conv1)

    def forward(self, x: Tensor, skips: list[Tensor]) -> tuple[Tensor, Tensor]:
        up = F.interpolate(F.relu(self.norm1(x)), scale_factor=2, mode=self.upsampling)
        h = self.conv1(up)
        for conv, skip in zip(self.skips, skips, strict=True):
            h = h + conv(F.interpolate(skip, size=h.shape[2:], mode=self.upsampling))
        y = self.conv2(F.relu(self.norm2(h)))
        if self.shortcut is not None:
            y = y + self.shortcut(F.interpolate(x, scale_factor=2, mode=self.upsampling))
        return h, y


_PLAIN = {
    GeneratorBlock: _PlainGeneratorBlock,
    DiscriminatorBlock: _PlainDiscriminatorBlock,
    Cell: _PlainCell,
}


def _plain_conv(layer: nn.Module) -> nn.Conv2d:
    """An ordinary 3x3 convolution with the layer's own parameters."""
    assert isinstance(layer, nn.Conv2d)
    conv = nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1, device="meta")
    conv.weight, conv.bias = layer.weight, layer.bias
    return conv


def _is_normalised(layer: nn.Module) -> bool:
    return parametrize.is_parametrized(layer, "weight") and isinstance(_norm_of(layer), SpectralNorm)


def _norm_of(layer: nn.Module) -> nn.Module:
    return cast(nn.ModuleDict, layer.parametrizations)["weight"][0]  # type: ignore[index]


def _strip_spectral_norm(layer: nn.Module) -> SpectralNorm:
    """Remove the library's normalisation from a copied layer, leaving the raw weight; returns it.

    Not by torch's `remove_parametrizations`: it changes the layer's class, which the copy shares with the original.
    """
    norm, raw = cast(SpectralNorm, _norm_of(layer)), cast(nn.Parameter, layer.parametrizations.weight.original)  # type: ignore[union-attr]
    del layer.parametrizations
    layer.__class__ = type(layer).__bases__[0]
    layer.register_parameter("weight", raw)
    return norm


class _ClampedSpectralNorm(nn.Module):
    """W / max(1, sigma) with one power iteration at each training pass, which torch does not have."""

    def __init__(self, norm: SpectralNorm):
        super().__init__()
        self.axis = norm.output_axis
        self.register_buffer("_u", norm.u.clone())
        self.register_buffer("_v", norm.v.clone())
        self._u: Tensor
        self._v: Tensor

    def forward(self, weight: Tensor) -> Tensor:
        matrix = weight.transpose(0, self.axis).flatten(1) if self.axis else weight.flatten(1)
        if self.training:
            with torch.no_grad():
                self._u = F.normalize(torch.mv(matrix, self._v), dim=0)
                self._v = F.normalize(torch.mv(matrix.t(), self._u), dim=0)
        sigma = torch.vdot(self._u.clone(), torch.mv(matrix, self._v.clone()))
        return weight / sigma.clamp_min(1)


def _normalise(layer: nn.Module, norm: SpectralNorm) -> None:
    """Torch's spectral norm with the vectors that the library's had."""
    if norm.clamp:
        parametrize.register_parametrization(layer, "weight", _ClampedSpectralNorm(norm), unsafe=True)
        return
    torch_spectral_norm(layer)
    theirs = _norm_of(layer)
    with torch.no_grad():
        cast(Tensor, theirs._u).copy_(norm.u)
        cast(Tensor, theirs._v).copy_(norm.v)
