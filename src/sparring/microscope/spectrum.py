"""Singular values of a discriminator's weights, after spectral normalisation if there is any.

A steep spectrum of the projection's class embedding means that the classes lie in a few directions. In MHGAN (section
3.2) it changed from a sigmoid shape to an exponential one while the samples lost their diversity.

    effective rank   exp(entropy of s / sum s), the number of equal singular values with this entropy (Roy and Vetterli 2007)
    stable rank      sum s^2 / max s^2
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sparring.networks.discriminator import Discriminator
from sparring.networks.frozen import modes_kept
from sparring.networks.spectral import SpectralNorm

EMBEDDING = "embedding"


def matrices(network: nn.Module) -> Iterator[tuple[str, Tensor, bool]]:
    """The name of each weight, its matrix [outputs, everything else], and whether it is spectrally normalised."""
    for name, module in network.named_modules():
        if isinstance(module, SpectralNorm | parametrize.ParametrizationList):
            continue
        weight = getattr(module, "weight", None)
        if not isinstance(weight, Tensor) or weight.ndim < 2:
            continue
        norm = None
        if parametrize.is_parametrized(module, "weight"):
            parts = module.parametrizations["weight"]  # type: ignore[index]
            norm = next((part for part in parts if isinstance(part, SpectralNorm)), None)
            if norm is not None:
                raw = parts.original
                yield name, norm.matrix(raw.detach()) / norm.divisor(norm.sigma(raw.detach())), True
                continue
        transposed = isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)
        weight = weight.detach()
        yield name, (weight.transpose(0, 1) if transposed else weight).flatten(1), False


@torch.no_grad()
def spectra(judge: Discriminator) -> dict[str, dict[str, Any]]:
    """For each weight its singular values, largest first, its ranks, and whether it is normalised."""
    with modes_kept(judge):
        judge.eval()  # in training mode a normalised layer would run a power iteration
        return {
            name: {"shape": list(matrix.shape), "normalised": normalised}
            | describe(torch.linalg.svdvals(matrix.double()))
            for name, matrix, normalised in matrices(judge)
        }


def describe(values: Tensor) -> dict[str, Any]:
    """Singular values [r], largest first, and the effective and stable rank, which are 0 for a zero matrix."""
    found: dict[str, Any] = {"singular_values": values.tolist(), "effective_rank": 0.0, "stable_rank": 0.0}
    if values.max() > 0:
        relative = values.double() / values.double().max()
        share = relative / relative.sum()
        found["effective_rank"] = float(torch.special.entr(share).sum().exp())
        found["stable_rank"] = float(relative.square().sum())
    return found
