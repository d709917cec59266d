"""Measures a trained classifier on its test images and on every probe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sparring.classify.data import ClassifierData, Probe
from sparring.classify.networks import Classifier
from sparring.classify.saved import is_unknown, judge
from sparring.classify.verdict import false_alarm_interval
from sparring.data.packed import PackedImages
from sparring.metrics.ncr import NCR, confidence, expected_calibration_error, threshold_texts


@dataclass(frozen=True)
class Mistake:
    """An image with a confident wrong answer: uint8 [C, H, W]."""

    image: Tensor
    predicted: str
    confidence: float
    truth: str  # the right class, or the probe's name
    probability_of_truth: float | None  # None for a probe


@dataclass(frozen=True)
class Results:
    """numbers: plain JSON data. confidences: for histograms. mistakes: the most confident first.

    Those of probes are by the probe's name.
    """

    numbers: dict[str, Any]
    test_confidences: list[float]
    test_mistakes: list[Mistake]
    probe_confidences: dict[str, list[float]]
    probe_mistakes: dict[str, list[Mistake]]


def evaluate_classifier(
    classifier: Classifier,
    data: ClassifierData,
    *,
    thresholds: tuple[float, ...],
    false_alarm_rate: float,
    mistakes: int = 12,
    saw_negatives: bool | None = True,
) -> Results:
    """Measure accuracy, calibration and coverage on the test images, and NCR, AUROC and FPR95 of each probe against them.

    The threshold for "unknown" is chosen on the validation images; its false alarms are also counted on the test images.
    What an extra class takes is always unknown and counts as a false alarm. If that alone exceeds the allowed rate, the
    threshold is 0, and `false_alarms_on_validation` gives the actual rate.

    saw_negatives: whether the classifier was trained on these negatives; None if unknown. `seen_in_training` of a probe is
    then the share of its images among them, 0, or None.
    """
    classes, test = data.train.num_classes, data.test
    labels = test.require_labels("testing a classifier").cpu()
    logits = judge(classifier, test)
    test_confidence, predicted = confidence(logits, classes)
    correct = predicted == labels
    threshold = reached = alarms = interval = None
    if data.validation is not None:
        held_out, answers = confidence(judge(classifier, data.validation), classes)
        # what the extra class takes sorts first: it uses up false alarms
        threshold = max(0.0, choose_threshold(held_out.masked_fill(answers >= classes, -1), false_alarm_rate))
        unknown = is_unknown(held_out, answers, classes, threshold)
        reached, interval = _share(unknown), false_alarm_interval(int(unknown.sum()), len(unknown))
        alarms = _share(is_unknown(test_confidence, predicted, classes, threshold))
    texts = threshold_texts(thresholds)
    numbers: dict[str, Any] = {
        "n_test": len(test),
        "accuracy": float(correct.double().mean()),
        "ece": expected_calibration_error(test_confidence, correct),
        "coverage": {text: float((test_confidence > t).double().mean()) for t, text in texts.items()},
        "threshold": threshold,
        "false_alarm_rate": None if threshold is None else false_alarm_rate,
        "n_validation": 0 if data.validation is None else len(data.validation),
        "false_alarms_on_validation": reached,
        "false_alarm_interval": None if interval is None else list(interval),
        "false_alarms_on_test": alarms,
        "probes": {},
    }
    names = test.class_names or data.train.class_names or tuple(map(str, range(classes)))
    wrong = _confident_mistakes(test, logits, names, labels, classes, mistakes)
    found = Results(numbers, test_confidence.tolist(), wrong, {}, {})
    for probe in data.probes:
        probe_logits = judge(classifier, probe.images, normalised=isinstance(probe.images, Tensor))
        metric = NCR(thresholds, num_classes=classes).update(logits, labels)
        numbers["probes"][probe.name] = _probe_numbers(probe, probe_logits, metric, threshold, saw_negatives)
        found.probe_confidences[probe.name] = confidence(probe_logits, classes)[0].tolist()
        if isinstance(probe.images, PackedImages):
            found.probe_mistakes[probe.name] = _confident_negatives(probe, probe_logits, names, classes, mistakes)
    return found


def _probe_numbers(
    probe: Probe, logits: Tensor, metric: NCR, threshold: float | None, saw_negatives: bool | None
) -> dict[str, Any]:
    """The numbers of one probe. metric: already updated with the test images."""
    result = metric.update(logits, torch.full((len(probe),), -1)).compute().to_dict()
    caught = None
    if threshold is not None:
        assert metric.num_classes is not None
        caught = _share(is_unknown(*confidence(logits, metric.num_classes), metric.num_classes, threshold))
    return {
        "source": probe.source,
        "n": len(probe),
        "seen_in_training": None if saw_negatives is None else probe.seen * saw_negatives,
        **{key: result[key] for key in ("ncr", "auroc", "fpr95")},
        "caught_as_unknown": caught,
    }


def choose_threshold(confidences: Tensor, false_alarm_rate: float) -> float:
    """The largest t with at most a share of `false_alarm_rate` of the positives' confidences [N] below it."""
    ordered = confidences.double().sort().values
    allowed = int(false_alarm_rate * len(ordered) + 1e-9)  # so that 0.05 * 100 is 5
    return float(ordered[min(allowed, len(ordered) - 1)])


def _share(mask: Tensor) -> float:
    return float(mask.double().mean())


def _name(number: int, names: tuple[str, ...]) -> str:
    return names[number] if number < len(names) else "none of them"


def _confident_mistakes(
    test: PackedImages, logits: Tensor, names: tuple[str, ...], labels: Tensor, classes: int, count: int
) -> list[Mistake]:
    probabilities = logits.double().softmax(1)
    values, predicted = probabilities.max(1)
    wrong = (predicted != labels).nonzero().squeeze(1)
    wrong = wrong[values[wrong].argsort(descending=True, stable=True)][:count]
    return [
        Mistake(
            test.uint8_batch(torch.tensor([i]))[0][0],
            _name(int(predicted[i]), names),
            float(values[i]),
            _name(int(labels[i]), names),
            float(probabilities[i, labels[i]]),
        )
        for i in wrong.tolist()
    ]


def _confident_negatives(
    probe: Probe, logits: Tensor, names: tuple[str, ...], classes: int, count: int
) -> list[Mistake]:
    assert isinstance(probe.images, PackedImages)
    values, predicted = logits.double().softmax(1)[:, :classes].max(1)
    most = values.argsort(descending=True, stable=True)[:count]
    return [
        Mistake(
            probe.images.uint8_batch(torch.tensor([i]))[0][0],
            _name(int(predicted[i]), names),
            float(values[i]),
            probe.name,
            None,
        )
        for i in most.tolist()
    ]
