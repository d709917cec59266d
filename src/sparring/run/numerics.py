"""How this process computes during a run or a measurement: what float32 means, and whether results repeat.

Torch computes float32 convolutions on NVIDIA GPUs in TF32 by default, whose numbers have 10 bits after the point instead of
23. Here, float32 means float32 unless TF32 is chosen.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal

import torch

from sparring.errors import SparringError

Precision = Literal["float32", "tf32", "bfloat16"]

WORKSPACE, REPEATABLE = "CUBLAS_WORKSPACE_CONFIG", (":4096:8", ":16:8")  # with which cuBLAS repeats its results


@contextmanager
def numerics(
    precision: Precision = "float32",
    *,
    deterministic: bool = False,
    fixed_shapes: bool = False,
    device: str | None = None,
) -> Iterator[None]:
    """Within this context, float32 numbers are computed in float32, or in TF32 with `precision` "tf32".

    deterministic: use deterministic algorithms only; False keeps torch's setting. fixed_shapes: let cuDNN time its
        algorithms for each shape that it meets, unless results have to repeat. device: of the work; None: perhaps a GPU.

    Also a decorator: `@numerics()`. Everything is restored at the end, except the environment variable that cuBLAS reads
    once. `precision` "bfloat16" is that of chosen passes (`Runtime.autocast`), beside which everything is float32. Raises
    SparringError if CUDA has started without that variable, or if an operation has no deterministic algorithm.
    """
    with _float32_as("tf32" if precision == "tf32" else "ieee"), _repeating(deterministic, device):
        cudnn = torch.backends.cudnn
        before = cudnn.benchmark
        cudnn.benchmark = fixed_shapes and not (torch.are_deterministic_algorithms_enabled() or cudnn.deterministic)
        try:
            yield
        finally:
            cudnn.benchmark = before


@contextmanager
def _float32_as(how: Literal["ieee", "tf32"]) -> Iterator[None]:
    """Set torch's old and new settings alike: reading an old one raises if they differ, and torch.compile reads both.

    CPUs stay with float32, which some also replace by shorter numbers on request.
    """
    cudnn: Any = torch.backends.cudnn
    mkldnn: Any = torch.backends.mkldnn
    on_gpus: list[Any] = [torch.backends.cuda.matmul, cudnn, cudnn.conv, cudnn.rnn]
    on_cpus: list[Any] = [mkldnn.matmul, mkldnn.conv, mkldnn.rnn]
    before = [place.fp32_precision for place in (*on_gpus, *on_cpus)]
    old = _old_settings()
    _set_old_settings(("high" if how == "tf32" else "highest", how == "tf32"))
    for place in on_gpus:
        place.fp32_precision = how
    for place in on_cpus:
        place.fp32_precision = "ieee"
    try:
        yield
    finally:
        _set_old_settings(old)
        for place, value in zip((*on_gpus, *on_cpus), before, strict=True):
            place.fp32_precision = value


def _old_settings() -> tuple[str | None, bool | None]:
    """Torch's settings of before 2.9 for matrix products and cuDNN; None if the user has set only the new ones."""
    read: tuple[Callable[[], Any], ...] = (
        torch.get_float32_matmul_precision,
        lambda: torch.backends.cudnn.allow_tf32,
    )
    found: list[Any] = [None, None]
    for i, setting in enumerate(read):
        with suppress(RuntimeError), _without_warnings():
            found[i] = setting()
    return found[0], found[1]


def _set_old_settings(values: tuple[str | None, bool | None]) -> None:
    products, cudnn = values
    with _without_warnings():
        if products is not None:
            torch.set_float32_matmul_precision(products)
        if cudnn is not None:
            torch.backends.cudnn.allow_tf32 = cudnn


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Some versions warn that the old settings are old."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


@contextmanager
def _repeating(deterministic: bool, device: str | None) -> Iterator[None]:
    if not deterministic:
        yield
        return
    if torch.cuda.is_available() and not str(device).startswith("cpu"):
        _prepare_cublas()
    cudnn = torch.backends.cudnn
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    before_cudnn = cudnn.deterministic
    torch.use_deterministic_algorithms(True)
    cudnn.deterministic = True
    try:
        yield
    except RuntimeError as error:
        operation, found, _ = str(error).partition(" does not have a deterministic implementation")
        if not found:
            raise
        raise SparringError(
            f"deterministic=true: torch has no deterministic {operation.split()[-1]} on this device: leave deterministic "
            "out, or use a CPU"
        ) from error
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        cudnn.deterministic = before_cudnn


def _prepare_cublas() -> None:
    """Raise SparringError if cuBLAS, which reads its environment variable once, could not be made to repeat its results."""
    value = os.environ.get(WORKSPACE)
    if value in REPEATABLE:
        return
    if value is None and not torch.cuda.is_initialized():
        os.environ[WORKSPACE] = REPEATABLE[0]
        return
    raise SparringError(
        f"deterministic=true needs {WORKSPACE} to be {' or '.join(REPEATABLE)} before CUDA starts, and it is "
        f"{value or 'not set'}: set it in the environment, and start again"
    )
