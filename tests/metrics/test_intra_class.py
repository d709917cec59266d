"""Distances within classes: a loop by hand, left-out rows, and wrong labels."""

import pytest
import torch

from sparring.errors import SparringError
from sparring.metrics import frechet_distance, intra_class_distances


def rows(n, seed, shift=0.0):
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def test_each_class_is_measured_alone():
    a, b = rows(30, 0), rows(40, 1)
    labels_a, labels_b = torch.arange(30) % 3, (torch.arange(40) * 7) % 3
    a = a + labels_a[:, None] * 5  # classes far apart: mixing them up shows
    b = b + labels_b[:, None] * 5 + (labels_b == 2)[:, None]
    found = intra_class_distances(a, labels_a, b, labels_b)
    want = [frechet_distance(a[labels_a == k], b[labels_b == k]) for k in range(3)]
    assert list(found.values) == pytest.approx(want, rel=1e-12)
    assert found.mean == pytest.approx(sum(want) / 3) and found.median == pytest.approx(sorted(want)[1])
    assert found.n_a == (10, 10, 10) and sum(found.n_b) == 40
    assert found.order()[-1] == 2 and found.skipped == 0


def test_the_covariances_count_and_both_are_used():
    # equal means: variances 2 and 8 along one axis; (sqrt 8 - sqrt 2)^2 = 2
    a, b = torch.tensor([[-1.0], [1.0]]), torch.tensor([[-2.0], [2.0]])
    found = intra_class_distances(a, torch.zeros(2).long(), b, torch.zeros(2).long())
    assert found.mean == pytest.approx(2, abs=1e-12)


def test_unknown_labels_are_left_out_and_thin_classes_skipped():
    a, b = rows(12, 2), rows(12, 3)
    labels_a = torch.tensor([0] * 5 + [-1] * 3 + [2] * 4)
    labels_b = torch.tensor([0] * 5 + [1] * 3 + [2] + [-1] * 3)
    found = intra_class_distances(a, labels_a, b, labels_b, 4)
    assert found.values[1:] == (None, None, None) and found.skipped == 3
    assert found.mean == pytest.approx(frechet_distance(a[:5], b[:5]), rel=1e-12)
    assert found.n_a == (5, 0, 4, 0) and found.n_b == (5, 3, 1, 0)


def test_users_mistakes_are_named():
    a, labels = rows(6, 4), torch.arange(6) % 2
    with pytest.raises(SparringError, match="one integer label per image"):
        intra_class_distances(a, labels[:5], a, labels)
    with pytest.raises(SparringError, match="one integer label per image"):
        intra_class_distances(a, labels.float(), a, labels)
    for wrong in (None, labels.tolist(), labels > 0, labels[:, None]):
        with pytest.raises(SparringError, match=r"one integer label per image, got .*: give an integer tensor \[6\]"):
            intra_class_distances(a, wrong, a, labels)
    with pytest.raises(SparringError, match="label 1 is out of range: classes are 0 to 0"):
        intra_class_distances(a, labels, a, labels, 1)
    with pytest.raises(SparringError, match="none of the 6 classes"):
        intra_class_distances(a, torch.arange(6), a, torch.arange(6))
