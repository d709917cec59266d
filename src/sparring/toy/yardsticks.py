"""How near samples on a line or in a plane are to the data: exact numbers, where images allow only estimates.

All raise SparringError for samples of another shape, for no samples, and for values that are not finite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sparring.errors import SparringError
from sparring.messages import counted
from sparring.toy.gaussians import Mixture

NEAR = 3.0  # standard deviations from a mode within which a sample is of high quality (VEEGAN, Srivastava et al., 2017)
DIRECTIONS = 64  # of the sliced distance, evenly over half a turn


def _of_shape(values: Tensor, what: str, *shapes: str) -> Tensor:
    """Values as float64. Raises SparringError unless they are finite, not empty, and of a shape such as "N" or "N, 2"."""
    wanted = " or ".join(f"[{shape}]" for shape in shapes)
    fits = any(
        len(sides := shape.split(", ")) == values.ndim
        and all(not side.isdigit() or int(side) == size for side, size in zip(sides, values.shape, strict=True))
        for shape in shapes
    )
    if not fits or not values.numel():
        raise SparringError(f"{what} are {wanted} and at least one, got {list(values.shape)}")
    finite = np.isfinite(values.numpy())  # NumPy's small operations cost a fraction of torch's
    if not finite.all():
        wrong = int((~finite).sum())
        raise SparringError(
            f"{what} must be finite, got {counted(wrong, 'value')} that {'is' if wrong == 1 else 'are'} not"
        )
    return values.double()


def nearest_modes(samples: Tensor, modes: Tensor, std: float | Tensor, *, near: float = NEAR) -> tuple[Tensor, Tensor]:
    """For samples [N, D]: the nearest of modes [M, D] by number [N], and whether it is within `near` * std [N].

    std: of all modes, or [M] of each; the nearest mode is then the one fewest of its own deviations away.
    """
    x, centres = _of_shape(samples, "samples", "N, D"), _of_shape(modes, "modes", "M, D")
    if x.shape[1] != centres.shape[1]:
        raise SparringError(f"samples have {x.shape[1]} coordinates and modes {centres.shape[1]}: give both the same")
    deviations = np.asarray(std, dtype=np.float64)
    if deviations.shape not in ((), (len(modes),)) or not ((deviations > 0) & np.isfinite(deviations)).all():
        raise SparringError(f"std is one number above 0, or one for each of the {len(modes)} modes, got {std}")
    deviations = np.broadcast_to(deviations, len(modes))
    distance = np.sqrt(sum((x.numpy()[:, i, None] - centres.numpy()[:, i]) ** 2 for i in range(x.shape[1])))
    mode = (distance * (deviations.min() / deviations)).argmin(1)  # times exactly 1 if all are equal
    good = distance[np.arange(len(mode)), mode] <= near * deviations[mode]
    return torch.from_numpy(mode), torch.from_numpy(good)


def modes_and_quality(
    samples: Tensor, modes: Tensor, std: float | Tensor, *, near: float = NEAR, at_least: int = 1
) -> tuple[int, float]:
    """What `modes_covered` and `high_quality_share` return, from one search for the nearest modes."""
    mode, good = nearest_modes(samples, modes, std, near=near)
    covered = np.bincount(mode.numpy()[good.numpy()], minlength=len(modes)) >= at_least
    return int(covered.sum()), float(good.numpy().mean())


def modes_covered(samples: Tensor, modes: Tensor, std: float | Tensor, *, near: float = NEAR, at_least: int = 1) -> int:
    """The number of modes that are nearest to at least `at_least` samples of high quality."""
    return modes_and_quality(samples, modes, std, near=near, at_least=at_least)[0]


def high_quality_share(samples: Tensor, modes: Tensor, std: float | Tensor, *, near: float = NEAR) -> float:
    """The share of samples within `near` standard deviations of a mode: 98.9% of Gaussians in a plane, 99.7% on a line."""
    return modes_and_quality(samples, modes, std, near=near)[1]


def wasserstein_1d(a: Tensor, b: Tensor) -> float:
    """The exact Wasserstein-1 distance between two samples on a line, [N] or [N, 1]: the area between their quantiles."""
    x, y = _sorted(_on_a_line(a)), _sorted(_on_a_line(b))
    if len(x) == len(y):
        return float((x - y).abs().mean())
    ends = torch.cat([_steps(len(x)), _steps(len(y))]).sort().values
    widths = torch.diff(ends, prepend=ends.new_zeros(1))
    middle = ends - widths / 2
    i = (middle * len(x)).long().clamp_max(len(x) - 1)
    j = (middle * len(y)).long().clamp_max(len(y) - 1)
    return float((widths * (x[i] - y[j]).abs()).sum())


def _on_a_line(samples: Tensor) -> Tensor:
    return _of_shape(samples, "samples on a line", "N", "N, 1").flatten()


def _sorted(rows: Tensor) -> Tensor:
    """Each row in ascending order. NumPy sorts these an order of magnitude faster than torch does, on one thread."""
    return torch.from_numpy(np.sort(rows.numpy()))


def _steps(n: int) -> Tensor:
    return torch.arange(1, n + 1, dtype=torch.float64) / n


def wasserstein_to_mixture(samples: Tensor, mixture: Mixture) -> float:
    """The exact Wasserstein-1 distance between a sample on a line, [N] or [N, 1], and a mixture of Gaussians on it.

    It is the area between the two distribution functions. Between neighbouring samples that of the sample is a constant c,
    so the area is a difference of the mixture's integrated distribution function, split where the two cross, at the
    quantile of c.
    """
    if mixture.dimensions != 1:
        raise SparringError("the mixture lies in a plane: `sliced_wasserstein` compares with samples of it")
    x = _sorted(_on_a_line(samples))
    n, integral = len(x), mixture.cdf_integral
    below = integral(x[:1])  # left of all samples: the integral of the mixture's own
    mean = (mixture.weights * mixture.means[:, 0]).sum()
    above = integral(x[-1:]) - (x[-1:] - mean)  # right of all: the integral of 1 - cdf
    total = below.sum() + above.sum()
    if n > 1:
        c = torch.arange(1, n, dtype=torch.float64) / n
        left, right = x[:-1], x[1:]
        crossing = _crossing(mixture, c, left, right)
        at = integral(crossing)
        under = c * (crossing - left) - (at - integral(left))
        over = (integral(right) - at) - c * (right - crossing)
        total = total + (under + over).sum()
    return float(total)


def _crossing(mixture: Mixture, c: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """The mixture's quantiles of c [N], each limited to its interval from left to right. Most need no bisection."""
    after_left, after_right = mixture.cdf(left) < c, mixture.cdf(right) < c
    crossing = torch.where(after_left, right, left)
    inside = after_left & ~after_right
    quantile = mixture.quantile(c[inside])
    crossing[inside] = torch.minimum(torch.maximum(quantile, left[inside]), right[inside])
    return crossing


class SlicedDistance:
    """The sliced Wasserstein distance of samples [M, 2] to points [N, 2], which are projected and sorted once."""

    def __init__(self, points: Tensor, *, directions: int = DIRECTIONS):
        if directions < 1:
            raise SparringError(f"directions are at least 1, got {directions}")
        angle = (torch.arange(directions, dtype=torch.float64) + 0.5) * math.pi / directions
        self._axes = torch.stack([angle.cos(), angle.sin()], 1)
        self._points = self._projected(points)

    def _projected(self, samples: Tensor) -> Tensor:
        """Samples [N, 2] seen from each direction, in ascending order, [directions, N]."""
        return _sorted(self._axes @ _of_shape(samples, "samples in a plane", "N, 2").T)

    def __call__(self, samples: Tensor) -> float:
        seen, points = self._projected(samples), self._points
        if seen.shape == points.shape:
            return float(seen.sub_(points).abs_().mean())
        return sum(map(wasserstein_1d, seen, points)) / len(seen)


def sliced_wasserstein(a: Tensor, b: Tensor, *, directions: int = DIRECTIONS) -> float:
    """The mean Wasserstein-1 distance of two samples [N, 2] and [M, 2] seen from evenly spaced directions.

    A shift by t alone gives 2 |t| / pi, the mean of |t cos|.
    """
    return SlicedDistance(b, directions=directions)(a)


def steps_to_reach(steps: Sequence[int], values: Sequence[float], level: float, *, higher: bool = False) -> int | None:
    """The first step at which a value is at most `level` (at least, with `higher`); None if it never is."""
    if len(steps) != len(values):
        raise SparringError(f"there are {len(steps)} steps and {len(values)} values: give one value for each step")
    reached = (
        step for step, value in zip(steps, values, strict=True) if (value >= level if higher else value <= level)
    )
    return next(reached, None)


def verdicts(realness: Tensor, of_data: float, of_samples: float) -> Tensor:
    """Which points [G] the discriminator accepts as real: its answer is nearer to that for data than to that for samples.

    The boundary is midway between its mean answers to both, so that every loss has one, whatever the scale of its scores.
    """
    _of_shape(realness, "answers", "G")
    _of_shape(torch.tensor([of_data, of_samples]), "mean answers", "2")
    return realness > (of_data + of_samples) / 2


def oscillation(looks: Tensor) -> float:
    """The mean share of places whose verdict changes from one look to the next, for looks [T, G] of bool, T >= 2."""
    if looks.ndim != 2 or len(looks) < 2 or not looks.numel():
        raise SparringError(f"oscillation compares looks [T, G], T at least 2, got {list(looks.shape)}")
    return float((looks[1:] != looks[:-1]).double().mean())
