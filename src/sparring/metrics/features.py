"""What every metric asks of features, in one place: a float matrix of finite numbers, and an answer that is one."""

from __future__ import annotations

import math

from torch import Tensor

from sparring.errors import SparringError
from sparring.limits import MEASURED


def check_matrix(values: Tensor, name: str = "features", axes: str = "[N, d]") -> None:
    """Raise SparringError unless this is a float tensor of two dimensions, with at least one column."""
    if not isinstance(values, Tensor) or values.ndim != 2 or not values.is_floating_point() or not values.shape[1]:
        got = f"{values.dtype} {list(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
        letter = axes.rstrip("]").split()[-1]
        raise SparringError(f"{name} must be a float tensor {axes} with {letter} >= 1, got {got}")


def checked(features: Tensor) -> Tensor:
    """Features [N, d] of any float type in float64, on a device that has it. Raises SparringError where they are none."""
    check_matrix(features)
    features = features.detach()
    features = (features.cpu() if features.device.type == "mps" else features).double()
    if not features.sum().isfinite():  # any that is not makes the sum so, too
        rows = (~features.isfinite()).any(1).nonzero()
        bad = rows[0].item() if len(rows) else int(features.abs().amax(1).argmax())  # or the sum overflows
        raise SparringError(f"features must be finite, row {bad} is not: look at the images or weights they came from")
    return features


def checked_pair(a: Tensor, b: Tensor, what: str, *, at_least: int = 2) -> tuple[Tensor, Tensor]:
    """Both sets in float64. Raises SparringError for different d, or fewer than `at_least` rows on a side."""
    for each in (a, b):
        check_matrix(each)
    check_same_dimensions(a.shape[1], b.shape[1])
    for each in (a, b):
        check_count(len(each), what, at_least)
    return checked(a), checked(b)


def check_whole(value: object, what: str, at_least: int) -> None:
    """Raise SparringError unless the value is an int of at least so much, and no more than anybody measures."""
    if not isinstance(value, int) or isinstance(value, bool) or not value >= at_least:
        raise SparringError(f"{what} must be a whole number of at least {at_least}, got {value!r}")
    if value > MEASURED:
        raise SparringError(f"{what} is at most {MEASURED:,}, got {value!r}")


def check_count(n: int, what: str, at_least: int = 2) -> None:
    if n < at_least:
        raise SparringError(f"{what} needs at least {at_least} samples on each side, got {n}: measure more images")


def check_same_dimensions(a: int, b: int) -> None:
    if a != b:
        raise SparringError(f"features of the same extractor have the same dimensions, got {a} and {b}")


def check_result(value: float, what: str) -> float:
    """The value. Raises SparringError where it is no number, because finite features have overflowed on the way."""
    if not math.isfinite(value):
        raise SparringError(
            f"{what} of these features is no finite number: they are too large for float64, or their statistics hold such "
            "values; look at the images or weights they came from"
        )
    return value
