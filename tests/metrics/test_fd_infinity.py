"""FD-infinity: the line by hand, and that it takes the bias away."""

import numpy as np
import pytest
import torch

from sparring.errors import SparringError
from sparring.metrics import GaussianStats, frechet_distance, frechet_distance_infinity


def test_the_value_is_where_the_line_in_1_over_n_ends():
    generator = torch.Generator().manual_seed(0)
    fake, real = torch.randn(200, 3, generator=generator), torch.randn(300, 3, generator=generator) + 0.5
    found = frechet_distance_infinity(fake, real, points=6, smallest=40)
    assert found.sizes == [40, 72, 104, 136, 168, 200]
    assert found.distances[-1] == pytest.approx(frechet_distance(fake, real), rel=1e-9)
    slope, value = np.polyfit(1 / np.array(found.sizes), np.array(found.distances), 1)
    assert (found.value, found.slope) == pytest.approx((value, slope), rel=1e-9)
    assert found == frechet_distance_infinity(fake, real, points=6, smallest=40)


def test_it_takes_the_bias_of_the_generated_set_away():
    # the real set is the Gaussian itself, so that only the generated one's bias is there: the truth is 0
    d = 16
    real = GaussianStats(d)
    real.n, real.scatter = None, torch.eye(d, dtype=torch.float64)
    plain, extrapolated = [], []
    for seed in range(5):
        fake = torch.randn(1000, d, generator=torch.Generator().manual_seed(seed))
        found = frechet_distance_infinity(fake, real)
        plain.append(found.distances[-1])
        extrapolated.append(found.value)
    assert np.mean(plain) > 0.05
    assert abs(np.mean(extrapolated)) < np.mean(plain) / 8


def test_all_subsets_differ_in_size_or_more_images_are_asked_for():
    for d in (1, 50):
        for n in (4, 5, 20, 26):
            with pytest.raises(SparringError, match=r"15 subsets of different sizes, .*: measure at least 27"):
                frechet_distance_infinity(torch.randn(n, 50), torch.randn(30, 50))
        for n in (27, 28, 31, 40):
            sizes = frechet_distance_infinity(torch.randn(n, d), torch.randn(30, d)).sizes
            assert len(set(sizes)) == 15 and sizes[-1] == n


def test_users_mistakes_are_named():
    x = torch.randn(10, 2)
    for wrong in ({"points": 2}, {"smallest": 10}, {"smallest": 1}):
        with pytest.raises(SparringError, match="at least 3 subsets"):
            frechet_distance_infinity(x, x, **wrong)
    for wrong in ({"points": 3.5}, {"points": True}, {"smallest": 5.5}, {"smallest": "5"}):
        with pytest.raises(SparringError, match="must be a whole number of at least 1"):
            frechet_distance_infinity(x, x, **wrong)
