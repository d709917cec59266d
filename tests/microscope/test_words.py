"""What a study keeps of a discriminator: the words of its numbers, in plans and in results."""

from __future__ import annotations

from pathlib import Path

import pytest

import sparring
from sparring.errors import SparringError
from sparring.microscope.opened import OpenedRun
from sparring.microscope.words import WORDS, numbers_of, words_of
from sparring.study.resolve import resolve
from sparring.study.results import Result

SMALL = {
    "generator.network.width": 4,
    "discriminator.network.width": 4,
    "steps": 2,
    "batch_size": 8,
    "evaluation": {"n": 20, "metrics": ["fd"]},
}


def test_a_run_leaves_a_number_for_every_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts, fake = [], OpenedRun.fake
    monkeypatch.setattr(
        OpenedRun, "fake", lambda run, n, *more, **words: counts.append(n) or fake(run, n, *more, **words)
    )  # type: ignore[func-returns-value]
    run = sparring.train("quickstart", {**SMALL, "threads": 1}, out=tmp_path / "run", progress=False, report=False)
    found = numbers_of(run.folder, tuple(WORDS), "cpu")
    assert counts[0] == 20  # as many as it was measured on
    assert {f"{name}.{word}" for name in found for word in found[name]} == set(words_of(WORDS))
    result = Result("one", 0, "gan", "", numbers=found)
    for word in words_of(WORDS):
        assert result.value(word) == found[word.partition(".")[0]][word.partition(".")[2]], word
    assert found["robustness"]["pgd-8"] <= found["robustness"]["none"] and found["gradients"]["l1"] > 0
    assert found["cost"]["operations"] > 1e5 and 0 <= found["diversity"]["recall"] <= 1


def test_a_claim_may_be_about_what_is_kept() -> None:
    claim = {"says": "", "row": "two", "against": "one", "metric": "robustness.fgsm-1", "direction": "higher"}
    two = {"recipe": "quickstart", "set": {"objective.r1.weight": 2}}
    plan = {
        "scales": {"smoke": {"set": SMALL}},
        "rows": {"one": {"recipe": "quickstart"}, "two": two},
        "claims": [claim],
    }
    study = resolve({**plan, "diagnose": ["robustness"]})
    assert "robustness.fgsm-1" in study.rows["one"].words
    with pytest.raises(SparringError, match=r"'robustness.fgsm-1', which the row cannot have"):
        resolve(plan)
