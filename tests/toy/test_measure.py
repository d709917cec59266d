"""A toy run measured on its way, as studies keep it."""

from __future__ import annotations

import pytest

import sparring.toy
from sparring.errors import NonFiniteLossError
from sparring.toy import measure
from sparring.toy.methods import toy_recipe
from sparring.toy.session import ToySession
from sparring.toy.worlds import world


@pytest.fixture(autouse=True)
def few_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "LOOKS", 4)


def test_a_run_that_fails_after_some_looks_has_no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(measure.LEVELS, "ring-8", 100.0)  # reached at once
    here, step = world("ring-8"), ToySession.step

    def step_until_8(session: ToySession, count: int = 1) -> None:
        if session.state.step + count > 8:
            raise NonFiniteLossError("it became infinite", 7)
        step(session, count)

    recipe = toy_recipe(here, "hinge", {"batch_size": 16}, steps=12, seed=0)
    whole = measure.measured_run(here, recipe)
    monkeypatch.setattr(ToySession, "step", step_until_8)
    cut = measure.measured_run(here, recipe)
    assert whole["failed"] is None and set(whole["values"]) == {*measure.yardsticks_of(here)}
    assert cut["failed"] == "not finite by step 7" and cut["values"] == cut["numbers"] == {}
    assert cut["curve"]["distance"] == whole["curve"]["distance"][:2] and (cut["steps"], whole["steps"]) == (6, 12)


@pytest.mark.parametrize("steps", [4, 7])
def test_a_run_is_looked_at_as_often_as_it_says(steps: int) -> None:
    here = world("nat-1d", seed=0)
    found = measure.measured_run(here, toy_recipe(here, "hinge", steps=steps, seed=0))
    curve = found["curve"]["distance"]
    assert len(curve) == 4 and curve[-1] == [steps, found["values"]["distance"]] and found["steps"] == steps
    assert found["values"]["reached"] == steps and found["numbers"] == {"did_reach": False}


def test_names_of_the_study_before_say_where_they_went() -> None:
    for name in ("run_study", "summarise"):
        with pytest.raises(AttributeError, match=r"is now sparring\.study"):
            getattr(sparring.toy, name)


@pytest.mark.parametrize("words", [["study"], ["study", "--seeds", "5"], ["nat-1d", "--seeds", "5"]])
def test_the_verb_of_the_study_before_says_where_it_went(words, monkeypatch, capsys) -> None:
    from sparring.cli.main import main

    monkeypatch.setattr("sys.argv", ["sparring", "toy", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.count("\n") == 1 and "sparring study run toy/ring-8" in said
