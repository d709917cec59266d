"""Tables of results: a plan's, and those of run folders that somebody has already."""

from __future__ import annotations

import json
import statistics
import time

import numpy as np
import pytest

from sparring.cli.study import print_study
from sparring.errors import SparringError
from sparring.study.plan import Plan
from sparring.study.results import Result, of_runs
from sparring.study.table import tabulate

LOW, HIGH = [8.0, 8.5, 9.0, 8.2, 8.8], [12.0, 12.5, 13.0, 12.2, 12.8]


def runs(label, values, *, metric="fashion-FD", **more):
    """A value None is a run that failed."""
    found = []
    for seed, value in enumerate(values):
        if value is None:
            found.append(Result(label, seed, "gan", "r", failed="not finite at step 812", **more))
        else:
            found.append(Result(label, seed, "gan", "r", values={metric: value}, best={metric: value - 1}, **more))
    return found


def plan(**more):
    rows = {"AS | 1": {"recipe": "quickstart", "paper": {"fid": 25.5}}, "DCGAN": {"recipe": "quickstart"}}
    claims = [{"says": "lower", "row": "AS | 1", "against": "DCGAN", "metric": "fd", "direction": "lower"}]
    return Plan.load({"name": "mine", "rows": rows, "claims": claims, **more})


@pytest.fixture
def text_of(monkeypatch, capsys):
    """What the command prints of a table."""
    monkeypatch.setenv("COLUMNS", "200")

    def printed(table):
        print_study(table)
        return capsys.readouterr().out

    return printed


def test_a_plans_table_beside_the_papers_numbers(text_of):
    table = tabulate([*runs("DCGAN", HIGH), *runs("AS | 1", [*LOW[:4], None])], plan())
    assert list(table.rows) == ["AS | 1", "DCGAN"]  # the plan's order
    (metric,) = table.metrics.values()
    ours, theirs = metric.rows
    assert (ours.paper, theirs.paper, len(ours.failed), ours.runs) == (25.5, None, 1, 5)
    assert ours.spread.mean == pytest.approx(statistics.mean(LOW[:4])) and theirs.spread.n == 5
    assert theirs.best == pytest.approx(statistics.mean(HIGH) - 1)
    assert metric.differences[0].found.mean == pytest.approx(8.425 - 12.5)
    words = text_of(table)
    for part in (
        "8.43 ± 0.43",
        "12.50 ± 0.41",
        "25.5",
        "1 of 5",
        "8.00 8.50 9.00 8.20",
        "cannot tell: lower",
        "lower is better",
    ):
        assert part in words, part
    assert "1 of 5 runs of AS | 1 failed: not finite at step 812 (seed 4)" in words
    assert "each on its own: not adjusted" in words and "difference [95%, unadjusted]" in words
    markdown = table.markdown()
    assert "| AS \\| 1 | 5 | 1 of 5 | 8.43 ± 0.43 |" in markdown and markdown.startswith("- **cannot tell**: lower.")
    assert {line.count("|") - line.count("\\|") for line in markdown.splitlines() if "±" in line} == {10}
    plain = json.loads(json.dumps(table.to_dict()))
    assert plain["metrics"]["fashion-FD"]["rows"][1]["seeds"] == dict(zip("01234", HIGH, strict=True))


def test_contradictions_come_first(text_of):
    claims = [
        {"says": said, "row": "AS | 1", "against": "DCGAN", "metric": "fd", "direction": way}
        for said, way in (("a", "lower"), ("b", "higher"))
    ]
    table = tabulate([*runs("DCGAN", HIGH), *runs("AS | 1", LOW)], plan(claims=claims))
    assert [each.verdict for each in table.findings] == ["disagrees", "agrees"]
    assert text_of(table).startswith("disagrees: b")


def test_runs_that_end_in_two_ways_show_every_point(text_of):
    table = tabulate(runs("NAT", [0.21, 0.91, 0.98, 1.00, 0.33], metric="distance"))
    words = text_of(table)
    assert "two groups (0.69 ± 0.38)" in words and "2 at 0.21, 0.33 and 3 at 0.91, 0.98, 1:" in words


def test_a_row_that_failed_alone_and_one_of_one_seed(text_of):
    table = tabulate([*runs("dead", [None, None]), *runs("one", [3.25])])
    dead, one = table.metrics["fashion-FD"].rows
    assert dead.spread is None and (one.spread.mean, one.spread.sd) == (3.25, None)
    assert "3.25" in text_of(table) and "fewer than 5 seeds, so no verdict: dead; one" in text_of(table)
    assert not [*tabulate([]).sections()] and not [*tabulate(runs("dead", [None])).sections()]


def test_what_differs_in_measuring_is_said_and_not_compared():
    a, b = (
        runs("A", LOW, protocol={"fashion-FD": {"n_fake": 1000}}),
        runs("B", HIGH, protocol={"fashion-FD": {"n_fake": 500}}),
    )
    table = tabulate([*a, *b])
    assert table.metrics["fashion-FD"].differences == []
    assert "fd was measured in different ways for A and B: n_fake 1000 and 500; do not compare them" in table.notes
    with pytest.raises(SparringError, match=r"n_fake 1000 and 500 \(seeds 0 and 2\)"):
        tabulate(
            [
                *a[:2],
                *[Result("A", each.seed, "gan", "r", values=each.values, protocol=b[0].protocol) for each in a[2:]],
            ]
        )


def test_two_extractors_have_a_table_each():
    both = [Result("A", s, "gan", "r", values={"fashion-FD": 8.0 + s, "FID": 80.0 + s}) for s in range(5)]
    assert list(tabulate(both).metrics) == ["fashion-FD", "FID"]
    apart = tabulate([*runs("A", LOW), *runs("B", HIGH, metric="FID")])
    assert list(apart.metrics) == ["fd"] and "metric fashion-FD and FID" in apart.notes[0]


def test_instruction_sets_are_said():
    table = tabulate([*runs("A", LOW, instructions="AVX2"), *runs("B", HIGH, instructions="AVX512")])
    assert any("different instruction sets" in note and "AVX512: B" in note for note in table.notes)


# --- runs that somebody has already ---


def made_by_hand(folder, name, seed, value, *, n_fake=1000, data_hash="aa", **changes):
    folder.mkdir()
    recipe = {"name": name, "seed": seed, "steps": 20, "threads": 1, "batch_size": 16, **changes}
    (folder / "recipe.json").write_text(
        json.dumps({"recipe": recipe, "commit": "abc", "hardware": "x86_64 with AVX2, 1 thread"})
    )
    (folder / "log.jsonl").write_text(json.dumps({"step": 20, "images": 320, "seconds": 1.0}) + "\n")
    about = {
        "metric": "fashion-FD",
        "better": "lower",
        "n_fake": n_fake,
        "data_hash": data_hash,
        "extractor": "fashion",
    }
    rows = [{"step": step, "value": value + 20 - step, **about} for step in (5, 10, 15, 20)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_thirty_runs_are_grouped_by_recipe_but_for_the_seed(tmp_path):
    folders = []
    for i, (lr, k) in enumerate((lr, k) for lr in (1e-4, 2e-4) for k in (1, 5, 25)):
        changes = {"discriminator": {"optimizer": {"lr": lr}}, "objective": {"hinge": {}, "sdp": {"k": k}}}
        folders += [made_by_hand(tmp_path / f"{i}-{s}", "quickstart", s, 10 * i + s, **changes) for s in range(5)]
    rng = np.random.default_rng(0)
    table = tabulate(of_runs([folders[i] for i in rng.permutation(30)]))
    assert sorted(len(row.results) for row in table.rows.values()) == [5] * 6
    cells = {cell.row: cell.spread.mean for cell in table.metrics["fashion-FD"].rows}
    names = [f"quickstart, optimizer.lr={lr}, sdp.k={k}" for lr in (1e-4, 2e-4) for k in (1, 5, 25)]
    assert sorted(cells) == sorted(names)
    assert cells[names[1]] == pytest.approx(10 + 2 + 5)  # the mean over seeds of the last three measurements


def test_numbers_of_different_images_are_not_averaged(tmp_path):
    folders = [made_by_hand(tmp_path / str(s), "mine", s, 8, data_hash="aa" if s else "bb") for s in range(3)]
    with pytest.raises(SparringError, match=r"data_hash bb and aa \(seeds 0 and 1\)"):
        tabulate(of_runs(folders))


def test_one_run_given_twice_is_refused(tmp_path):
    folders = [made_by_hand(tmp_path / name, "mine", 3, 8) for name in "ab"]
    with pytest.raises(SparringError, match="runs of the same recipe and seed: leave one out"):
        of_runs(folders)


def test_ten_thousand_runs_take_seconds():
    results = [
        Result(f"row {i // 5}", i % 5, "gan", "r", values={"fashion-FD": 8 + i % 7, "fashion-IS": 3.0 + i % 5})
        for i in range(10_000)
    ]
    began = time.process_time()
    tabulate(results).to_dict()
    assert time.process_time() - began < 3
