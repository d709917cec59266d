"""Spectral normalisation, once per weight update.

The normalised weight is W / sigma, or W / max(1, sigma) for `clamp`, with sigma = u^T W v from one power iteration
(Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018, Algorithm 1; the clamped form is the one
that the multi-hinge paper's authors ran). u and v are constants for the gradient.

By itself a normalised layer behaves like torch's (which iterates u first, the paper v): each pass in training takes a
power iteration. Inside `held(network)` all passes share one normalised weight, a leaf whose
gradient is pulled back to W in closed form as soon as a backward pass has filled it:

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
EPS = 1e-12  # of the vectors' norms
INITIAL_ITERATIONS = 15  # as in torch, so that sigma is close before the first update


class SpectralNorm(nn.Module):
    """The parametrization that `spectral_norm` registers on a layer's weight; u [rows] and v [columns] are its buffers."""

    def __init__(self, weight: Tensor, *, clamp: bool = False, output_axis: int = 0):
        super().__init__()
        self.clamp, self.output_axis = clamp, output_axis
        self.leaf: Tensor | None = None  # the normalised weight, while it is held
        matrix = self.matrix(weight.detach())
        u = F.normalize(torch.randn(matrix.shape[0], device=matrix.device, dtype=matrix.dtype), dim=0)
        v = F.normalize(torch.randn(matrix.shape[1], device=matrix.device, dtype=matrix.dtype), dim=0)
        self.register_buffer("u", u)
        self.register_buffer("v", v)
        self.u: Tensor
        self.v: Tensor
        for _ in range(0 if weight.is_meta else INITIAL_ITERATIONS):
            self.iterate(weight)

    def matrix(self, weight: Tensor) -> Tensor:
        """The weight as [outputs, everything else]: a view if memory allows, with columns ordered as in `columns`."""
        if self._by_pixel(weight):
            pixels = weight.permute(0, 2, 3, 1)
            return pixels.flatten(0, 2).t() if self.output_axis else pixels.flatten(1)
        return weight.transpose(0, self.output_axis).flatten(1) if self.output_axis else weight.flatten(1)

    def columns(self, weight: Tensor, v: Tensor) -> Tensor:
        """v [columns] in the order of `matrix`'s columns."""
        if self.output_axis or not self._by_pixel(weight):
            return v
        return v.view(weight.shape[1:]).permute(1, 2, 0).reshape(-1)

    def _by_pixel(self, weight: Tensor) -> bool:
        """Whether channels are innermost in memory, as in networks that run channels-last."""
        return (
            weight.ndim == 4 and not weight.is_contiguous() and weight.is_contiguous(memory_format=torch.channels_last)
        )

    @torch.no_grad()
    def iterate(self, weight: Tensor) -> Tensor:
        """One power iteration, v from u, then u from v; both are written into their buffers. Returns v as `columns` does."""
        matrix = self.matrix(weight)
        v = F.normalize(torch.mv(matrix.t(), self.u), dim=0, eps=EPS)
        F.normalize(torch.mv(matrix, v), dim=0, eps=EPS, out=self.u)
        self.keep(weight, v)
        return v

    def keep(self, weight: Tensor, columns: Tensor) -> None:
        """Write v, given in the order of `matrix`'s columns, into its buffer."""
        if self.output_axis or not self._by_pixel(weight):
            self.v.copy_(columns)
        else:
            _, inputs, *kernel = weight.shape
            self.v.view(inputs, *kernel).copy_(columns.view(*kernel, inputs).permute(2, 0, 1))

    def sigma(self, weight: Tensor) -> Tensor:
        """The estimate of the largest singular value, a scalar tensor."""
        return torch.dot(self.u, torch.mv(self.matrix(weight), self.columns(weight, self.v)))

    def forward(self, weight: Tensor) -> Tensor:
        if self.leaf is not None:
            return self.leaf
        if self.training and weight.requires_grad and torch.is_grad_enabled():
            self.u, self.v = self.u.clone(), self.v.clone()  # an earlier pass's graph keeps the vectors that it used
            self.iterate(weight)
        return weight / self.divisor(self.sigma(weight))

    def divisor(self, sigma: Tensor) -> Tensor:
        return sigma.clamp_min(1) if self.clamp else sigma

    @torch.no_grad()
    def hold(self, weight: nn.Parameter, leaf: Tensor, sigma: Tensor, divisor: Tensor) -> None:
        """Serve `leaf` = W / divisor to every pass until `release`; its gradient goes to W, also after that."""
        if weight.requires_grad:
            u, v = self._spread(weight)
            acts = (sigma >= 1).to(weight.dtype) if self.clamp else None

            def pull_back(held: Tensor) -> None:
                gradient, held.grad = held.grad, None
                if gradient is None:
                    return
                along = _inner_product(gradient, held.detach())
                along = along if acts is None else along * acts
                # the gradient is this hook's alone, so it is overwritten; the outer product is never there as a whole
                gradient.addcmul_(u, v * along, value=-1).div_(divisor)
                weight.grad = gradient if weight.grad is None else weight.grad.add_(gradient)

            leaf.requires_grad_().register_post_accumulate_grad_hook(torch.no_grad()(pull_back))
        self.leaf = leaf

    def _spread(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Copies of u and v that broadcast to the weight; the buffers move on with the next iteration."""
        rest = list(weight.shape)
        rest[self.output_axis] = 1
        u = self.u.clone().view([-1 if axis == self.output_axis else 1 for axis in range(weight.ndim)])
        v = self.v.view(rest)
        if self._by_pixel(weight):
            return u, v.clone(memory_format=torch.channels_last)
        return u, v.clone()

    def release(self) -> None:
        self.leaf = None


def spectral_norm(layer: nn.Module, kind: SpectralNormKind = "exact") -> nn.Module:
    """Normalise `layer.weight` spectrally, in place; `none` leaves the layer unchanged. Returns the layer.

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
    nothing of the network changes. A layer that an outer block holds is left to that block.
    """
    layers = [(norm, weight) for norm, weight in normalised_layers(network) if norm.leaf is None]
    for moves in (True, False):  # a weight that takes no gradient keeps its vectors
        if some := [layer for layer in layers if layer[1].requires_grad == moves]:
            _hold(some, iterate=iterate and moves)
    try:
        yield
    finally:
        for norm, _ in layers:
            norm.release()


@torch.no_grad()
def _hold(layers: list[tuple[SpectralNorm, nn.Parameter]], *, iterate: bool) -> None:
    """Normalise all layers' weights, small kernels of several layers in one call."""
    norms, weights = [norm for norm, _ in layers], [weight for _, weight in layers]
    matrices = [norm.matrix(weight) for norm, weight in layers]
    if iterate:
        columns = _unit([torch.mv(m.t(), norm.u) for m, norm in zip(matrices, norms, strict=True)])
        products = [torch.mv(m, v) for m, v in zip(matrices, columns, strict=True)]
        sigmas = list(torch._foreach_norm(products))  # u is W v / |W v|, so that u^T W v = |W v|
        torch._foreach_copy_([norm.u for norm in norms], _unit(products))
        for norm, weight, v in zip(norms, weights, columns, strict=True):
            norm.keep(weight, v)
    else:
        sigmas = [norm.sigma(weight) for norm, weight in layers]
    divisors = [norm.divisor(sigma) for norm, sigma in zip(norms, sigmas, strict=True)]
    leaves = torch._foreach_div(weights, divisors)  # type: ignore[arg-type]
    for norm, weight, *held_as in zip(norms, weights, leaves, sigmas, divisors, strict=True):
        norm.hold(weight, *held_as)


def _unit(vectors: list[Tensor]) -> list[Tensor]:
    """Each vector at length 1."""
    lengths = torch._foreach_norm(vectors)
    torch._foreach_clamp_min_(lengths, EPS)
    return list(torch._foreach_div(vectors, lengths))  # type: ignore[arg-type]


def _inner_product(a: Tensor, b: Tensor) -> Tensor:
    """<a, b> of two tensors of one shape, without their product in memory if both have the same memory order."""
    if a.stride() != b.stride():
        return torch.sum(a * b)
    if a.ndim == 4 and a.is_contiguous(memory_format=torch.channels_last):
        a, b = a.permute(0, 2, 3, 1), b.permute(0, 2, 3, 1)
    return torch.dot(a.flatten(), b.flatten())
