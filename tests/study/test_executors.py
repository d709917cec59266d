"""Ray and SLURM (submitit on this machine) give the numbers of local runs, bit for bit, also where a worker is killed.

They are no part of the test extra: pip install ray submitit, then pytest -m ray. Each runs in a process of its own, since
pytest lets nothing open sockets.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from here import Here

from sparring.data.arrays import write_npz
from sparring.errors import SparringError
from sparring.study.engine import run
from sparring.study.executors import make_executor
from tiny import tiny_images, tiny_recipe

TIMES = ("seconds", "cpu_seconds", "date", "attempts", "files")
HEAVY = [pytest.mark.ray, pytest.mark.slow]


def needs(name: str) -> pytest.MarkDecorator:
    there = importlib.util.find_spec(name) is not None
    return pytest.mark.skipif(not there, reason=f"{name} is not installed: pip install {name}")


def plan(folder: Path, steps: int) -> Path:
    write_npz(folder / "images.npz", tiny_images())
    recipe = tiny_recipe(steps=steps, checkpoint_every=5, data=str(folder / "images.npz"))
    rows: dict[str, Any] = {"hinge": {"recipe": recipe}, "toy": {"toy": {"world": "nat-1d"}, "set": {"steps": 20}}}
    (folder / "plan.yaml").write_text(yaml.safe_dump({"name": "tried", "seeds": 1, "rows": rows}))
    return folder / "plan.yaml"


def results_of(folder: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    kept = [{key: row[key] for key in row if key not in TIMES} for row in rows]
    return sorted(kept, key=lambda row: str(row["row"]))


def start(file: Path, executor: str, out: Path) -> subprocess.Popen[str]:
    words = ["study", "run", str(file), "--executor", executor, "--out", str(out), "--jobs", "2"]
    return subprocess.Popen(
        [sys.executable, "-m", "sparring", *words],
        cwd=file.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def ended(process: subprocess.Popen[str]) -> None:
    said = process.communicate(timeout=900)[1]
    assert process.returncode == 0, said


@pytest.mark.parametrize(
    "executor",
    [
        pytest.param("slurm:cluster=local", marks=[*HEAVY, needs("submitit")]),
        pytest.param("ray", marks=[*HEAVY, needs("ray")]),
        pytest.param("local", marks=pytest.mark.slow),
    ],
)
def test_every_executor_gives_the_same_bits(executor: str, tmp_path: Path, without_reports: None) -> None:
    file = plan(tmp_path, steps=6)
    ended(start(file, executor, tmp_path / "there"))
    run(file, executor=Here(), out=tmp_path / "here")
    assert results_of(tmp_path / "there") == results_of(tmp_path / "here")


@needs("ray")
@pytest.mark.ray
@pytest.mark.slow
def test_a_killed_worker_of_ray_costs_nothing_but_time(tmp_path: Path, without_reports: None) -> None:
    file, there = plan(tmp_path, steps=400), tmp_path / "there"
    process = start(file, "ray", there)
    saved = there / "runs" / "hinge" / "0" / "checkpoints"
    while not (saved / "step-000020.pt").exists() and process.poll() is None:
        time.sleep(0.01)
    (worker,) = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and (entry / "cmdline").exists() and b"ray::hinge-0" in (entry / "cmdline").read_bytes()
    ]
    os.kill(worker, signal.SIGKILL)
    ended(process)
    assert "resuming" in (there / "logs" / "hinge-0.log").read_text()
    run(file, executor=Here(), out=tmp_path / "here")
    assert results_of(there) == results_of(tmp_path / "here")


@pytest.mark.parametrize(
    ("name", "package", "extra"), [("ray", "ray", "sparring[ray]"), ("slurm", "submitit", "sparring[slurm]")]
)
def test_an_executor_whose_package_is_missing_says_so_with_the_extra(
    name: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SparringError) as error:
        make_executor(name)
    assert f"pip install '{extra}'" in str(error.value)
