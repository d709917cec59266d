"""Features of two batches, compared: their means, or block by block at unit length."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Aggregate = Literal["max", "average"]


def squared_mean_distance(real: Tensor, fake: Tensor) -> Tensor:
    """||E f(x) - E f(G(z))||_2^2 for features [B, C] each; the real ones are a constant."""
    return (real.detach().mean(0) - fake.mean(0)).square().sum()


def pooled_unit_features(block: Tensor, aggregate: Aggregate = "max", squared_norm: bool = False) -> Tensor:
    """SDP's D^_j [B, C] of activations [B, C, H, W] (or [B, C], which need no pooling): pooled, at length 1."""
    f = block.flatten(2) if block.ndim > 2 else block[..., None]
    f = f.amax(2) if aggregate == "max" else f.mean(2)
    norm = torch.linalg.vector_norm(f, dim=1, keepdim=True)
    norm = torch.where(norm > 0, norm, 1.0)
    return f / (norm.square() if squared_norm else norm)
