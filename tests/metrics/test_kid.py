"""Kernel distance: longhand loops, a value by hand, torch-fidelity on the same features, blocks."""

import pytest
import torch

from sparring.errors import SparringError
from sparring.metrics import kernel_distance, kernel_distance_subsets, kid


def features(n, d, seed, shift=0.0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def longhand(x, y):
    def k(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    x, y = x.tolist(), y.tolist()
    m, n = len(x), len(y)
    within_x = sum(k(x[i], x[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    within_y = sum(k(y[i], y[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return within_x + within_y - 2 * sum(k(a, b) for a in x for b in y) / (m * n)


def test_one_dimension_by_hand():
    # k(0, 1) = 1 within x; k(2, 3) = 7^3 = 343 within y; across: k(0, .) = 1 twice, k(1, 2) = 27, k(1, 3) = 64
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[2.0], [3.0]])
    assert kernel_distance(x, y) == pytest.approx(1 + 343 - 2 * (1 + 1 + 27 + 64) / 4, rel=1e-14)


@pytest.mark.parametrize("block", [1, 3, 2048])
def test_equals_longhand_whatever_the_blocks(monkeypatch, block):
    monkeypatch.setattr(kid, "BLOCK", block)
    x, y = features(7, 4, 0), features(5, 4, 1, shift=0.5)
    assert kernel_distance(x, y) == pytest.approx(longhand(x, y), rel=1e-12)
    assert kernel_distance(y, x) == pytest.approx(longhand(x, y), rel=1e-12)


def test_a_whole_set_as_its_only_subset_is_the_full_estimate():
    x, y = features(12, 4, 2), features(12, 4, 3, shift=0.2)
    mean, deviation = kernel_distance_subsets(x, y, subsets=3, subset_size=12)
    assert mean == pytest.approx(kernel_distance(x, y), rel=1e-12)
    assert deviation == pytest.approx(0, abs=1e-12)


def test_subsets_are_seeded_differ_and_are_unbiased_for_the_full_estimate():
    x, y = features(40, 4, 4), features(30, 4, 5, shift=0.3)
    mean, deviation = kernel_distance_subsets(x, y, subsets=400, subset_size=10, seed=1)
    assert (mean, deviation) == kernel_distance_subsets(x, y, subsets=400, subset_size=10, seed=1)
    assert mean != kernel_distance_subsets(x, y, subsets=400, subset_size=10, seed=2)[0]
    assert deviation > 0.05
    assert mean == pytest.approx(kernel_distance(x, y), abs=4 * deviation / 400**0.5)


def test_agrees_with_torch_fidelity():
    reference = pytest.importorskip("torch_fidelity.metric_kid")
    x, y = features(60, 16, 6), features(60, 16, 7, shift=0.2)
    want = reference.kid_features_to_metric(
        x, y, kid_subsets=1, kid_subset_size=60, kid_kernel="poly", kid_kernel_poly_degree=3,
        kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1.0, verbose=False, rng_seed=0,
    )  # fmt: skip
    assert kernel_distance(x, y) == pytest.approx(want["kernel_inception_distance_mean"], rel=1e-10)


def test_users_mistakes_are_named():
    x = features(5, 4, 8)
    with pytest.raises(SparringError, match="got 4 and 2"):
        kernel_distance(x, x[:, :2])
    with pytest.raises(SparringError, match=r"at least 2 .* got 1"):
        kernel_distance(x[:1], x)
    with pytest.raises(SparringError, match=r"at least 6 .* got 5"):
        kernel_distance_subsets(x, x, subset_size=6)
    with pytest.raises(SparringError, match="finite"):
        kernel_distance(x, x * float("nan"))
    with pytest.raises(SparringError, match=r"number of subsets .* at least 1, got 0"):
        kernel_distance_subsets(x, x, subsets=0, subset_size=5)
    for size in (1, 5.0):
        with pytest.raises(SparringError, match=f"size of a .* whole number of at least 2, got {size}"):
            kernel_distance_subsets(x, x, subset_size=size)
