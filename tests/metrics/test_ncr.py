"""NCR and its companions against loops over plain floats, numbers worked by hand, and pytorch-ood's."""

from math import exp, log

import numpy as np
import pytest
import torch

from sparring.errors import SparringError
from sparring.metrics.ncr import NCR, NCRResult, auroc, expected_calibration_error, fpr_at_95, ncr


def probabilities(row):
    total = sum(exp(v) for v in row)
    return [exp(v) / total for v in row]


def sample(n=60, classes=4, seed=0):
    """Logits with ties among them, labels with a third of negatives, the last class included."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, classes, generator=generator) * 2
    logits[1::7] = logits[0]
    labels = torch.randint(0, classes, (n,), generator=generator)
    labels[::3] = -1 - torch.arange(len(labels[::3])) % 3
    labels[1] = classes - 1
    return logits, labels


def longhand(logits, labels, thresholds):
    """Everything by its definition, in loops."""
    pos, neg, correct = [], [], []
    for row, label in zip(logits.double().tolist(), labels.tolist(), strict=True):
        p = probabilities(row)
        (pos if label >= 0 else neg).append(max(p))
        if label >= 0:
            correct.append(p.index(max(p)) == label)
    wins = sum((a > b) + 0.5 * (a == b) for a in pos for b in neg)
    # every confidence is tried as the threshold; the first that catches 95% of the negatives counts
    lost = next(
        sum(a <= t for a in pos) / len(pos)
        for t in sorted(pos + neg)
        if sum(b <= t for b in neg) >= 0.95 * len(neg) - 1e-9
    )
    gap = 0.0
    for b in range(15):
        inside = [i for i, a in enumerate(pos) if b / 15 < a <= (b + 1) / 15]
        if inside:
            accuracy = sum(correct[i] for i in inside) / len(inside)
            gap += len(inside) / len(pos) * abs(accuracy - sum(pos[i] for i in inside) / len(inside))
    return {
        "ncr": {t: sum(b > t for b in neg) / len(neg) for t in thresholds},
        "coverage": {t: sum(a > t for a in pos) / len(pos) for t in thresholds},
        "accuracy": sum(correct) / len(correct),
        "auroc": wins / len(pos) / len(neg),
        "fpr95": lost,
        "ece": gap,
    }


@pytest.mark.parametrize("seed", range(4))
def test_every_number_equals_its_definition(seed):
    logits, labels = sample(seed=seed)
    thresholds = (0.3, 0.4, 0.6, 0.8, 0.9)
    found, expected = ncr(logits, labels, thresholds), longhand(logits, labels, thresholds)
    for name, value in expected.items():
        assert getattr(found, name) == pytest.approx(value, abs=1e-12), name
    assert (found.n_negatives, found.n_positives) == (20, 40)


def test_worked_by_hand():
    """Two classes; p of the first: .95 .7 .55 for positives of class 0, .85 .6 for negatives."""
    p = torch.tensor([0.95, 0.7, 0.55, 0.85, 0.6], dtype=torch.float64)
    logits = torch.stack([p.log(), (1 - p).log()], 1)
    found = ncr(logits, torch.tensor([0, 0, 1, -1, -1]), thresholds=(0.5, 0.8, 0.9))
    assert dict(found) == {0.5: 1.0, 0.8: 0.5, 0.9: 0.0} and found[0.8] == 0.5
    assert found.coverage == pytest.approx({0.5: 1.0, 0.8: 1 / 3, 0.9: 1 / 3})
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.auroc == pytest.approx((2 + 1 + 0) / 6)  # .95 beats both, .7 one, .55 none
    assert found.fpr95 == pytest.approx(2 / 3)  # both negatives must be caught, at .85: .7 and .55 are lost
    assert found.ece == pytest.approx((0.05 + 0.3 + 0.55) / 3)  # each in a bin of its own


def test_the_comparison_is_strict_and_half_a_probability_is_not_above_a_half():
    logits = torch.zeros(3, 2)
    assert dict(ncr(logits, torch.full((3,), -1), thresholds=(0.5, 0.499))) == {0.5: 0.0, 0.499: 1.0}


def test_the_papers_thresholds_are_the_default():
    assert list(ncr(*sample())) == [0.4, 0.6, 0.8, 0.9]


def test_a_flat_classifier_wins_ncr_and_shows_in_everything_else():
    found = ncr(torch.randn(40, 5) * 1e-3, torch.tensor([0, 1, 2, 3, 4, -1, -1, -1] * 5))
    assert set(found.values()) == {0.0}
    assert set(found.coverage.values()) == {0.0} and found.accuracy < 0.6 and 0.2 < found.auroc < 0.8


def test_streaming_equals_all_at_once_and_merging_too():
    logits, labels = sample(97)
    whole = ncr(logits, labels)
    stream, left, right = NCR(), NCR(), NCR()
    for start in range(0, 97, 10):
        stream.update(logits[start : start + 10], labels[start : start + 10])
        (left if start < 50 else right).update(logits[start : start + 10], labels[start : start + 10])
    assert stream.compute() == whole == left.merge(right).compute()
    stream.reset()
    with pytest.raises(SparringError, match="needs negatives"):
        stream.compute()


def test_without_positives_only_ncr_is_known():
    found = ncr(torch.tensor([[3.0, 0.0]]), torch.tensor([-5]))
    assert found[0.9] == 1.0 and found.n_positives == 0
    assert (found.accuracy, found.coverage, found.auroc, found.fpr95, found.ece) == (None,) * 5
    assert found.to_dict()["ncr"] == {"0.4": 1.0, "0.6": 1.0, "0.8": 1.0, "0.9": 1.0}


def test_an_extra_class_takes_probability_and_never_counts_as_confidence():
    logits = torch.tensor([[0.0, log(2), log(5)], [log(6), log(1), log(3)], [0.0, 0.0, 9.0]])
    found = ncr(logits, torch.tensor([-1, 0, 1]), thresholds=(0.2, 0.3), num_classes=2)
    assert found.ncr == {0.2: 1.0, 0.3: 0.0}  # 2 / 8
    assert found.coverage == {0.2: 0.5, 0.3: 0.5}  # 6 / 10, and next to nothing
    assert found.accuracy == 0.5  # the third was taken for a negative
    with pytest.raises(SparringError, match="label 2 is out of range: labels of 2 classes"):
        ncr(logits, torch.tensor([-1, 0, 2]), num_classes=2)


def test_half_precision_logits_are_measured_in_double():
    logits = torch.tensor([[8.0, 0.0], [9.0, 0.0], [0.0, 7.0]], dtype=torch.float16)
    found = ncr(logits, torch.tensor([0, -1, -1]), thresholds=(0.9995,))
    assert found[0.9995] == 0.5 and found.auroc == 0.5


@pytest.mark.parametrize("seed", range(3))
def test_auroc_and_fpr95_are_pytorch_oods(seed):
    metrics = pytest.importorskip("pytorch_ood.metrics")
    detectors = pytest.importorskip("pytorch_ood.detector")
    logits, labels = sample(83, seed=seed)
    scores = detectors.MaxSoftmax.score(logits)
    theirs = metrics.OODMetrics().update(scores, labels).compute()
    found = ncr(logits, labels)
    assert found.auroc == pytest.approx(theirs["AUROC"], abs=1e-6)
    assert found.fpr95 == pytest.approx(theirs["FPR95TPR"], abs=1e-6)
    for t, share in found.items():
        assert share == pytest.approx(float((scores[labels < 0] < -t).float().mean()))


def test_pieces_on_their_own():
    one, two = torch.tensor([0.5, 0.5]), torch.tensor([0.5])
    assert auroc(one, two) == 0.5
    assert auroc(torch.tensor([0.9, 0.8]), torch.tensor([0.1])) == 1.0
    assert fpr_at_95(torch.arange(1, 101) / 100, torch.arange(1, 21) / 100) == pytest.approx(0.19)  # 19 of 20 caught
    assert expected_calibration_error(torch.ones(4), torch.tensor([True, True, True, False])) == pytest.approx(0.25)
    assert expected_calibration_error(torch.full((4,), 0.75), torch.tensor([True, True, True, False])) == 0


@pytest.mark.parametrize(
    ("logits", "labels", "options", "words"),
    [
        (torch.zeros(2, 3), torch.tensor([0, 1]), {}, "needs negatives"),
        (torch.zeros(2, 3), torch.tensor([-1, 3]), {}, "label 3 is out of range: labels of 3 classes are 0 to 2"),
        (torch.zeros(2, 3), torch.tensor([-1]), {}, r"integers \[2\]"),
        (torch.zeros(2, 3), torch.tensor([-1.0, 0.0]), {}, "labels must be integers"),
        (torch.zeros(2, 3), torch.tensor([-1 + 0j, 0]), {}, "labels must be integers .* got torch.complex64"),
        (torch.tensor([[float("nan"), 0.0]]), torch.tensor([-1]), {}, "must be finite"),
        (torch.zeros(2, 1), torch.tensor([-1, 0]), {}, r"floats \[N, C\]"),
        (torch.zeros(2, 3, dtype=torch.long), torch.tensor([-1, 0]), {}, r"floats \[N, C\]"),
        (torch.zeros(2, 3), torch.tensor([-1, 0]), {"thresholds": (1.5,)}, "numbers in \\[0, 1\\)"),
        (torch.zeros(2, 3), torch.tensor([-1, 0]), {"thresholds": ()}, "one or more numbers"),
        (torch.zeros(2, 3), torch.tensor([-1, 0]), {"num_classes": 4}, "C >= 4"),
        (torch.zeros(2, 3), torch.tensor([-1, 0]), {"num_classes": 1}, "a whole number of at least 2, got 1"),
        (torch.zeros(2, 3), torch.tensor([-1, 0]), {"num_classes": 2.5}, "a whole number of at least 2, got 2.5"),
        (torch.zeros(2, 3), torch.tensor([-1, 0]), {"num_classes": "7"}, "a whole number of at least 2, got '7'"),
    ],
)
def test_wrong_input_is_one_clear_line(logits, labels, options, words):
    with pytest.raises(SparringError, match=words) as caught:
        ncr(logits, labels, **options)
    assert "\n" not in str(caught.value)


def test_merging_needs_the_same_settings():
    with pytest.raises(SparringError, match="same thresholds"):
        NCR().merge(NCR((0.5,)))
    with pytest.raises(SparringError, match="merge takes another NCR, got int"):
        NCR().merge(3)


@pytest.mark.parametrize("thresholds", [0.9, np.float32(0.5), (0.9,), [0.5], np.array([0.9])])
def test_one_threshold_arrays_and_lists_are_taken_as_they_come(thresholds):
    logits, labels = np.array([[2.0, 0.0], [0.0, 3.0], [0.1, 0.0]]), [0, 1, -1]
    found = ncr(logits, labels, thresholds)
    assert found == ncr(torch.tensor(logits), torch.tensor(labels), tuple(np.atleast_1d(thresholds).tolist()))
    assert found == ncr(logits, np.array(labels, dtype=np.int16), thresholds)


@pytest.mark.parametrize("thresholds", [torch.tensor([0.4, 0.9]), np.array([0.4, 0.9], np.float32)])
def test_thresholds_in_float32_are_found_again(thresholds):
    logits, labels = sample()
    found = ncr(logits, labels, thresholds)
    assert list(found) == [0.4, 0.9] and found == ncr(logits, labels, (0.4, 0.9))
    assert found[thresholds[0]] == found[np.float32(0.4)] == found[0.4] and thresholds[1] in found
    for values in (found.ncr, found.coverage):
        assert values[thresholds[0]] == values[np.float32(0.4)] == values.get(np.float32(0.4)) == values[0.4]
        assert np.float32(0.9) in values and 0.5 not in values and values.get(0.5, 3) == 3 and values.get([]) is None
        with pytest.raises(SparringError, match=r"measured at 0\.4, 0\.9, not at 0\.5"):
            values[0.5]
    assert ncr(logits, labels, (0.1 + 0.2,))[0.1 + 0.2] >= 0  # a float64 stays as it is
    assert 1e300 not in found and "high" not in found and None not in found


def test_thresholds_that_are_nearly_alike_stay_apart():
    written = ncr(*sample(), (0.1234567, 0.1234568, 0.1 + 0.2)).to_dict()
    assert list(written["ncr"]) == list(written["coverage"]) == ["0.1234567", "0.1234568", "0.3"]


def test_a_threshold_that_was_not_measured_is_named_with_those_that_were():
    found = ncr(torch.zeros(2, 3), torch.tensor([-1, 0]), (0.4, 0.9))
    with pytest.raises(SparringError, match=r"^NCR was measured at 0\.4, 0\.9, not at 0\.5: name it in thresholds$"):
        found[0.5]
    assert 0.5 not in found and found.get(0.5) is None and 0.4 in found


@pytest.mark.parametrize(
    ("logits", "labels", "thresholds", "words"),
    [
        ([[1.0, 2.0], [1.0]], [0, -1], 0.9, "logits must be a tensor, array or list of numbers"),
        (torch.zeros(1, 2), ["cat"], 0.9, "labels must be a tensor, array or list"),
        (torch.zeros(1, 2), None, 0.9, "labels must be a tensor, array or list"),
        (torch.zeros(1, 2), [-1.0], 0.9, "labels must be integers"),
        (torch.zeros(1, 2), [-1], None, "thresholds must be.*got None"),
        (torch.zeros(1, 2), [-1], "high", "thresholds must be.*got 'high'"),
        (torch.zeros(1, 2), [-1], 1.0, "thresholds must be.*got 1.0"),
    ],
)
def test_misuse_in_python_is_one_line(logits, labels, thresholds, words):
    with pytest.raises(SparringError, match=words) as caught:
        ncr(logits, labels, thresholds)
    assert "\n" not in str(caught.value)


def test_a_result_is_compared_by_its_numbers_and_is_no_key():
    from collections.abc import Hashable

    found, same = (ncr(torch.eye(2) * 3, torch.tensor([0, -1])) for _ in range(2))
    assert found == same and not isinstance(found, Hashable)
    with pytest.raises(TypeError, match="unhashable type: 'NCRResult'"):
        hash(found)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.int8])
def test_labels_of_any_integers_are_classes(dtype):
    metric = NCR().update(torch.eye(2) * 3, torch.tensor([0, 1]).to(dtype))
    assert metric.update(torch.eye(2), torch.tensor([-1, -1])).compute().accuracy == 1


def test_the_result_reads_like_a_mapping_and_is_plain_data_when_asked():
    found = ncr(*sample())
    assert isinstance(found, NCRResult) and len(found) == 4 and 0.4 in found
    written = found.to_dict()
    assert set(written) == {"ncr", "coverage", "accuracy", "auroc", "fpr95", "ece", "n_positives", "n_negatives"}
    assert written["ncr"]["0.9"] == found[0.9]
