"""The fast form of each layer against its plain one, forward and backward, on which the table of kernels rests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.bench.pairs import alternate
from sparring.errors import SparringError
from sparring.networks.image_conv import ImageConv
from sparring.networks.kernels import PLAIN, Kernels, using
from sparring.networks.resampling import ConvPool, UpConv
from sparring.networks.second_order import TwiceDifferentiable
from sparring.networks.winograd import Conv3x3

FAST = Kernels(winograd=(4, 1))
SHAPES = (
    (4, 256),
    (8, 64),
    (8, 128),
    (8, 256),
    (16, 64),
    (16, 128),
    (16, 256),
    (32, 64),
    (32, 128),
)  # (side, channels)


def bench_kernels(
    *, batch_size: int = 16, pairs: int = 5, clock: Callable[[], float] = time.perf_counter
) -> Iterator[dict[str, Any]]:
    """A row for each kernel and shape: `ratio` is the plain form's time over the fast form's, with its quartiles.

    Raises SparringError for a batch without images.
    """
    if batch_size < 1:
        raise SparringError(f"--batch-size is at least 1, got {batch_size}")
    instructions = torch.backends.cpu.get_cpu_capability()
    for kernel, make in _KERNELS.items():
        for side, channels in SHAPES:
            work = make(torch.randn(batch_size, channels, side, side).to(memory_format=torch.channels_last))

            def timed(row: Kernels, work: Callable[[], None] = work) -> None:
                with using(row):
                    work()

            found = alternate(lambda: timed(FAST), lambda: timed(PLAIN), pairs=pairs, warm_up=1, clock=clock)
            yield {"kernel": kernel, "side": side, "channels": channels, "instructions": instructions, **asdict(found)}


def _layer(make: Callable[[int], nn.Module]) -> Callable[[Tensor], Callable[[], None]]:
    """Forward and backward passes of a layer, made for a number of channels."""

    def of(x: Tensor) -> Callable[[], None]:
        layer = make(x.shape[1]).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        leaf = x.requires_grad_()

        def work() -> None:
            y = layer(leaf)
            y.backward(torch.ones_like(y))  # dense and channels-last, as in a network

        return work

    return of


def _penalty(x: Tensor) -> Callable[[], None]:
    """A gradient penalty through batch norm."""
    leaf = x.requires_grad_()
    weight, bias = (torch.ones(x.shape[1], requires_grad=True) for _ in range(2))

    def work() -> None:
        with TwiceDifferentiable():
            y = F.relu(F.batch_norm(leaf, None, None, weight, bias, training=True))
        (gradient,) = torch.autograd.grad((y * y).sum(), leaf, create_graph=True)
        gradient.square().sum().backward()

    return work


_KERNELS: dict[str, Callable[[Tensor], Callable[[], None]]] = {
    "resampling, doubling": _layer(lambda channels: UpConv(channels, channels)),
    "resampling, halving": _layer(lambda channels: ConvPool(channels, channels)),
    "winograd": _layer(lambda channels: Conv3x3(channels, channels)),
    "image_conv": _layer(lambda channels: ImageConv(channels, 3)),
    "batch_norm": _penalty,
}
