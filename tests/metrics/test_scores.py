"""Inception Score and AM score: values worked by hand, loops, and torch-fidelity on the same logits."""

import math

import pytest
import torch

from sparring.errors import SparringError
from sparring.metrics import am_score, inception_score, inception_score_from_logits
from sparring.metrics.score_is import SHUFFLE


def probabilities(n, c, seed, *, sharp=3.0):
    logits = torch.randn(n, c, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * sharp
    return logits.softmax(1)


def test_sure_and_balanced_predictions_score_the_number_of_classes():
    assert inception_score(torch.eye(7), splits=1) == pytest.approx((7, 0), abs=1e-12)


def test_one_class_alone_and_uniform_predictions_score_one():
    assert inception_score(torch.eye(4)[[2] * 6], splits=2) == pytest.approx((1, 0), abs=1e-12)
    assert inception_score(torch.full((6, 4), 0.25), splits=3) == pytest.approx((1, 0), abs=1e-12)


def test_two_images_by_hand():
    # p = (3/4, 1/4) and (1/4, 3/4): marginal (1/2, 1/2), KL = 3/4 log(3/2) + 1/4 log(1/2) for both
    p = torch.tensor([[0.75, 0.25], [0.25, 0.75]])
    want = math.exp(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert inception_score(p, splits=1)[0] == pytest.approx(want, rel=1e-12)


def test_groups_are_consecutive_and_all_rows_are_used():
    p = probabilities(11, 5, 0)
    scores = [inception_score(p[start:stop], splits=1)[0] for start, stop in ((0, 3), (3, 7), (7, 11))]
    mean = sum(scores) / 3
    deviation = math.sqrt(sum((score - mean) ** 2 for score in scores) / 3)
    assert deviation > 0.1
    assert inception_score(p, splits=3) == pytest.approx((mean, deviation), rel=1e-12)


def test_rows_that_sum_to_one_but_for_rounding_are_normalised():
    p = probabilities(8, 5, 6)
    scaled = p * torch.linspace(0.9995, 1.0005, 8, dtype=torch.float64)[:, None]
    assert inception_score(scaled, splits=2) == pytest.approx(inception_score(p, splits=2), rel=1e-12)
    assert am_score(generated=scaled, train=scaled) == pytest.approx(am_score(generated=p, train=p), rel=1e-12)


def test_agrees_with_torch_fidelity():
    reference = pytest.importorskip("torch_fidelity.metric_isc")
    logits = torch.randn(103, 10, generator=torch.Generator().manual_seed(1)) * 4
    want = reference.isc_features_to_metric(logits, splits=10, shuffle=False)
    got = inception_score_from_logits(logits, splits=10)
    assert got == pytest.approx((want["inception_score_mean"], want["inception_score_std"]), rel=1e-12)
    assert inception_score(logits.double().softmax(1), splits=10) == pytest.approx(got, rel=1e-10)


@pytest.mark.parametrize("splits", [1, 10])
def test_agrees_with_torch_fidelitys_default_which_shuffles(splits):
    reference = pytest.importorskip("torch_fidelity.metric_isc")
    logits = torch.eye(10).repeat_interleave(11, 0) * 6  # class by class, as a folder is read
    want = reference.isc_features_to_metric(logits, splits=splits)
    got = inception_score_from_logits(logits, splits, shuffle=SHUFFLE)
    assert got == pytest.approx((want["inception_score_mean"], want["inception_score_std"]), rel=1e-12)
    assert inception_score(logits.double().softmax(1), splits, shuffle=SHUFFLE) == pytest.approx(got, rel=1e-10)
    assert splits == 1 or inception_score_from_logits(logits, splits)[0] < 1.5 < 4 < got[0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_softmax_in_half_precision_is_a_distribution(dtype):
    p = probabilities(40, 10, 8)
    halves = p.log().to(dtype).softmax(1)
    assert (halves.double().sum(1) - 1).abs().max() > 1e-4
    assert inception_score(halves, splits=1)[0] == pytest.approx(inception_score(p, splits=1)[0], rel=0.02)


def test_extreme_logits_are_finite():
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]])
    assert inception_score_from_logits(logits, splits=1)[0] == pytest.approx(2, abs=1e-12)


def test_am_score_by_hand():
    # train half and half; both fakes (3/4, 1/4): KL = log(1/2) - (log(3/4) + log(1/4)) / 2, plus the entropy of (3/4, 1/4)
    train, generated = torch.eye(2), torch.tensor([[0.75, 0.25], [0.75, 0.25]])
    divergence = math.log(0.5) - 0.5 * (math.log(0.75) + math.log(0.25))
    entropy = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert am_score(generated=generated, train=train) == pytest.approx(divergence + entropy, rel=1e-12)
    assert am_score(generated=generated, train=torch.tensor([[0.5, 0.5]])) == pytest.approx(divergence + entropy)


def test_am_score_is_equation_14_by_loops():
    train, generated = probabilities(9, 4, 2), probabilities(6, 4, 3)
    p = [sum(row[c].item() for row in train) / 9 for c in range(4)]
    q = [sum(row[c].item() for row in generated) / 6 for c in range(4)]
    entropy = sum(-x.item() * math.log(x.item()) for row in generated for x in row) / 6
    want = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)) + entropy
    assert am_score(generated=generated, train=train) == pytest.approx(want, rel=1e-11)


@pytest.mark.parametrize("train", [[[1.0, 0.0, 0.0]], torch.tensor(1.0), torch.ones(3) / 3, torch.ones(1, 3, 1) / 3])
def test_am_score_says_what_the_train_images_predictions_must_be(train):
    with pytest.raises(SparringError, match=r"must be a float tensor \[N, C\]"):
        am_score(generated=torch.eye(3), train=train)


def test_am_score_ends():
    assert am_score(generated=torch.eye(3), train=torch.eye(3)) == pytest.approx(0, abs=1e-12)
    assert am_score(generated=torch.eye(3)[:2], train=torch.eye(3)) == math.inf  # a class that is never made
    # a class that the train set lacks costs no infinity: KL runs over the train set's classes
    assert am_score(generated=torch.eye(3), train=torch.eye(3)[:2]) == pytest.approx(math.log(1.5))


def test_users_mistakes_are_named():
    p = probabilities(5, 3, 4)
    with pytest.raises(SparringError, match="got 6 for 5 images: use fewer"):
        inception_score(p, splits=6)
    with pytest.raises(SparringError, match="sum to 1"):
        inception_score(p * 1.1, splits=1)
    with pytest.raises(SparringError, match="sum to 1"):
        am_score(generated=p.log(), train=p)
    with pytest.raises(SparringError, match="finite"):
        inception_score_from_logits(torch.tensor([[math.nan, 0.0]]), splits=1)
    with pytest.raises(SparringError, match=r"\[3\]"):
        inception_score(p[0], splits=1)
    with pytest.raises(SparringError, match="same classifier, got 3 and 2"):
        am_score(generated=p, train=torch.eye(2))
    for wrong in (torch.tensor(1.0), p[:, :0], p.long()):
        with pytest.raises(SparringError, match="float tensor"):
            inception_score(wrong, splits=1)
