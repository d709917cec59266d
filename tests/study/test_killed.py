"""A study under `kill -9`: no worker is left behind, and the same command ends in the same results."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from here import Here

from sparring.study.engine import run

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="finds workers in /proc, as Linux has it"
)

TIMES = ("seconds", "cpu_seconds", "date", "attempts")
PLAN = {
    "name": "killed",
    "seeds": 2,
    "scales": {"smoke": {"set": {"steps": 20}}},
    "rows": {"one": {"toy": {"world": "nat-1d"}}},
}


def start(words: list[str], folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "sparring", "study", "run", *words, "--jobs", "2", "--out", str(folder)],
        cwd=folder.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def workers_in(folder: Path) -> list[int]:
    """The processes whose command names a task of this study."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if str(folder / "work").encode() in command:
            found.append(int(entry.name))
    return found


def until(what: Callable[[], object], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(what())


def results_of(folder: Path) -> list[dict[str, object]]:
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    return sorted(
        ({key: row[key] for key in row if key not in TIMES} for row in rows), key=lambda row: (row["row"], row["seed"])
    )


def finish(words: list[str], folder: Path) -> list[dict[str, object]]:
    process = start(words, folder)
    said = process.communicate(timeout=900)[1].decode()
    assert process.returncode == 0, said
    return results_of(folder)


def kill(words: list[str], folder: Path, when: Callable[[], object]) -> bool:
    """Start a study, kill it, and see its workers go. False where it had ended before."""
    process = start(words, folder)
    until(lambda: when() or process.poll() is not None, 300)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert until(lambda: not workers_in(folder), 10), "workers are left"
    return process.returncode == -signal.SIGKILL


def test_workers_end_with_a_killed_study_which_then_goes_on(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(PLAN))
    words = [str(tmp_path / "plan.yaml")]
    assert kill(words, tmp_path / "killed", lambda: len(workers_in(tmp_path / "killed")) == 2)
    found = finish(words, tmp_path / "killed")
    run(PLAN, executor=Here(), out=tmp_path / "whole")
    assert [row["seed"] for row in found] == [0, 1] and found == results_of(tmp_path / "whole")


@pytest.mark.slow
def test_a_study_of_gans_killed_20_times_ends_in_the_same_results(tmp_path: Path) -> None:
    words = ["as-gan/figure-4", "--scale", "smoke", "--rows", "DCGAN", "--rows", "AS, 1/255"]
    began = time.monotonic()
    whole = finish(words, tmp_path / "whole")
    took, chosen, kills, studies = time.monotonic() - began, random.Random(0), 0, 0
    while kills < 20:
        folder, ended, studies = tmp_path / f"killed-{studies}", False, studies + 1
        while not ended and kills < 20:
            moment = time.monotonic() + chosen.uniform(0, took / 2)
            ended = not kill(words, folder, lambda moment=moment: time.monotonic() > moment)  # type: ignore[misc]
            kills += not ended
        assert finish(words, folder) == whole
