"""Batch normalisation whose second derivative is written out, for penalties on the discriminator's gradient.

With x^ = (x - mean x) s, s = 1 / sqrt(var x + eps), y = gamma x^ + beta, means over all but the channels, and e the gradient
of y, the gradient of x is

    dx = gamma s (e - mean e - x^ a)                                    a = mean(e x^)

and where that is met by a gradient v, with b = mean(v x^) and c = mean(v e) - mean v mean e, it goes on to

    e        gamma s (v - mean v - x^ b)
    x        -gamma s^2 (x^ (c - 3 a b) + b (e - mean e) + a (v - mean v))
    gamma    s N (c - a b),  N the number of values of a channel

Torch derives the same from some twenty tensors of the size of x; this takes six. The sums are products with a vector.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from sparring.networks.kernels import current


class TwiceDifferentiable(TorchFunctionMode):
    """Within, `F.batch_norm` on batch statistics is the one above; everything else is unchanged."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.batch_norm and torch.is_grad_enabled() and current().batch_norm:
            return _batch_norm(*args, **kwargs)
        return func(*args, **kwargs)


def _batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if not training or weight is None or bias is None or x.dtype not in (torch.float32, torch.float64):
        return F.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)
    return _BatchNorm.apply(x, weight, bias, running_mean, running_var, momentum, eps)


class _BatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        momentum: float,
        eps: float,
    ) -> Tensor:
        y, mean, scale = torch.native_batch_norm(x, weight, bias, running_mean, running_var, True, momentum, eps)
        ctx.save_for_backward(x, weight, mean, scale)
        ctx.eps = eps
        return y

    @staticmethod
    def backward(ctx: Any, e: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale = ctx.saved_tensors
        found = _Gradient.apply(e, x, weight, mean, scale, ctx.eps)
        return *found, None, None, None, None


class _Gradient(torch.autograd.Function):
    """(dx, dgamma, dbeta) from e; its own gradient is the closed form."""

    @staticmethod
    def forward(
        ctx: Any, e: Tensor, x: Tensor, weight: Tensor, mean: Tensor, scale: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(e, x, weight, mean, scale)
        ctx.set_materialize_grads(False)
        both = torch.ops.aten.native_batch_norm_backward(
            e, x, weight, None, None, mean, scale, True, eps, [True, True, True]
        )
        return both[0], both[1], both[2]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, v: Tensor | None, of_weight: Tensor | None, of_bias: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        e, x, weight, mean, scale = ctx.saved_tensors
        gamma, s, e_, normal = weight, scale, _rows(e), _rows(x).sub(mean).mul_(scale)
        count = len(normal)
        mean_e, a = _mean(e_), _mean(e_ * normal)
        to_e, to_x, to_weight = torch.zeros_like(e_), torch.zeros_like(e_), None
        if v is not None:
            v_ = _rows(v)
            mean_v, b = _mean(v_), _mean(v_ * normal)
            c = _mean(v_ * e_) - mean_v * mean_e
            to_e = torch.addcmul(v_ - mean_v, normal, b, value=-1).mul_(gamma * s)
            to_x = (normal * (c - 3 * a * b)).addcmul_(e_ - mean_e, b).addcmul_(v_ - mean_v, a).mul_(-gamma * s * s)
            to_weight = s * count * (c - a * b)
        if of_weight is not None:  # dgamma = sum e x^
            to_e = torch.addcmul(to_e, normal, of_weight)
            to_x = to_x + torch.addcmul(e_ - mean_e, normal, a, value=-1).mul_(of_weight * s)
        if of_bias is not None:
            to_e = to_e + of_bias
        return _like(to_e, e), _like(to_x, x), to_weight, None, None, None


def _rows(x: Tensor) -> Tensor:
    """[B, C, ...] -> [values, C], a view where memory is channels-last."""
    return x.movedim(1, -1).reshape(-1, x.shape[1])


def _like(rows: Tensor, x: Tensor) -> Tensor:
    """[values, C] -> [B, C, ...] of x's shape."""
    return rows.view(x.movedim(1, -1).shape).movedim(-1, 1)


def _mean(rows: Tensor) -> Tensor:
    """The mean of each column."""
    return rows.new_full((len(rows),), 1 / len(rows)) @ rows
