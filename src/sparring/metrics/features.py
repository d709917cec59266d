"""Checks that all metrics share: features are a finite float matrix, and the result is a finite number."""

from __future__ import annotations

import math

from torch import Tensor

from sparring.errors import SparringError
from sparring.limits import MEASURED


def check_matrix(values: Tensor, name: str = "features", axes: str = "[N, d]") -> None:
    """Raise SparringError unless this is a two-dimensional float tensor with at least one column."""
    if not isinstance(values, Tensor) or values.ndim != 2 or not values.is_floating_point() or not values.shape[1]:
        got = f"{values.dtype} {list(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
        letter = axes.rstrip("]").split()[-1]
        raise SparringError(f"{name} must be a float tensor {axes} with {letter} >= 1, got {got}")


def checked(features: Tensor) -> Tensor:
    """Features [N, d] of any float type, as float64. Raises SparringError for anything else, or if they are not finite."""
    check_matrix(features)
    features = features.detach()
    features = (features.cpu() if features.device.type == "mps" else features).double()
    if not features.sum().isfinite():  # one sum is cheaper than a check of every number
        rows = (~features.isfinite()).any(1).nonzero()
        bad = rows[0].item() if len(rows) else int(features.abs().amax(1).argmax())  # the sum overflowed
        raise SparringError(
            f"features must be finite, but row {bad} is not: check the images and the extractor's weights"
        )
    return features


def checked_pair(a: Tensor, b: Tensor, what: str, *, at_least: int = 2) -> tuple[Tensor, Tensor]:
    """Both sets as float64. Raises SparringError for different d, or fewer than `at_least` rows in either."""
    for each in (a, b):
        check_matrix(each)
    check_same_dimensions(a.shape[1], b.shape[1])
    for each in (a, b):
        check_count(len(each), what, at_least)
    return checked(a), checked(b)


def check_whole(value: object, what: str, at_least: int) -> None:
    """Raise SparringError unless the value is an int from `at_least` to the largest supported number."""
    if not isinstance(value, int) or isinstance(value, bool) or not value >= at_least:
        raise SparringError(f"{what} must be a whole number of at least {at_least}, got {value!r}")
    if value > MEASURED:
        raise SparringError(f"{what} must be at most {MEASURED:,}, got {value!r}")


def check_count(n: int, what: str, at_least: int = 2) -> None:
    if n < at_least:
        raise SparringError(f"{what} needs at least {at_least} samples in each set, got {n}: measure more images")


def check_same_dimensions(a: int, b: int) -> None:
    if a != b:
        raise SparringError(
            f"both sets need features of the same dimension, got {a} and {b}: use one extractor for both"
        )


def check_result(value: float, what: str) -> float:
    """Return the value. Raises SparringError if it is not finite, because finite features overflowed."""
    if not math.isfinite(value):
        raise SparringError(
            f"{what} of these features is not finite, since they or their statistics are too large for float64: check the "
            "images and the extractor's weights"
        )
    return value
