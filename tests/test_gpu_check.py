"""`scripts/gpu_check.py` on a CPU: its sections, and that it goes on after failures and stops in time."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

SCRIPT = Path(__file__).parents[1] / "scripts" / "gpu_check.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_check", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_network_term_and_metric_has_a_job_and_names_are_apart(script: ModuleType) -> None:
    sections = {name: [job for job, _ in jobs] for name, _, jobs in script.Check("cpu", True).sections()}
    assert list(sections) == ["numbers", "ranks", "data", "steps", "compiled"]
    registries = {"generator": script.GENERATORS, "backbone": script.BACKBONES, "term": script.TERMS}
    wanted = {f"{what} {name}" for what, names in (registries | {"metric": script.METRICS}).items() for name in names}
    assert wanted <= set(sections["numbers"])
    assert len(sections["steps"]) == 3 * len(script.RECIPES) == 30
    assert all(len(set(names)) == len(names) for names in sections.values())


def test_small_checks_pass_and_a_wrong_number_does_not(script: ModuleType) -> None:
    check = script.Check("cpu", True)
    found = [check.products(), check.network(script.GENERATORS, "dcgan")]
    assert all(row["ok"] and row["difference"] < 1e-4 for row in found)
    assert 1e-3 < check.term("hinge", "bfloat16")["difference"] < 0.1
    one, other = torch.tensor([2.0, 1.0]), torch.tensor([2.0, 1.01])
    assert not script._difference([one], [other], 1e-3)["ok"] and script._difference([one], [other], 6e-3)["ok"]


def test_what_fails_or_takes_too_long_is_said_and_the_rest_goes_on(script: ModuleType) -> None:
    def wrong() -> Any:
        raise ValueError("two\nlines")

    def slow() -> Any:
        try:
            time.sleep(9)
        except Exception:  # what wraps any error does not keep it from stopping
            return {}

    one: Any = ("one", 0.5, [("wrong", wrong), ("slow", slow), ("late", dict)])
    rows = {name: row for _, name, row in script.run([one, ("two", 0.5, [("last", lambda: {"ok": True})])], 4)}
    assert rows == {
        "wrong": {"failed": "ValueError: two lines"},
        "slow": {"left_out": "took too long"},
        "late": {"left_out": "no time"},
        "last": {"ok": True},
    }


def test_it_ends_with_a_table_and_json(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "found.json"
    monkeypatch.setattr(script.compiled, "BACKEND", script.compiled.BACKEND)  # which a trial replaces for its process
    assert script.main(["--device", "cpu", "--minutes", "0.2", "--only", "data", "--out", str(out)]) == 0
    assert "batches of 256" in capsys.readouterr().out
    rows = json.loads(out.read_text())["sections"]["data"]
    assert all(row["images_per_second"] > 0 for row in rows.values()) and len(rows) == 2


@pytest.mark.slow
def test_the_trial_ends_within_its_minute(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    words = [sys.executable, str(SCRIPT), "--device", "cpu", "--minutes", "1", "--out", str(out)]
    start = time.monotonic()
    done = subprocess.run(words, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout
    assert time.monotonic() - start < 120  # with the start of torch
    assert len(json.loads(out.read_text())["sections"]) == 5
