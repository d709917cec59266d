"""Spectral normalisation, once per weight update.

The normalised weight is W / sigma, or W / max(1, sigma) for `clamp`, with sigma = u^T W v from one power iteration
(Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018, Algorithm 1; the clamped form is the one
that the multi-hinge paper's authors ran). u and v are constants for the gradient.

Used on its own, a normalised layer behaves as the one in torch does (which iterates u first, the paper v): each pass that
can be trained takes a power iteration. Inside `held(network)` all passes share one normalised weight, a leaf whose
gradient is pulled back to W in closed form as soon as a backward has filled it:

    dW = (G - <G, W/sigma> u v^T) / sigma        G = dLoss / d(W/sigma)

so that several backward passes, gradient accumulation and second derivatives stay exact, and nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

SpectralNormKind = Literal["none", "exact", "clamp"]
INITIAL_ITERATIONS = 15  # as torch's own, so that sigma is close before the first update


class SpectralNorm(nn.Module):
    """The parametrization that `spectral_norm` registers on a layer's weight; u [rows] and v [columns] are its buffers."""

    def __init__(self, weight: Tensor, *, clamp: bool = False, output_axis: int = 0):
        super().__init__()
        self.clamp, self.output_axis = clamp, output_axis
        self.leaf: Tensor | None = None  # the normalised weight, while it is held
        matrix = self._matrix(weight.detach())
        u = F.normalize(torch.randn(matrix.shape[0], device=matrix.device, dtype=matrix.dtype), dim=0)
        v = F.normalize(torch.randn(matrix.shape[1], device=matrix.device, dtype=matrix.dtype), dim=0)
        self.register_buffer("u", u)
        self.register_buffer("v", v)
        self.u: Tensor
        self.v: Tensor
        for _ in range(0 if weight.is_meta else INITIAL_ITERATIONS):
            self.iterate(weight)

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.transpose(0, self.output_axis).flatten(1) if self.output_axis else weight.flatten(1)

    @torch.no_grad()
    def iterate(self, weight: Tensor) -> None:
        """One power iteration: v from u, then u from v."""
        matrix = self._matrix(weight)
        F.normalize(torch.mv(matrix.t(), self.u), dim=0, eps=1e-12, out=self.v)
        F.normalize(torch.mv(matrix, self.v), dim=0, eps=1e-12, out=self.u)

    def sigma(self, weight: Tensor) -> Tensor:
        """The estimate of the largest singular value, a scalar tensor."""
        return torch.dot(self.u, torch.mv(self._matrix(weight), self.v))

    def divisor(self, weight: Tensor) -> Tensor:
        sigma = self.sigma(weight)
        return sigma.clamp_min(1) if self.clamp else sigma

    def forward(self, weight: Tensor) -> Tensor:
        if self.leaf is not None:
            return self.leaf
        if self.training and weight.requires_grad and torch.is_grad_enabled():
            self.u, self.v = self.u.clone(), self.v.clone()  # an earlier pass's graph keeps the vectors that it used
            self.iterate(weight)
        return weight / self.divisor(weight)

    @torch.no_grad()
    def hold(self, weight: nn.Parameter, *, iterate: bool) -> None:
        """Compute the normalised weight and serve it to every pass until `release`."""
        if iterate:
            self.iterate(weight)
        sigma = self.sigma(weight)
        divisor = sigma.clamp_min(1) if self.clamp else sigma
        leaf = weight / divisor
        if weight.requires_grad:
            # The vectors are copied: the hook outlives `release`, and the buffers move on with the next iteration.
            matrix = torch.outer(self.u, self.v)
            if self.output_axis:
                shape = weight.transpose(0, self.output_axis).shape
                direction = matrix.view(shape).transpose(0, self.output_axis)
            else:
                direction = matrix.view(weight.shape)
            acts = (sigma >= 1).to(weight.dtype) if self.clamp else None

            def pull_back(held: Tensor) -> None:
                gradient, held.grad = held.grad, None
                if gradient is None:
                    return
                along = torch.sum(gradient * held.detach())
                along = along if acts is None else along * acts
                pulled = (gradient - along * direction) / divisor
                weight.grad = pulled if weight.grad is None else weight.grad + pulled

            leaf.requires_grad_().register_post_accumulate_grad_hook(torch.no_grad()(pull_back))
        self.leaf = leaf

    def release(self) -> None:
        self.leaf = None


def spectral_norm(layer: nn.Module, kind: SpectralNormKind = "exact") -> nn.Module:
    """Normalise `layer.weight` spectrally, in place; `none` leaves the layer as it is. Returns the layer.

    The matrix is [outputs, everything else], also for transposed convolutions.
    """
    if kind == "none":
        return layer
    transposed = isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)
    weight = layer.weight
    assert isinstance(weight, Tensor)
    norm = SpectralNorm(weight, clamp=kind == "clamp", output_axis=1 if transposed else 0)
    parametrize.register_parametrization(layer, "weight", norm, unsafe=True)
    return layer


def normalised_layers(network: nn.Module) -> Iterator[tuple[SpectralNorm, nn.Parameter]]:
    """Each spectral normalisation of a network with the raw weight that it acts on."""
    for module in network.modules():
        if isinstance(module, parametrize.ParametrizationList):
            for norm in module:
                if isinstance(norm, SpectralNorm):
                    yield norm, cast(nn.Parameter, module.original)


@contextmanager
def held(network: nn.Module, *, iterate: bool) -> Iterator[None]:
    """Let all passes in this block share one normalised weight per layer; `iterate` takes a power iteration first.

    The backward pass may come after the block. In evaluation, and in another player's update, `iterate` is False and
    nothing of the network changes. A layer that an outer block holds already stays as that block holds it.
    """
    layers = [(norm, weight) for norm, weight in normalised_layers(network) if norm.leaf is None]
    for norm, weight in layers:
        norm.hold(weight, iterate=iterate)
    try:
        yield
    finally:
        for norm, _ in layers:
            norm.release()
