"""Thresholds, mistakes and numbers of a trained classifier, against counts by hand."""

import pytest
import torch
from tiny_classifiers import pictures
from torch import nn

from sparring.classify.data import ClassifierData, Probe
from sparring.classify.networks import Classifier
from sparring.classify.results import choose_threshold, evaluate_classifier
from sparring.data.packed import PackedImages, to_float
from sparring.metrics.ncr import ncr


@pytest.mark.parametrize(
    ("values", "rate", "expected"),
    [
        ([0.1 * i for i in range(1, 11)], 0.2, 0.3),  # two of ten below it
        ([0.1 * i for i in range(1, 11)], 0.05, 0.1),  # none may be
        ([i / 100 for i in range(100)], 0.05, 0.05),
        ([0.5] * 10, 0.3, 0.5),
        ([0.9], 0.5, 0.9),
    ],
)
def test_the_threshold_is_the_largest_that_keeps_the_false_alarms(values, rate, expected):
    threshold = choose_threshold(torch.tensor(values, dtype=torch.float64), rate)
    assert threshold == pytest.approx(expected)
    assert sum(value < threshold for value in values) <= rate * len(values)


class Levels(nn.Module):
    """Logits that stand in the image's first pixel row, one class per column."""

    def __init__(self, classes):
        super().__init__()
        self.classes = classes

    def forward(self, images):
        return images[:, 0, 0, : self.classes] * 4


def images_of(logits):
    pixels = torch.zeros(len(logits), 1, 4, 4, dtype=torch.uint8)
    pixels[:, 0, 0, : len(logits[0])] = ((torch.tensor(logits) + 1) * 127.5).round().to(torch.uint8)
    return pixels


def classifier(outputs=3):
    return Classifier(Levels(outputs), torch.zeros(1), torch.ones(1))


NAMES = ("a", "b", "c")
POSITIVE = [[1, -1, -1], [1, -1, -0.5], [-1, 1, -1], [-1, -1, 0.8], [0, 0.2, -1]]
TRUTH = [0, 1, 1, 2, 0]  # the second is a confident mistake, the last an unsure one
NEGATIVE = [[0, 0, 0], [-1, -1, 1], [0.5, 0, 0]]


def evaluate(outputs=3, validation=None, probe="others", **options):
    test = PackedImages(images_of(POSITIVE), torch.tensor(TRUTH), NAMES, "t", "test")
    others = Probe(probe, "x", PackedImages(images_of(NEGATIVE)))
    data = ClassifierData(test, validation, test, None, (others,))
    defaults = {"thresholds": (0.4, 0.9), "false_alarm_rate": 0.2}
    return evaluate_classifier(classifier(outputs), data, **{**defaults, **options})


def test_numbers_are_those_of_ncr():
    found = evaluate().numbers
    logits = to_float(images_of(POSITIVE + NEGATIVE))[:, 0, 0, :3] * 4  # as 8 bits keep them
    expected = ncr(logits, torch.tensor([*TRUTH, -1, -1, -1]), (0.4, 0.9))
    probe = found["probes"]["others"]
    assert found["accuracy"] == 3 / 5 == expected.accuracy and found["n_test"] == 5 and probe["n"] == 3
    assert probe["ncr"] == {"0.4": 2 / 3, "0.9": 1 / 3}
    assert found["coverage"] == {"0.4": 1.0, "0.9": pytest.approx(4 / 5)}
    assert probe["auroc"] == pytest.approx(expected.auroc) and probe["fpr95"] == pytest.approx(expected.fpr95)
    assert found["ece"] == pytest.approx(expected.ece, abs=1e-9)


def test_thresholds_that_are_nearly_alike_stay_apart():
    found = evaluate(thresholds=(0.1234567, 0.1234568)).numbers
    assert list(found["coverage"]) == list(found["probes"]["others"]["ncr"]) == ["0.1234567", "0.1234568"]


def test_mistakes_are_the_most_confident_first_with_their_probabilities():
    found = evaluate(mistakes=2)
    first, second = found.test_mistakes
    assert (first.predicted, first.truth) == ("a", "b") and (second.predicted, second.truth) == ("b", "a")
    assert first.confidence > 0.99 > 0.7 > second.confidence > second.probability_of_truth > 0.2
    assert first.probability_of_truth < 1e-3 and torch.equal(first.image, images_of(POSITIVE)[1])
    most, next_one = found.probe_mistakes["others"]
    assert (most.predicted, most.truth, most.probability_of_truth) == ("c", "others", None)
    assert most.confidence > next_one.confidence and torch.equal(next_one.image, images_of(NEGATIVE)[2])


def test_a_probe_called_test_takes_nothing_from_the_test_images():
    named, other = evaluate(probe="test"), evaluate()
    assert named.test_confidences == other.test_confidences and len(named.test_confidences) == 5
    assert named.probe_confidences == {"test": other.probe_confidences["others"]}
    assert [m.truth for m in named.test_mistakes] == ["b", "a"] and len(named.probe_mistakes["test"]) == 3


def test_the_threshold_comes_from_validation_and_its_alarms_from_the_test_images():
    validation = PackedImages(images_of([[0.5, -1, -1], [1, -1, -1], [0.9, -1, -1], [1, -1, -1], [1, -1, -1]]))
    found = evaluate(validation=validation)
    threshold = found.numbers["threshold"]
    assert threshold == pytest.approx(float(torch.tensor([3.6, -4, -4]).softmax(0)[0]), abs=1e-4)  # the second smallest
    assert found.numbers["false_alarms_on_test"] == 3 / 5  # [1, -1, -0.5], [-1, -1, 0.8] and the unsure one
    assert found.numbers["probes"]["others"]["caught_as_unknown"] == pytest.approx(2 / 3)
    assert evaluate().numbers["threshold"] is None


@pytest.mark.parametrize(("taken", "reached"), [(1, 0.3), (3, 0.3), (5, 0.5)])
def test_what_the_extra_class_takes_is_part_of_the_false_alarms(taken, reached):
    """Ten validation images, 3 of which may be called unknown: those that the extra class takes come first."""
    sure = [[0.1 * i, -1, -1] for i in range(10 - taken)]
    validation = PackedImages(images_of(sure + [[-1, -1, 1]] * taken))
    test = PackedImages(images_of([[1, -1, -1], [-1, 1, -1]]), torch.tensor([0, 1]), ("a", "b"), "t", "test")
    data = ClassifierData(test, validation, test, None, ())
    found = evaluate_classifier(classifier(), data, thresholds=(0.4,), false_alarm_rate=0.3).numbers
    expected = max(0, 3 - taken)
    values = to_float(images_of(sure))[:, 0, 0, :3].double().mul(4).softmax(1)[:, 0]
    assert found["threshold"] == pytest.approx(0 if taken > 3 else float(values[expected]), abs=1e-6)
    assert found["false_alarms_on_validation"] == reached and found["false_alarm_rate"] == 0.3


def test_an_answer_of_the_extra_class_is_unknown_and_wrong():
    test = PackedImages(images_of([[1, -1, -1], [-1, -1, 1]]), torch.tensor([0, 1]), ("a", "b"), "t", "test")
    probe = Probe("others", "x", PackedImages(images_of([[-1, -1, 1], [1, -1, -1]])))
    data = ClassifierData(test, test, test, None, (probe,))
    found = evaluate_classifier(classifier(), data, thresholds=(0.4,), false_alarm_rate=0.5)
    assert found.numbers["accuracy"] == 0.5 and found.numbers["probes"]["others"]["ncr"] == {"0.4": 0.5}
    assert found.test_mistakes[0].predicted == "none of them"
    assert found.numbers["probes"]["others"]["caught_as_unknown"] == 0.5


def test_noise_goes_to_the_network_without_normalisation():
    seen = []

    class Spy(nn.Module):
        def forward(self, images):
            seen.append(images)
            return images[:, 0, 0, :3]

    noise = torch.randn(3, 1, 4, 4)
    test = pictures(2, channels=1, size=4)
    data = ClassifierData(test, None, test, None, (Probe("noise", "noise:normal", noise),))
    evaluate_classifier(
        Classifier(Spy(), torch.tensor([5.0]), torch.tensor([2.0])), data, thresholds=(0.4,), false_alarm_rate=0.1
    )
    assert torch.equal(seen[-1], noise) and seen[0].max() < -1.9
