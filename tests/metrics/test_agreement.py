"""The same features and logits through torch-fidelity: FID, IS and KID are the same numbers."""

import pytest
import torch

from sparring.metrics import frechet_distance, inception_score_from_logits, kernel_distance_subsets
from sparring.metrics.kid import kernel_distance

pytest.importorskip("torch_fidelity")


def features(n, d, seed, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(n, d, generator=generator, dtype=torch.float64) * scale).relu()


def test_fid():
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    x, y = features(400, 32, 0), features(300, 32, 1, 1.2)
    statistics = [fid_features_to_statistics(each) for each in (x, y)]
    want = fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"]
    assert frechet_distance(x, y) == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize("splits", [1, 10])
def test_inception_score(splits):
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = torch.randn(500, 20, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 3
    want = isc_features_to_metric(logits, splits=splits, shuffle=False)
    mean, deviation = inception_score_from_logits(logits, splits)
    assert mean == pytest.approx(want["inception_score_mean"], rel=1e-9)
    assert deviation == pytest.approx(want["inception_score_std"], rel=1e-6, abs=1e-12)


def test_kid_of_whole_sets():
    # its subsets are numpy's random choice, so the sets themselves are taken as the one subset
    from torch_fidelity.metric_kid import kid_features_to_metric

    x, y = features(120, 16, 3), features(120, 16, 4, 1.2)
    want = kid_features_to_metric(x, y, kid_subsets=1, kid_subset_size=120, verbose=False)
    assert kernel_distance(x, y) == pytest.approx(want["kernel_inception_distance_mean"], rel=1e-9)
    ours = kernel_distance_subsets(x, y, subsets=1, subset_size=120)[0]
    assert ours == pytest.approx(want["kernel_inception_distance_mean"], rel=1e-9)
