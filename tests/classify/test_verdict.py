"""A classifier's verdict in a sentence, and the interval of its false alarms against a simulation."""

from __future__ import annotations

import torch

from sparring.classify.results import choose_threshold
from sparring.classify.verdict import false_alarm_interval, few_images, verdict


def numbers(**probes: float) -> dict:
    found = {name: {"caught_as_unknown": share, "seen_in_training": 0.0} for name, share in probes.items()}
    return {"threshold": 0.4, "false_alarms_on_test": 0.034, "probes": found}


def test_what_mostly_gets_a_class_is_named() -> None:
    said = verdict("nat", numbers(bags=0.95, boots=0.065))
    assert said == (
        'nat answers "unknown" to 95.0% of bags and 6.5% of boots, and to 3.4% of the test images of its own classes: most '
        "of boots still get a class"
    )
    assert ": most" not in verdict("nat", numbers(bags=0.95))


def test_probes_seen_in_training_do_not_count() -> None:
    found = numbers(bags=0.95, boots=0.065)
    found["probes"]["bags"]["seen_in_training"] = 0.5
    assert "bags" not in verdict("nat", found)
    found["probes"]["boots"]["seen_in_training"] = 1.0
    assert "add probes" in verdict("nat", found)


def test_without_a_threshold_predict_needs_one() -> None:
    assert "--threshold" in verdict("nat", numbers(bags=0.5) | {"threshold": None})


def test_only_the_worst_of_many_kinds_are_named() -> None:
    said = verdict("nat", numbers(**{f"kind-{i}": i / 10 for i in range(10)}))
    assert "kind-5" in said and "kind-6" not in said


def test_the_interval_holds_in_95_of_100_simulations() -> None:
    """Uniform confidences: the rate of false alarms of a threshold is the threshold itself."""
    draws = torch.rand(4000, 60, generator=torch.Generator().manual_seed(0)).double()
    low, high = false_alarm_interval(3, 60)
    rates = torch.tensor([choose_threshold(row, 0.05) for row in draws])
    assert 0.93 < ((rates > low) & (rates < high)).double().mean() < 0.97
    assert 0.015 < (rates < low).double().mean() < 0.035
    assert false_alarm_interval(4, 4) == (1.0, 1.0)


def test_few_images_are_warned_of_and_many_are_not() -> None:
    def warned(n: int, below: int) -> str | None:
        found = {"threshold": 0.4, "n_validation": n, "false_alarm_rate": 0.05}
        return few_images("nat", found | {"false_alarm_interval": false_alarm_interval(below, n)})

    assert "60 validation images" in (warned(60, 3) or "") and "1.8% and 13.9%" in (warned(60, 3) or "")
    assert warned(640, 32) is None
