"""results.jsonl: what a line holds, which word means which number, and lines that were cut off."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sparring.classify.numbers import by_word
from sparring.errors import SparringError
from sparring.metrics.names import CLASSIC, metric_word
from sparring.study.results import (
    RESULTS_FILE,
    Result,
    append,
    latest,
    lower_is_better,
    of_records,
    of_runs,
    read,
)

ONE = Result("AS, 1/255", 3, "gan", "0" * 16, values={"fashion-FD": 8.5}, curve={"fashion-FD": [[10, 9.0], [20, 8.0]]})


def test_a_line_reads_back_and_later_ones_win(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    other, again = replace(ONE, seed=4, failed="not finite at step 812"), replace(ONE, values={"fashion-FD": 7.0})
    for result in (ONE, other, again):
        append(path, result)
    assert read(path) == read(tmp_path) == [ONE, other, again]
    assert latest(read(path)) == [again, other]
    assert read(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize("cut", [1, 40, 10_000])
def test_a_cut_line_is_dropped_and_the_next_one_stands_alone(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    append(path, ONE)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:-1][:cut])
    assert read(path) == [ONE]
    append(path, replace(ONE, seed=5))
    assert [each.seed for each in read(path)] == [3, 5] and path.read_bytes().startswith(whole)


@pytest.mark.parametrize(
    "line", ["nonsense", "[]", "3", '{"row": "a"}', '{"row": 1, "seed": 2, "kind": "", "recipe": ""}']
)
def test_any_other_line_is_refused_with_its_number(line: str, tmp_path: Path) -> None:
    append(tmp_path / RESULTS_FILE, ONE)
    with (tmp_path / RESULTS_FILE).open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(SparringError, match=r"results\.jsonl, line 2 is not a result"):
        read(tmp_path)


def test_a_word_means_the_metric_whatever_measured_it() -> None:
    names = {"fashion-FD": "fd", "FID": "fd", "efficientnet-lite0-intra-FD": "intra-fd", "KID-subsets": "kd-subsets"}
    names |= {"own-net-IS": "is", "fashion-FD-infinity": "fd-infinity", "accuracy": "accuracy", "intra": "intra-fd"}
    assert {name: metric_word(name) for name in names} == names
    values = {"fashion-intra-FD": 3.0, "fashion-FD": 8.5, "fashion-IS": 4.0}
    run = replace(ONE, values=values, numbers={"auroc": {"noise": 0.9}, "ncr": {"a.b.0.5": 0.1}, "modes": 7})
    words = ("fd", "fid", "fashion-FD", "is", "auroc.noise", "ncr.a.b.0.5", "modes")
    assert [run.value(word) for word in words] == [8.5, 8.5, 8.5, 4.0, 0.9, 0.1, 7]
    assert [run.value(word) for word in ("kd", "inception-FD", "auroc", "auroc.blobs", "modes.x")] == [None] * 5
    assert replace(run, failed="collapsed").value("fd") is None
    assert lower_is_better("fashion-FD") and lower_is_better("ncr.noise.0.5") and not lower_is_better("is")


def test_inceptions_names_mean_the_same_words() -> None:
    assert {metric_word(name) for name in CLASSIC.values()} == {name.lower() for name in CLASSIC}


def test_a_gan_has_the_mean_of_its_last_three_measurements_and_its_best_beside_it() -> None:
    def record(step: int, name: str, value: float, better: str | None) -> dict[str, object]:
        return {"step": step, "metric": name, "value": value, "better": better, "n_fake": 20, "resize": "none", "x": 1}

    rows = [record(step, "fashion-FD", value, "lower") for step, value in ((1, 90.0), (2, 3.0), (3, 5.0), (4, 10.0))]
    rows += [record(4, "fashion-IS", 2.0, "higher"), record(4, "class-shares", 0.5, None)]
    found = of_records(rows)
    assert found["values"] == {"fashion-FD": 6.0, "fashion-IS": 2.0} and found["best"] == {
        "fashion-FD": 3.0,
        "fashion-IS": 2.0,
    }
    assert found["curve"]["fashion-FD"] == [[1, 90.0], [2, 3.0], [3, 5.0], [4, 10.0]]
    assert found["protocol"]["fashion-IS"] == {"n_fake": 20, "resize": "none"}


def test_a_classifier_has_its_numbers_by_probe() -> None:
    probe = {"auroc": 0.9, "fpr95": 0.2, "caught_as_unknown": None, "ncr": {"0.5": 0.3}}
    numbers = {"accuracy": 0.8, "ece": 0.1, "coverage": {"0.5": 1.0}, "threshold": None, "probes": {"a b": probe}}
    run = replace(ONE, **by_word({"classifiers": {"nat": numbers}}, "nat"))
    words = ("accuracy", "auroc.a b", "ncr.a b.0.5", "coverage.0.5", "threshold")
    assert [run.value(word) for word in words] == [0.8, 0.9, 0.3, 1.0, None]


def test_runs_that_exist_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    def run(name: str, seed: int, k: int, steps: int = 10) -> Path:
        folder = tmp_path / f"{name}-{k}-{seed}"
        folder.mkdir()
        recipe = {"name": name, "seed": seed, "steps": 10, "objective": {"sdp": {"k": k}}, "threads": 1}
        facts = {"recipe": recipe | {"discriminator": {}, "data": {}}, "hardware": "x86_64 with AVX2, 1 thread"}
        (folder / "recipe.json").write_text(json.dumps(facts))
        (folder / "log.jsonl").write_text(json.dumps({"step": steps, "seconds": 2.5}) + "\n")
        (folder / "metrics.jsonl").write_text(
            json.dumps({"step": 10, "metric": "FID", "value": k + seed, "better": "lower"}) + "\n"
        )
        return folder

    found = of_runs([run("hinge", 0, 5), run("hinge", 1, 5), run("hinge", 0, 1), run("other", 0, 7, steps=4)])
    labels = ["hinge, sdp.k=5"] * 2 + ["hinge, sdp.k=1", "other"]
    assert [each.row for each in found] == labels and [each.seed for each in found] == [0, 1, 0, 0]
    assert found[0].recipe == found[1].recipe != found[2].recipe
    assert [each.value("fd") for each in found] == [5, 6, 1, None]
    assert found[3].failed == "not finished: 4 of 10 steps"
    assert (found[0].instructions, found[0].threads, found[0].seconds) == ("AVX2", 1, 2.5)
    with pytest.raises(SparringError, match="is not a run"):
        of_runs([tmp_path])
