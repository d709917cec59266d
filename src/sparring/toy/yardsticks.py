"""How near samples on a line or in a plane are to what they should be: exact numbers, where images have only estimates."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from sparring.errors import SparringError
from sparring.toy.gaussians import Mixture

NEAR = 3.0  # standard deviations from a mode within which a sample is of high quality (VEEGAN, Srivastava et al., 2017)
DIRECTIONS = 64  # of the sliced distance, evenly over half a turn


def nearest_modes(samples: Tensor, modes: Tensor, std: float | Tensor, *, near: float = NEAR) -> tuple[Tensor, Tensor]:
    """For samples [N, D]: the nearest of modes [M, D] by number [N], and whether it is within `near` * std [N].

    std: of all modes, or [M] of each; the nearest is then the one that is the fewest of its own deviations away.
    """
    deviations = torch.as_tensor(std, dtype=torch.float64).expand(len(modes))
    distance = torch.cdist(samples.double(), modes.double(), compute_mode="donot_use_mm_for_euclid_dist")
    mode = (distance * (deviations.min() / deviations)).argmin(1)  # times 1 exactly where all are equal
    return mode, distance.gather(1, mode[:, None])[:, 0] <= near * deviations[mode]


def modes_covered(samples: Tensor, modes: Tensor, std: float | Tensor, *, near: float = NEAR, at_least: int = 1) -> int:
    """The modes that are nearest to `at_least` samples of high quality."""
    mode, good = nearest_modes(samples, modes, std, near=near)
    return int((torch.bincount(mode[good], minlength=len(modes)) >= at_least).sum())


def high_quality_share(samples: Tensor, modes: Tensor, std: float | Tensor, *, near: float = NEAR) -> float:
    """The share of samples within `near` standard deviations of a mode. Of a plane's own Gaussians 98.9%, a line's 99.7%."""
    return float(nearest_modes(samples, modes, std, near=near)[1].double().mean())


def wasserstein_1d(a: Tensor, b: Tensor) -> float:
    """The exact Wasserstein-1 distance between two samples [N] and [M] on a line: the area between their quantiles."""
    x, y = a.double().flatten().sort().values, b.double().flatten().sort().values
    if len(x) == len(y):
        return float((x - y).abs().mean())
    ends = torch.cat([_steps(len(x)), _steps(len(y))]).sort().values
    widths = torch.diff(ends, prepend=ends.new_zeros(1))
    middle = ends - widths / 2
    i = (middle * len(x)).long().clamp_max(len(x) - 1)
    j = (middle * len(y)).long().clamp_max(len(y) - 1)
    return float((widths * (x[i] - y[j]).abs()).sum())


def _steps(n: int) -> Tensor:
    return torch.arange(1, n + 1, dtype=torch.float64) / n


def wasserstein_to_mixture(samples: Tensor, mixture: Mixture) -> float:
    """The exact Wasserstein-1 distance between a sample [N] on a line and a mixture of Gaussians: no second sample.

    It is the area between the two distribution functions. Between neighbouring samples that of the sample is a constant c,
    so the area is a difference of the mixture's integrated distribution function, split where the two cross, at the
    quantile of c.
    """
    x = samples.double().flatten().sort().values
    n, integral = len(x), mixture.cdf_integral
    below = integral(x[:1])  # left of all samples: the integral of the mixture's own
    mean = (mixture.weights * mixture.means[:, 0]).sum()
    above = integral(x[-1:]) - (x[-1:] - mean)  # right of all: the integral of 1 - cdf
    total = below.sum() + above.sum()
    if n > 1:
        c = torch.arange(1, n, dtype=torch.float64) / n
        left, right = x[:-1], x[1:]
        crossing = torch.minimum(torch.maximum(mixture.quantile(c), left), right)
        at = integral(crossing)
        under = c * (crossing - left) - (at - integral(left))
        over = (integral(right) - at) - c * (right - crossing)
        total = total + (under + over).sum()
    return float(total)


def sliced_wasserstein(a: Tensor, b: Tensor, *, directions: int = DIRECTIONS) -> float:
    """The mean Wasserstein-1 distance of two samples [N, 2] and [M, 2] seen from evenly spaced directions.

    A shift by t alone gives 2 |t| / pi, the mean of |t cos|.
    """
    angle = (torch.arange(directions, dtype=torch.float64) + 0.5) * math.pi / directions
    axes = torch.stack([angle.cos(), angle.sin()])
    seen_a, seen_b = (a.double() @ axes).T, (b.double() @ axes).T
    if len(a) == len(b):
        return float((seen_a.sort(1).values - seen_b.sort(1).values).abs().mean())
    return sum(wasserstein_1d(p, q) for p, q in zip(seen_a, seen_b, strict=True)) / directions


def steps_to_reach(steps: Sequence[int], values: Sequence[float], level: float, *, higher: bool = False) -> int | None:
    """The first step at which a value is at most `level` (at least, with `higher`); None where it never is."""
    if len(steps) != len(values):
        raise SparringError(f"there are {len(steps)} steps and {len(values)} values: give one value for each step")
    reached = (
        step for step, value in zip(steps, values, strict=True) if (value >= level if higher else value <= level)
    )
    return next(reached, None)


def verdicts(realness: Tensor, of_data: float, of_samples: float) -> Tensor:
    """Which points [G] the discriminator takes for real: nearer to how it judges data than to how it judges samples.

    The boundary is the middle of its mean answers to either. So every loss has one, on whatever scale its scores are.
    """
    return realness > (of_data + of_samples) / 2


def oscillation(looks: Tensor) -> float:
    """The mean share of places whose verdict changed from one look to the next, for looks [T, G] of bool, T >= 2."""
    if looks.ndim != 2 or len(looks) < 2:
        raise SparringError(f"oscillation compares looks [T, G], T at least 2, got {list(looks.shape)}")
    return float((looks[1:] != looks[:-1]).double().mean())
