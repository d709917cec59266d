"""The yardsticks on handmade samples, with answers known in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from sparring.errors import SparringError
from sparring.randomness import normal
from sparring.toy.gaussians import Mixture
from sparring.toy.session import numbers_of
from sparring.toy.worlds import world
from sparring.toy.yardsticks import (
    SlicedDistance,
    _crossing,
    high_quality_share,
    modes_and_quality,
    modes_covered,
    nearest_modes,
    oscillation,
    sliced_wasserstein,
    steps_to_reach,
    verdicts,
    wasserstein_1d,
    wasserstein_to_mixture,
)

MODES = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])


def test_modes_are_counted_where_samples_are_near_enough() -> None:
    samples = torch.tensor([[0.1, 0.0], [0.0, -0.29], [10.0, 0.31], [0.2, 10.0], [5.0, 5.0]])
    mode, good = nearest_modes(samples, MODES, 0.1)
    assert mode[:4].tolist() == [0, 0, 1, 2]
    assert good.tolist() == [True, True, False, True, False]  # 0.31 is beyond 3 x 0.1
    assert modes_covered(samples, MODES, 0.1) == 2
    assert modes_covered(samples, MODES, 0.1, at_least=2) == 1
    assert modes_covered(samples, MODES, 0.1, near=3.2) == 3
    assert high_quality_share(samples, MODES, 0.1) == pytest.approx(3 / 5)
    assert torch.equal(nearest_modes(samples, MODES, torch.full((len(MODES),), 0.1))[0], mode)


def test_each_mode_has_its_own_standard_deviation() -> None:
    modes, stds = torch.tensor([[0.0], [10.0]]), torch.tensor([0.1, 2.0], dtype=torch.float64)
    samples = torch.tensor([[0.29], [0.31], [4.5], [15.9], [3.9]])
    mode, good = nearest_modes(samples, modes, stds)
    assert mode.tolist() == [0, 0, 1, 1, 1] and good.tolist() == [True, False, True, True, False]
    assert modes_covered(samples[:2], modes, stds) == 1
    wide = world("gaussians", {"means": [0, 10], "stds": [0.1, 2.0]})
    assert numbers_of(wide, torch.full((50, 1), 1.0))["high_quality"] == 0  # ten deviations from the narrow one


def test_a_sample_midway_counts_for_no_mode() -> None:
    assert modes_covered(torch.tensor([[5.0, 0.0]]), MODES, 0.1) == 0


def test_a_plane_gaussian_has_its_rayleigh_share_within_three_deviations() -> None:
    samples = 0.1 * normal((40_000, 2), "rayleigh")
    assert high_quality_share(samples, torch.zeros(1, 2), 0.1) == pytest.approx(1 - math.exp(-4.5), abs=0.003)


def test_wasserstein_on_a_line_by_hand() -> None:
    assert wasserstein_1d(torch.tensor([3.0, 1.0]), torch.tensor([2.0, 5.0])) == pytest.approx(1.5)  # |1-2|, |3-5|
    a = torch.tensor([0.0, 1.0])
    b = torch.tensor([0.0, 0.0, 3.0])  # quantiles differ by 0, 0, then by 1 on (1/2, 2/3) and by 2 on (2/3, 1)
    assert wasserstein_1d(a, b) == pytest.approx(1 / 6 + 2 / 3)
    assert wasserstein_1d(b, a) == pytest.approx(1 / 6 + 2 / 3)


def test_wasserstein_of_a_shift_is_the_shift() -> None:
    x = normal((500,), "shift")
    assert wasserstein_1d(x, x + 0.75) == pytest.approx(0.75, abs=1e-6)


def test_wasserstein_to_a_gaussian_of_one_point_is_its_mean_deviation() -> None:
    """E |X - mu| = sigma sqrt(2 / pi); off the mean, sigma (z (2 Phi(z) - 1) + 2 phi(z))."""
    gaussian = Mixture.of([2.0], 0.5)
    assert wasserstein_to_mixture(torch.tensor([[2.0]]), gaussian) == pytest.approx(0.5 * math.sqrt(2 / math.pi))
    z = 1.3
    expected = 0.5 * (z * math.erf(z / math.sqrt(2)) + 2 * math.exp(-z * z / 2) / math.sqrt(2 * math.pi))
    assert wasserstein_to_mixture(torch.tensor([[2.0 + z * 0.5]]), gaussian) == pytest.approx(expected, rel=1e-6)


def test_wasserstein_to_a_mixture_is_the_area_between_distribution_functions() -> None:
    """Compared with a sum over two million thin slices, for samples inside, beyond and between the modes."""
    mixture = Mixture.of([-1.0, 2.0], [0.3, 0.6], [1.0, 2.0])
    samples = torch.tensor([-4.0, -1.1, -1.0, 0.4, 0.5, 2.2, 7.0], dtype=torch.float64)
    edges = torch.linspace(-12, 12, 2_000_001, dtype=torch.float64)
    x = (edges[1:] + edges[:-1]) / 2
    empirical = torch.searchsorted(samples, x, right=True).double() / len(samples)
    area = ((empirical - mixture.cdf(x)).abs().sum() * 24 / 2_000_000).item()
    assert wasserstein_to_mixture(samples, mixture) == pytest.approx(area, abs=1e-5)


def test_wasserstein_to_a_far_gaussian_is_the_distance() -> None:
    assert wasserstein_to_mixture(torch.full((3, 1), 100.0), Mixture.of([0.0], 1.0)) == pytest.approx(100.0)


def test_sliced_wasserstein_of_a_shift() -> None:
    """|t . theta| averages to 2 |t| / pi over all directions."""
    x = normal((200, 2), "sliced").double()
    t = torch.tensor([0.6, -0.8], dtype=torch.float64)
    assert sliced_wasserstein(x, x + 3 * t) == pytest.approx(6 / math.pi, rel=1e-3)
    assert sliced_wasserstein(x, x + 3 * t, directions=2) == pytest.approx(3 * (0.2 + 1.4) / math.sqrt(2) / 2)
    assert sliced_wasserstein(x, x) == 0


def test_sliced_wasserstein_takes_samples_of_different_sizes() -> None:
    x = normal((60, 2), "sizes").double()
    assert sliced_wasserstein(x, torch.cat([x, x]) + 1) == pytest.approx(sliced_wasserstein(x, x + 1))


def test_quick_forms_equal_the_plain_ones() -> None:
    """Sorted by NumPy, projected once, bisected only where the curves cross: the values of torch's plain forms."""
    x, y = normal((300, 2), "quick", 1).double(), normal((300, 2), "quick", 2).double() + 0.3
    angle = (torch.arange(64, dtype=torch.float64) + 0.5) * math.pi / 64
    seen_x, seen_y = ((points @ torch.stack([angle.cos(), angle.sin()])).T.sort(1).values for points in (x, y))
    distance = SlicedDistance(y)
    assert distance(x) == distance(x) == sliced_wasserstein(x, y) == (seen_x - seen_y).abs().mean().item()
    assert distance(x[:200]) == pytest.approx(sliced_wasserstein(x[:200], y), rel=1e-12)
    mode, good = nearest_modes(x, MODES / 10, 0.3)
    by_torch = torch.cdist(x, MODES.double() / 10, compute_mode="donot_use_mm_for_euclid_dist").min(1)
    assert torch.equal(mode, by_torch.indices) and torch.equal(good, by_torch.values <= 0.9)
    assert modes_and_quality(x, MODES / 10, 0.3) == (3, good.double().mean().item())

    mixture = Mixture.of([-1.0, 0.5, 4.0], [0.3, 0.6, 0.2], [1.0, 2.0, 0.5])
    u = torch.linspace(0.001, 0.999, 301, dtype=torch.float64)
    low, high = torch.full_like(u, -30), torch.full_like(u, 30)
    for _ in range(200):
        middle = (low + high) / 2
        below = mixture.cdf(middle) < u
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    quantiles = mixture.quantile(u)
    assert torch.allclose(quantiles, (low + high) / 2, rtol=1e-13, atol=1e-13)
    samples = x[:, 0].sort().values
    limited = torch.minimum(torch.maximum(mixture.quantile(u[:299]), samples[:-1]), samples[1:])
    assert torch.equal(_crossing(mixture, u[:299], samples[:-1], samples[1:]), limited)


LINE, PLANE = torch.rand(5), torch.rand(5, 2)
ON_A_LINE, IN_A_PLANE = Mixture.of([0.0, 2.0], 0.5), Mixture.of([[0.0, 1.0]], 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wasserstein_to_mixture(torch.empty(0, 1), ON_A_LINE), r"at least one, got \[0, 1\]"),
        (lambda: wasserstein_to_mixture(PLANE, ON_A_LINE), r"\[N\] or \[N, 1\] and at least one, got \[5, 2\]"),
        (lambda: wasserstein_to_mixture(LINE, IN_A_PLANE), "mixture lies in a plane"),
        (lambda: wasserstein_1d(PLANE, PLANE), r"got \[5, 2\]"),
        (lambda: wasserstein_1d(LINE, torch.empty(0)), r"got \[0\]"),
        (lambda: wasserstein_1d(LINE, torch.tensor([1.0, math.nan])), "finite, got 1 value that is not"),
        (lambda: wasserstein_1d(LINE, torch.tensor([math.inf, math.nan])), "finite, got 2 values that are not"),
        (lambda: sliced_wasserstein(LINE, LINE), r"\[N, 2\] and at least one, got \[5\]"),
        (lambda: sliced_wasserstein(PLANE, torch.rand(5, 3)), r"got \[5, 3\]"),
        (lambda: sliced_wasserstein(PLANE, torch.empty(0, 2)), r"got \[0, 2\]"),
        (lambda: sliced_wasserstein(PLANE, PLANE, directions=0), "directions are at least 1"),
        (lambda: high_quality_share(torch.empty(0, 2), MODES, 0.1), r"got \[0, 2\]"),
        (lambda: modes_covered(LINE, MODES, 0.1), r"\[N, D\]"),
        (lambda: modes_covered(torch.rand(5, 1), MODES, 0.1), "samples have 1 coordinates and modes 2"),
        (lambda: nearest_modes(PLANE, MODES, torch.ones(2)), "one for each of the 3 modes"),
        (lambda: nearest_modes(PLANE, MODES, 0.0), "above 0"),
        (lambda: verdicts(LINE, math.inf, 0.0), "mean answers must be finite"),
        (lambda: oscillation(torch.empty(3, 0)), "T at least 2"),
    ],
)
def test_input_that_is_not_a_sample_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(SparringError, match=message):
        call()


def test_samples_on_a_line_may_be_a_column() -> None:
    assert wasserstein_1d(LINE[:, None], LINE + 1) == pytest.approx(1)
    assert wasserstein_to_mixture(LINE[:, None], ON_A_LINE) == wasserstein_to_mixture(LINE, ON_A_LINE)


def test_steps_to_reach_a_level() -> None:
    steps, falling = [0, 10, 20, 30], [4.0, 2.0, 0.5, 0.9]
    assert steps_to_reach(steps, falling, 0.5) == 20
    assert steps_to_reach(steps, falling, 0.4) is None
    assert steps_to_reach(steps, falling, 2.0, higher=True) == 0
    with pytest.raises(SparringError, match="4 steps and 1 values"):
        steps_to_reach(steps, [1.0], 0.5)


def test_verdicts_and_oscillation() -> None:
    assert verdicts(torch.tensor([0.0, 1.0, 2.0, 3.0]), of_data=3.0, of_samples=0.5).tolist() == [
        False,
        False,
        True,
        True,
    ]
    looks = torch.tensor([[True, True, False, False], [True, False, False, False], [False, True, True, False]])
    assert oscillation(looks) == pytest.approx((1 / 4 + 3 / 4) / 2)
    assert oscillation(looks[[0, 0, 0]]) == 0
    with pytest.raises(SparringError, match="T at least 2"):
        oscillation(looks[:1])
