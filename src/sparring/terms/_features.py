"""Mean features of two batches, compared."""

from __future__ import annotations

from torch import Tensor


def squared_mean_distance(real: Tensor, fake: Tensor) -> Tensor:
    """||E f(x) - E f(G(z))||_2^2 for features [B, C] each; the real ones are a constant."""
    return (real.detach().mean(0) - fake.mean(0)).square().sum()
