"""What all functions on features refuse alike: one clear line each."""

import pytest
import torch

from sparring.errors import SparringError
from sparring.metrics import (
    frechet_distance,
    frechet_distance_infinity,
    intra_class_distances,
    kernel_distance,
    kernel_distance_subsets,
    precision_recall_density_coverage,
)

X = torch.randn(27, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def intra(a, b):
    return intra_class_distances(a, torch.zeros(27).long(), b, torch.zeros(27).long())


def subsets(a, b):
    return kernel_distance_subsets(a, b, subset_size=4)


FUNCTIONS = [
    frechet_distance,
    frechet_distance_infinity,
    intra,
    kernel_distance,
    subsets,
    precision_recall_density_coverage,
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_is_no_features_is_refused_by_all(function):
    function(X, X.flip(0))
    for wrong in (X[:, :0], torch.tensor(1.0), X[0], X.long(), X.tolist()):
        for pair in ((wrong, X), (X, wrong)):
            with pytest.raises(SparringError, match="float tensor"):
                function(*pair)
    with pytest.raises(SparringError, match="same dimension, got 3 and 2"):
        function(X, X[:, :2])
    with pytest.raises(SparringError, match="row 4 is not"):
        function(X, X.index_fill(0, torch.tensor([4]), float("nan")))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_features_too_large_for_an_answer_are_refused_by_all(function):
    with pytest.raises(SparringError, match="is not finite"):
        function(X * 1e200, X)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_half_precision_is_read(function):
    half, whole = function(X.bfloat16(), X.flip(1)), function(X.bfloat16().double(), X.flip(1))
    assert half == whole
