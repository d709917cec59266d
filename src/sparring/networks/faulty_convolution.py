"""A convolution for which torch writes outside its memory on some CPUs, and a check for networks that have one.

Found by trial in torch 2.14.1 and 2.15.0: on CPUs with AVX2 and without AVX-512, the weight's gradient of a 1x1 convolution
with a stride, fewer than 7 input channels, float32, channels-last, corrupts the heap; so does a transposed one with fewer
than 7 output channels. Taking every second pixel first, and then a 1x1 of stride 1, is the same function and sound.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sparring.errors import SparringError

FEWEST_CHANNELS = 7  # from which on another kernel is taken
CURE = "take the pixels first and convolve them with stride 1, conv(x[:, :, ::2, ::2]), which is the same function"


def this_cpu_is_affected() -> bool:
    """Whether this CPU, as limited by the environment, uses the faulty kernel."""
    limit = (os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or "").upper()
    if limit in ("SSE41", "AVX"):
        return False
    return torch.cpu._is_avx2_supported() and (limit.startswith("AVX2") or not torch.cpu._is_avx512_supported())


@contextmanager
def strided_1x1_refused(network: str, note: Callable[[str], None] | None = None) -> Iterator[None]:
    """Wraps a forward pass of a network that will be trained, and finds the convolution, however it is called.

    network: its name in the message. note: receives the message on machines that can train the network.

    Raises SparringError, after the pass, if this CPU would use the faulty kernel.
    """
    with _Watch() as watch:
        yield
    if not watch.found:
        return
    kernel = f"{network} has {watch.found[0]} on channels-last images"
    if this_cpu_is_affected():
        raise SparringError(f"{kernel}: on this CPU (AVX2) torch's gradient of it writes outside its memory; {CURE}")
    if note is not None:
        note(f"{kernel}: on CPUs with AVX2 and without AVX-512 it cannot be trained; to be safe, {CURE}")


class _Watch(TorchDispatchMode):
    """Records a description of each such convolution that is computed within it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.convolution.default and (what := _faulty(*args)):
            self.found.append(what)
        return func(*args, **(kwargs or {}))


def _faulty(
    x: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, *rest: Any
) -> str | None:
    groups = rest[-1]
    plain = x.ndim == 4 and groups == 1 and not any(padding) and tuple(weight.shape[2:]) == (1, 1)
    if not plain or max(stride) == 1 or x.dtype != torch.float32 or weight.shape[1] >= FEWEST_CHANNELS:
        return None
    if not (_channels_last(x) or _channels_last(weight)):
        return None
    where = "output" if transposed else "input"
    channels = f"{weight.shape[1]} {where} channel{'' if weight.shape[1] == 1 else 's'}"
    return f"a {'transposed ' if transposed else ''}1x1 convolution of stride {max(stride)} with {channels}"


def _channels_last(tensor: Tensor) -> bool:
    """Whether torch takes [B, C, H, W] for channels-last; with one channel or pixel the strides decide."""
    batch, channel, _, column = tensor.stride()
    return column >= tensor.shape[1] * channel and batch > channel
