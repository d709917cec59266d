"""What the board says of runs and studies: their states, numbers, warnings and pictures; and that it writes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from board_runs import CLASSES, add_sheet, everything_in, lines, log_rows, made_run, made_study, record
from sparring.errors import SparringError
from sparring.web.board import board as boards
from sparring.web.board.app import as_json
from sparring.web.board.board import Board


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look again at every question."""
    monkeypatch.setattr(boards, "FRESH", 0.0)
    monkeypatch.setattr(boards, "SCANNING", 0)


def listed(board: Board) -> dict[str, dict[str, Any]]:
    return {each["folder"]: each for each in board.overview()["runs"]}


def test_every_state_of_a_run(tmp_path: Path) -> None:
    made_run(tmp_path / "training", 60, "training")
    made_run(tmp_path / "killed", 60, "killed")
    made_run(tmp_path / "failed", 60, "failed", "hinge is not finite at step 61")
    made_run(tmp_path / "interrupted", 60, "interrupted")
    made_run(tmp_path / "finished")
    (made_run(tmp_path / "damaged") / "recipe.json").write_text("{")
    runs = {name.partition("/")[2]: run for name, run in listed(Board([tmp_path])).items()}
    assert {name: run["state"] for name, run in runs.items()} == {name: name for name in runs} and len(runs) == 6
    assert runs["failed"]["message"] == "hinge is not finite at step 61"
    assert "recipe.json is damaged" in runs["damaged"]["message"]
    training = runs["training"]
    assert (training["step"], training["steps"], training["rate"]) == (60, 100, 10.0)
    assert training["seconds_left"] == pytest.approx(4.0) and training["warned"] == ["collapse"]
    assert training["headline"] == {"metric": "fashion-FD", "value": 75.0} and training["picture"]["step"] == 50


def test_a_runs_page(tmp_path: Path) -> None:
    board = Board([made_run(tmp_path / "run")])
    (key,) = board.overview() and board.runs
    page = board.run_page(key)
    (number,) = page["numbers"]
    assert (number["value"], number["step"], number["best"]) == (50.0, 100, {"value": 50.0, "step": 100})
    sources = dict(number["sources"])
    assert sources["Extractor"] == "fashion" and sources["Generated images"] == "500" and sources["Device"] == "cpu"
    assert sources["Instruction set"] == "AVX512" and sources["Commit"] == "abc123def"
    assert page["warnings"][0]["step"] == 50 and "People try: a larger batch" in page["warnings"][0]["text"]
    assert page["samples"]["steps"] == [0, 50, 100] and page["columns"]["classes"] == list(CLASSES)
    assert page["recipe"]["objective"]["r1"]["weight"] == 5.0 and page["generator"] is None
    curves = {each["name"]: each for each in board.curves(key)["curves"]}
    assert curves["fashion-FD"]["values"] == [75.0, 50.0] and curves["fashion-FD"]["better"] == "lower"
    assert curves["discriminator/hinge"]["steps"] == list(range(10, 101, 10))
    assert curves["vitals/diversity"]["values"] == [0.2, 0.05] and "seconds" not in curves
    assert board.run(key).sheet(50)[:4] == b"\x89PNG"
    with pytest.raises(SparringError, match="no picture of step 51"):
        board.run(key).sheet(51)


def test_a_run_that_grows_is_noticed(tmp_path: Path) -> None:
    folder = made_run(tmp_path / "run", 50, "training")
    board = Board([tmp_path])
    (key,) = board.overview() and board.runs
    assert board.run_page(key)["samples"]["steps"] == [0, 50]
    with (folder / "log.jsonl").open("a") as log:
        log.write(lines(log_rows(50, 80)) + '{"step": 90, "discr')
    with (folder / "metrics.jsonl").open("a") as metrics:
        metrics.write(lines([record(80, 20.0), record(80, 3.0, metric="fashion-IS", better="higher", std=0.1)]))
    add_sheet(folder, 80)
    assert board.overview()["runs"][0]["step"] == 80
    page = board.run_page(key)
    assert page["samples"]["steps"] == [0, 50, 80] and [each["value"] for each in page["numbers"]] == [20.0, 3.0]
    curves = {each["name"]: each for each in board.curves(key)["curves"]}
    assert curves["generator/hinge"]["steps"][-1] == 80
    made_run(tmp_path / "another", 10, "training")
    assert len(board.overview()["runs"]) == 2
    (folder / "log.jsonl").write_text(lines(log_rows(0, 20)))  # resumed from an earlier checkpoint
    curves = {each["name"]: each for each in board.curves(key)["curves"]}
    assert curves["generator/hinge"]["steps"] == [10, 20] and curves["fashion-FD"]["steps"] == [50, 80]


def test_a_study_of_30_runs(tmp_path: Path) -> None:
    board = Board([made_study(tmp_path / "study")])
    overview = board.overview()
    (study,) = overview["studies"]
    assert (study["state"], study["runs"], study["done"], study["failed"]) == ("training", 30, 25, 1)
    assert len(overview["runs"]) == 26
    by_row = {(run["row"], run["seed"]): run for run in overview["runs"]}
    assert by_row["a", 1]["state"] == "failed" and by_row["a", 1]["message"] == "not finite at step 60"
    assert by_row["b", 8]["state"] == "training" and by_row["b", 7]["state"] == "finished"
    page = board.study_page(study["id"])
    assert page["verdicts"][0]["says"] == "b beats a" and page["title"] == "A made-up study"
    assert page["tables"][0]["title"] == "fashion-FD, lower is better"
    dots = {row["row"]: row for row in page["metrics"]["fashion-FD"]["rows"]}
    assert len(dots["a"]["seeds"]) == 8 and dots["a"]["failed"] == [[1, "not finite at step 60"]]
    assert len(page["sheets"]) == 25 and page["pictures"] == [] and len(page["members"]) == 26
    assert board.study(study["id"]).picture("a-0-samples.png")[:4] == b"\x89PNG"


def test_a_classifiers_run(tmp_path: Path) -> None:
    parts = {"criterion": {"kind": "nat"}, "beside": [{"kind": "baseline"}], "objective": None, "generator": None}
    folder = made_run(tmp_path / "run", **parts)
    (folder / "beside" / "baseline").mkdir(parents=True)
    (folder / "beside" / "baseline" / "log.jsonl").write_text(lines([{"step": 20, "loss": 2.0, "seconds": 1.0}]))
    (folder / "log.jsonl").write_text(lines([{"step": 20, "loss": 1.0, "accuracy": 0.5, "seconds": 1.0}]))
    numbers = {"accuracy": 0.9, "ece": 0.1, "n_test": 100, "probes": {"noise": {"auroc": 0.8}}}
    said = {"classifiers": {"baseline": numbers, "nat": numbers}, "verdict": "nat answers", "warnings": ["few images"]}
    (folder / "results.json").write_text(json.dumps(said))
    board = Board([folder])
    (run,) = board.overview()["runs"]
    assert run["trains"] == "classifier" and run["headline"] == {"metric": "accuracy", "value": 0.9}
    page = board.run_page(run["id"])
    assert page["classifiers"]["rows"][0]["numbers"]["probes.noise.auroc"] == 0.8
    assert page["classifiers"]["verdict"] == "nat answers" and page["warnings"][0]["text"] == "few images"
    assert {"loss", "baseline: loss"} <= {each["name"] for each in board.curves(run["id"])["curves"]}


def test_two_hundred_runs_are_listed_within_two_seconds_and_all_soon_after(tmp_path: Path) -> None:
    for i in range(200):
        made_run(tmp_path / f"group-{i % 10}" / f"run-{i}", 100 if i % 3 else 60, "finished" if i % 3 else "killed")
    board = Board([tmp_path])
    began = time.monotonic()
    first = board.overview()
    took = time.monotonic() - began
    assert len(first["runs"]) == 200 and took < 2.0
    assert first["complete"] == (not any(run["state"] == "unread" for run in first["runs"]))
    for _ in range(40):
        if first["complete"]:
            break
        first = board.overview()
    states = [run["state"] for run in first["runs"]]
    assert states.count("finished") == 133 and states.count("killed") == 67


def test_hostile_files_are_shown_as_damaged_or_in_part(tmp_path: Path) -> None:
    nan = made_run(tmp_path / "nan")
    (nan / "metrics.jsonl").write_text(
        '{"step": 5, "metric": "FD", "value": NaN, "better": "lower", "std": Infinity}\n'
    )
    (nan / "log.jsonl").write_text(
        '{"step": 5, "a": NaN, "b": 1e999, "c": {}, "seconds": "x", "d": ' + "9" * 400 + "}\n"
    )
    (nan / "vitals.jsonl").write_text('{"step": 5, "warnings": {"x": "y"}, "train": [], "diversity": "z"}\n')
    (nan / "generator.json").write_text('{"class_names": 7, "num_classes": "x", "given": []}')
    (nan / "results.json").write_text('{"classifiers": {"a": [], "b": {"c": {"d": NaN}}}, "warnings": 7}')
    (nan / "samples" / "step-000100.png").write_bytes(b"not a picture")
    for i, text in enumerate(
        ("[]", "{}", '{"recipe": 7}', '{"recipe": {"steps": "x"}}', "[" * 10**5, "\0", '{"recipe": []}')
    ):
        (made_run(tmp_path / f"wrong-{i}") / "recipe.json").write_text(text)
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "plan.json").write_text('{"rows": 7}')
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "results.jsonl").write_text('{"row": "a", "seed": "x"}\n')
    board = Board([tmp_path])
    overview = board.overview()
    assert sum(run["state"] == "damaged" for run in overview["runs"]) == 7
    assert {study["state"] for study in overview["studies"]} == {"damaged"}
    for key in board.runs:
        as_json([board.run_page(key), board.curves(key)])
    for key in board.studies:
        as_json(board.study_page(key))


def test_nothing_outside_the_given_folders_is_read(tmp_path: Path) -> None:
    secret = made_run(tmp_path / "secret", name="hush-hush", about="hush-hush")
    (secret / "plan.yaml").write_text("about: hush-hush\nrows: {hush-hush: {recipe: quickstart}}\nscales: {mini: {}}\n")
    names = ("recipe.json", "log.jsonl", "metrics.jsonl", "vitals.jsonl", "samples", "status.json")
    for name in names:
        run = made_run(tmp_path / "runs" / f"links-{name}")
        (run / name).rename(run / "kept")
        (run / name).symlink_to(secret / name)
    classifier = made_run(tmp_path / "runs" / "links-beside", criterion={"kind": "nat"}, objective=None, generator=None)
    (classifier / "beside" / "baseline").mkdir(parents=True)
    (classifier / "beside" / "baseline" / "log.jsonl").symlink_to(secret / "log.jsonl")
    kept = tmp_path / "runs" / "kept"
    kept.mkdir()
    (kept / "results.jsonl").write_text(
        '{"row": "a", "seed": 0, "kind": "gan", "recipe": "x", "values": {"FD": 1.0}}\n'
    )
    (kept / "plan.yaml").write_text("extends: ../../secret/plan.yaml\n")
    board = Board([tmp_path / "runs"])
    said = as_json([board.overview(), *map(board.run_page, board.runs), *map(board.study_page, board.studies)])
    assert len(board.runs) == len(names) and b"hush-hush" not in said
    messages = [run["message"] for run in board.overview()["runs"]]
    assert all("is a link, and the board follows none" in (message or "") for message in messages)
    assert "extends another file" in board.overview()["studies"][0]["message"]


def test_looking_changes_nothing(tmp_path: Path) -> None:
    made_run(tmp_path / "runs" / "a", 60, "training")
    made_study(tmp_path / "runs" / "study", seeds=2, done=3)
    before = everything_in(tmp_path)
    board = Board([tmp_path / "runs"])
    board.overview()
    for key in board.runs:
        board.run_page(key), board.curves(key), board.run(key).sheet(0)
    for key in board.studies:
        board.study_page(key), board.study(key).picture("a-0-samples.png")
    assert everything_in(tmp_path) == before


def test_the_board_reads_without_torch() -> None:
    code = "import sys; import sparring.web.board.board, sparring.web.board.sampling; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
