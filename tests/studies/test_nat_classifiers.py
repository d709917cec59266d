"""The study of NAT classifiers: what its rows say of the probes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch


def test_a_baseline_has_seen_no_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(__file__).parents[2] / "studies" / "nat_classifiers.py"
    spec = importlib.util.spec_from_file_location("nat_classifiers", path)
    assert spec is not None and spec.loader is not None
    study: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(study)

    def evaluate(classifier: Any, data: Any, *, saw_negatives: bool, **options: Any) -> SimpleNamespace:
        return SimpleNamespace(numbers={"accuracy": 0.5, "saw_negatives": saw_negatives})

    images = SimpleNamespace(shared=0, of=lambda recipe, noise: SimpleNamespace(train=[], negatives=None))
    training = SimpleNamespace(run=lambda *arguments: None, classifier=torch.nn.Linear(1, 1))
    monkeypatch.setattr(study, "Images", lambda: images)
    monkeypatch.setattr(study, "ClassifierJob", lambda *arguments: training)
    monkeypatch.setattr(study, "evaluate_classifier", evaluate)
    study.run(tmp_path / "rows.jsonl", [4])
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert {row["method"]: row["saw_negatives"] for row in rows} == {"baseline": False, "NAT, 32 negatives": True}
