"""What `sparring status` prints."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sparring.cli.status import _described, status
from sparring.errors import SparringError
from sparring.run.status import Status, Warned

RUN = Status(
    folder="runs/mine",
    name="mine",
    trains="GAN",
    state="killed",
    step=1500,
    steps=6000,
    rate=12.5,
    seconds=130.0,
    seconds_left=None,
    parts={"GAN": (1500, 6000)},
    process=41,
    host="desk",
    seen=None,
    message=None,
    resume="sparring train runs/mine --resume",
    checkpoint=1000,
    logged={"step": 1500, "images": 9, "discriminator/hinge": 1.25},
    numbers=[{"metric": "FD", "value": 4.5, "n_fake": 2000, "data": "pets", "split": None, "step": 1000}],
    warnings=[Warned(10, "stuck", "early"), Warned(90, "stuck", "late"), Warned(None, "results", "few")],
    disk_bytes=1234567,
    disk={"checkpoints": 1000000, "samples": 234000, "log.jsonl": 500, "report.html": 67},
)


def test_one_run_is_described_line_by_line():
    assert _described(RUN) == [
        "run        runs/mine  (mine)",
        "state      killed: process 41 on desk shows no sign of life",
        "steps      1,500 of 6,000 (25%) in 0:02:10, 12.5 steps/s",
        "continue   sparring train runs/mine --resume  (at step 1,000)",
        "logged     D hinge 1.25  (step 1,500)",
        "measured   FD 4.5  (step 1,000, 2,000 images, against pets)",
        "warning    step 90: late",
        "warning    few",
        "disk       1.23 MB: checkpoints 1 MB, samples 234 KB, log.jsonl 500 bytes",
    ]
    lines = _described(replace(RUN, state="training", resume=None, seconds_left=360.0))
    assert lines[1:3] == [
        "state      training by process 41 on desk",
        f"{lines[2].split(', about')[0]}, about 6 min left",
    ]
    lines = _described(replace(RUN, state="failed", message="the disk is full", checkpoint=None))
    assert lines[3:5] == [
        "why        the disk is full",
        "continue   sparring train runs/mine --resume  (from the start)",
    ]
    assert (
        "6,000 of 6,000" in (line := _described(replace(RUN, step=6000, seconds_left=0.0))[2]) and "measuring" in line
    )


def test_several_runs_are_a_table_and_what_is_no_run_is_a_note(monkeypatch, capsys, tmp_path):
    def found(run):
        if run.name == "studies":
            raise SparringError("studies is not a run's folder")
        return replace(RUN, folder=str(run))

    monkeypatch.setattr("sparring.run.status.status", found)
    runs = [tmp_path / name for name in ("a", "studies", "b")]
    status(runs)
    out, err = capsys.readouterr()
    head, *rows = out.splitlines()
    assert head.split()[0] == "run" and len(rows) == 2 and err == "studies is not a run's folder\n"
    assert all(word in rows[0] for word in ("killed", "1,500/6,000", "12.5", "FD 4.5", "stuck", "1.23 MB"))
    status(runs, as_json=True)
    assert [each["step"] for each in json.loads(capsys.readouterr().out)] == [1500, 1500]
    status(runs[:1], as_json=True)
    assert json.loads(capsys.readouterr().out)["warnings"][0] == {"step": 10, "kind": "stuck", "text": "early"}
    with pytest.raises(SparringError):
        status([tmp_path / "studies"])
