"""Singular values of a discriminator's weights, as they are used: after spectral normalisation, where there is some.

A steep spectrum of the projection's class embedding says that the classes lie in a few directions: MHGAN's authors saw it
turn from a sigmoid's shape to an exponential's while the samples lost their diversity (section 3.2).

    effective rank   exp(entropy of s / sum s): as many equal singular values would be as even (Roy and Vetterli 2007)
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
    """Of each weight its name, its matrix [outputs, everything else], and whether it is spectrally normalised."""
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
    """Of each weight its singular values, largest first, its effective and stable rank, and whether it is normalised."""
    with modes_kept(judge):
        judge.eval()  # a trainable pass through a normalised layer would take a power iteration
        return {
            name: {"shape": list(matrix.shape), "normalised": normalised}
            | describe(torch.linalg.svdvals(matrix.double()))
            for name, matrix, normalised in matrices(judge)
        }


def describe(values: Tensor) -> dict[str, Any]:
    """Singular values [r], largest first, and the ranks that they amount to: 0 of a matrix that is zero."""
    found: dict[str, Any] = {"singular_values": values.tolist(), "effective_rank": 0.0, "stable_rank": 0.0}
    if values.max() > 0:
        relative = values.double() / values.double().max()
        share = relative / relative.sum()
        found["effective_rank"] = float(torch.special.entr(share).sum().exp())
        found["stable_rank"] = float(relative.square().sum())
    return found
