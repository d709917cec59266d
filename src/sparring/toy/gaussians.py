"""Mixtures of Gaussians on a line or in a plane: samples, densities, and in 1-D distribution functions and quantiles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.errors import SparringError
from sparring.randomness import generator_for


def standard_cdf(z: Tensor) -> Tensor:
    """The standard normal distribution function, accurate far into the lower tail."""
    return 0.5 * torch.special.erfc(-z / math.sqrt(2))


def standard_density(z: Tensor) -> Tensor:
    return torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi)


def _numbers(values: object) -> Tensor:
    """Values as float64. Raises TypeError for true and false, which torch would convert to 1 and 0."""
    if _holds_truth(values):
        raise TypeError
    return torch.as_tensor(values, dtype=torch.float64)


def _holds_truth(values: object) -> bool:
    if isinstance(values, list | tuple):
        return any(map(_holds_truth, values))
    return isinstance(values, bool) or getattr(values, "dtype", None) in (torch.bool, bool)


@dataclass(frozen=True)
class Mixture:
    """Round Gaussians: means [M, D], standard deviations [M], weights [M] that sum to 1; all float64."""

    means: Tensor
    stds: Tensor
    weights: Tensor

    @classmethod
    def of(cls, means: object, stds: object, weights: object = None) -> Mixture:
        """From lists: means are numbers (a line) or pairs (a plane); one std for all or one each; equal weights if None.

        Raises SparringError if they do not fit together.
        """
        try:
            mu, sigma = _numbers(means), _numbers(stds)
        except (TypeError, ValueError, RuntimeError):
            raise SparringError(
                f"means and stds are lists of numbers, or of pairs for means in a plane; got {means!r} and {stds!r}"
            ) from None
        mu = mu[:, None] if mu.ndim == 1 else mu
        if mu.ndim != 2 or mu.shape[1] not in (1, 2) or not len(mu):
            raise SparringError(f"means is a list of numbers (a line) or of pairs (a plane), got {means!r}")
        sigma = sigma.expand(len(mu)) if sigma.ndim == 0 else sigma
        if sigma.shape != (len(mu),):
            raise SparringError(f"stds is one number or one for each of the {len(mu)} means, got {stds!r}")
        try:
            w = torch.ones(len(mu), dtype=torch.float64) if weights is None else _numbers(weights)
        except (TypeError, ValueError, RuntimeError):
            raise SparringError(f"weights is a list of numbers, got {weights!r}") from None
        if w.shape != (len(mu),):
            raise SparringError(f"weights is one number for each of the {len(mu)} means, got {weights!r}")
        if not (torch.isfinite(mu).all() and torch.isfinite(sigma).all() and torch.isfinite(w).all()):
            raise SparringError(f"means, stds and weights are finite, got {means!r}, {stds!r} and {weights!r}")
        if (sigma <= 0).any() or (w <= 0).any():
            raise SparringError(f"stds and weights are above 0, got {stds!r} and {weights!r}")
        return cls(mu, sigma.contiguous(), w / w.sum())

    @property
    def dimensions(self) -> int:
        return self.means.shape[1]

    def sample(self, count: int, *key: object) -> tuple[Tensor, Tensor]:
        """(points [count, D] float32, which component each is from [count] int64), seeded by the key."""
        generator = generator_for(*key)
        component = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        noise = torch.randn(count, self.dimensions, generator=generator)
        return (self.means[component] + self.stds[component, None] * noise).float(), component

    def density(self, points: Tensor) -> Tensor:
        """The density [N] at points [N, D]."""
        distance = (points.double()[:, None] - self.means).square().sum(2) / self.stds.square()
        peak = (2 * math.pi * self.stds.square()) ** (self.dimensions / 2)
        return (self.weights * torch.exp(-0.5 * distance) / peak).sum(1)

    # --- on a line ---
    def _standard(self, x: Tensor) -> Tensor:
        assert self.dimensions == 1
        return (x.double()[..., None] - self.means[:, 0]) / self.stds

    def cdf(self, x: Tensor) -> Tensor:
        """The distribution function at x, any shape."""
        return (self.weights * standard_cdf(self._standard(x))).sum(-1)

    def cdf_integral(self, x: Tensor) -> Tensor:
        """The integral of the distribution function up to x: sigma (z Phi(z) + phi(z)) for each Gaussian."""
        z = self._standard(x)
        return (self.weights * self.stds * (z * standard_cdf(z) + standard_density(z))).sum(-1)

    def quantile(self, u: Tensor) -> Tensor:
        """The point below which the share u in (0, 1) lies, by bisection to the last bit."""
        u = u.double()
        reach = 40 * self.stds.max()
        low = (self.means.min() - reach).expand(u.shape).clone()
        high = (self.means.max() + reach).expand(u.shape).clone()
        middle, before = (low + high) / 2, high
        while not torch.equal(middle, before):
            below = self.cdf(middle) < u
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
            middle, before = (low + high) / 2, middle
        return middle
