"""The study: its arithmetic by hand, and a results file that may be cut off anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparring.errors import NonFiniteLossError, SparringError
from sparring.toy import measure, study
from sparring.toy.methods import toy_recipe
from sparring.toy.session import ToySession
from sparring.toy.study import Estimate, bootstrap, paired_difference, read_lines, run_study, summarise
from sparring.toy.tables import study_markdown
from sparring.toy.worlds import world

PLAN = {"nat-1d": ("non_saturating", "negatives")}


@pytest.fixture(autouse=True)
def few_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "LOOKS", 2)


def test_a_bootstrap_of_equal_values_has_no_width() -> None:
    assert bootstrap([2.5, 2.5, 2.5]) == Estimate(2.5, 0.0, 2.5, 2.5, 3)
    assert bootstrap([1.0]) == Estimate(1.0, 0.0, 1.0, 1.0, 1)
    with pytest.raises(SparringError, match="at least one value"):
        bootstrap([])


def test_a_bootstrap_of_two_values_by_hand() -> None:
    """The mean of two draws from {0, 1} is 0, 1/2 or 1, with probabilities 1/4, 1/2 and 1/4: the interval covers all."""
    found = bootstrap([0.0, 1.0])
    assert (found.mean, found.low, found.high) == (0.5, 0.0, 1.0) and found.std == pytest.approx(0.5**0.5)


def test_a_bootstraps_interval_has_the_width_of_the_standard_error() -> None:
    values = [float(i % 10) for i in range(200)]
    found = bootstrap(values)
    error = found.std / 200**0.5
    assert found.low == pytest.approx(4.5 - 1.96 * error, abs=0.03) and found.high == pytest.approx(
        4.5 + 1.96 * error, abs=0.03
    )
    assert found == bootstrap(values)


def test_differences_are_paired_by_seed() -> None:
    found = paired_difference({0: 1.0, 1: 5.0, 2: 9.0}, {1: 4.0, 0: 0.0, 7: 100.0})
    assert found is not None and (found.mean, found.low, found.high, found.n) == (1.0, 1.0, 1.0, 2)
    assert paired_difference({0: 1.0}, {1: 1.0}) is None


def _row(method: str, seed: int, distance: float, **more: Any) -> dict[str, Any]:
    row = {"world": "ring-8", "method": method, "seed": seed, "steps": 500, "failed": False, "distance": distance}
    return {**row, "modes": 8, "high_quality": 0.5, "reached": 100, "oscillation": 0.1, **more}


def test_a_summary_by_hand() -> None:
    rows = [_row("non_saturating", 0, 1.0), _row("non_saturating", 1, 2.0, reached=None)]
    rows += [_row("sdp", 0, 0.5, modes=6), _row("sdp", 1, 1.5), _row("sdp", 2, 0.0, failed=True)]
    plain, sdp = summarise(rows)
    assert plain["baseline"] is None and plain["distance"].mean == 1.5 and plain["reached_share"] == 0.5
    assert plain["reached"].mean == 300  # a run that never reaches the level counts with its last step
    assert sdp["baseline"] == "non_saturating" and sdp["failed"] == 1 and sdp["distance"].n == 2
    assert sdp["distance_difference"].mean == sdp["distance_difference"].low == -0.5
    assert sdp["modes_difference"].mean == -1 and sdp["modes_difference"].high == 0
    table = study_markdown([plain, sdp])
    assert "| sdp - non_saturating | -0.500 | -1.0 |" in table  # two seeds have no interval
    assert "| sdp | 3, 1 failed |" in table and "300 ± 283, median 300 (50% did)" in table


def test_shares_count_only_runs_that_did_not_fail() -> None:
    rows = [_row("sdp", 0, 1.0), _row("sdp", 1, 1.0, reached=None), _row("sdp", 2, 0.0, failed=True, reached=40)]
    assert summarise(rows)[0]["reached_share"] == 0.5
    (none_left,) = summarise(rows[2:])
    assert none_left["reached_share"] is None and none_left["reached"] is None
    assert "| sdp | 1, 1 failed |  |  |  |  |  |" in study_markdown([none_left])


def test_a_run_that_fails_after_some_looks_has_no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "LOOKS", 4)
    monkeypatch.setitem(measure.LEVELS, "ring-8", 100.0)  # reached at once
    here, step = world("ring-8"), ToySession.step

    def step_until_8(session: ToySession, count: int = 1) -> None:
        if session.state.step + count > 8:
            raise NonFiniteLossError("it became infinite")
        step(session, count)

    recipe = toy_recipe(here, "hinge", {"batch_size": 16}, steps=12, seed=0)
    numbers = ("distance", "modes", "high_quality", "reached", "oscillation")
    whole = study.one_run(here, "hinge", recipe)
    monkeypatch.setattr(ToySession, "step", step_until_8)
    row = study.one_run(here, "hinge", recipe)
    assert not whole["failed"] and all(whole[name] is not None for name in numbers)
    assert row["failed"] and [row[name] for name in numbers] == [None] * 5
    assert row["distances"] == whole["distances"][:2]


def test_a_difference_has_an_interval_from_5_seeds_and_is_bold_if_that_excludes_0() -> None:
    def line(seeds: int) -> str:
        rows = [_row("non_saturating", i, 1.0 + i / 8) for i in range(seeds)]
        rows += [_row("sdp", i, 0.5 + i / 8, modes=8 - 2 * (i % 2)) for i in range(seeds)]
        return next(text for text in study_markdown(summarise(rows)).splitlines() if text.startswith("| sdp - "))

    assert line(4).startswith("| sdp - non_saturating | -0.500 | -1.0 |")
    assert line(5).startswith("| sdp - non_saturating | **-0.500 [-0.500, -0.500]** | -0.8 [-1.6, +0.0] |")


@pytest.mark.parametrize("steps", [4, 7])
def test_a_study_looks_as_often_as_it_says(steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "LOOKS", 4)
    (row,) = run_study(tmp_path / "study.jsonl", seeds=1, steps=steps, plan={"nat-1d": ("hinge",)})
    assert len(row["distances"]) == 4


def test_a_study_continues_where_it_was_cut_off(tmp_path: Path) -> None:
    out = tmp_path / "study.jsonl"
    notes: list[str] = []
    rows = run_study(out, seeds=2, steps=4, plan=PLAN, note=notes.append)
    assert len(rows) == len(notes) == 4 and [row["seed"] for row in rows] == [0, 0, 1, 1]
    assert {"distance", "oscillation", "torch", "sparring"} <= set(rows[0]) and rows[0]["distance"] > 0
    content = out.read_bytes()
    out.write_bytes(content[:-40])  # killed while it wrote the last line
    notes.clear()
    again = run_study(out, seeds=2, steps=4, plan=PLAN, note=notes.append)
    assert len(notes) == 1 and len(read_lines(out)) == 4

    def numbers(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{key: value for key, value in row.items() if key not in ("cpu_seconds", "commit")} for row in found]

    assert numbers(again) == numbers(rows)  # the repeated run has the same bits
    notes.clear()
    assert run_study(out, seeds=2, steps=4, plan=PLAN, note=notes.append) == again and not notes
    run_study(out, seeds=1, steps=6, plan=PLAN, note=notes.append)
    assert len(notes) == 2  # another length means another run


def test_a_failed_run_is_a_line_without_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sparring.errors import NonFiniteLossError
    from sparring.toy.session import ToySession

    def fail(self: ToySession, count: int = 1) -> None:
        raise NonFiniteLossError("infinite")

    monkeypatch.setattr(ToySession, "step", fail)
    (row,) = run_study(tmp_path / "study.jsonl", seeds=1, steps=4, plan={"nat-1d": ("hinge",)})
    assert row["failed"] and row["distance"] is None and row["oscillation"] is None
    (entry,) = summarise([row])
    assert entry["distance"] is None and "1, 1 failed" in study_markdown([entry])


def test_wrong_studies(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_text('{"a": 1}\n{"b": 2}\n')
    with pytest.raises(SparringError, match="line 1 is not a run"):
        run_study(damaged, seeds=1, steps=4, plan=PLAN)
    for content, message in (
        (b"\xff\xfe\x00\n", "not a study"),
        (b"hello", "line 1 is not a run"),
        (b"[1]\n", "line 1 is not a run"),
    ):
        damaged.write_bytes(content)
        with pytest.raises(SparringError, match=message):
            run_study(damaged, seeds=1, steps=4, plan=PLAN)
        assert damaged.read_bytes() == content
    with pytest.raises(SparringError, match="did you mean 'sdp'"):
        run_study(tmp_path / "new.jsonl", seeds=1, steps=4, plan={"nat-1d": ("spd",)})
