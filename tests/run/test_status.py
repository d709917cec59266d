"""What `status` says of a run: from its files alone, while it trains and however it ended."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time

import pytest

import sparring
from sparring import parsing
from sparring.errors import SparringError
from sparring.run.alive import STATUS_FILE, is_alive, sign_of_life, started
from sparring.run.status import status
from tiny import tiny_recipe

pytestmark = pytest.mark.usefixtures("without_reports")


class At:
    """A tracker that does something when a step is logged."""

    def __init__(self, step, work):
        self.step, self.work = step, work

    def config(self, recipe): ...

    def images(self, name, images, step): ...

    def close(self): ...

    def scalars(self, values, step):
        if step == self.step:
            self.work()


def interrupt():
    raise KeyboardInterrupt


def change(folder, **values):
    path = folder / STATUS_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, images):
    return sparring.train(tiny_recipe(name="cats"), out=tmp_path_factory.mktemp("status") / "run", data=images).folder


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def test_a_finished_run(run):
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    rows[0]["seconds"], rows[-1]["seconds"] = 1.0, 9.0
    (run / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (run / "metrics.jsonl").write_text(
        "".join(
            json.dumps({"step": step, "metric": name, "value": value, "n_fake": 7}) + "\n"
            for step, name, value in ((2, "FD", 9.0), (6, "FD", 4.5), (6, "KD", 0.5), (6, "classes", {"cat": 1.0}))
        )
    )
    found = status(run)
    assert (found.name, found.trains, found.state, found.step, found.steps) == ("cats", "GAN", "finished", 6, 6)
    assert found.rate == (6 - 2) / (9.0 - 1.0) and found.seconds == 9.0 and found.seconds_left is None
    assert [(each["metric"], each["value"], each["step"]) for each in found.numbers] == [("FD", 4.5, 6), ("KD", 0.5, 6)]
    assert found.resume is None and found.message is None and found.checkpoint == 6 and not found.warnings
    assert found.logged["discriminator/hinge"] == rows[-1]["discriminator/hinge"]
    sizes = {path: path.stat().st_size for path in run.rglob("*") if path.is_file()}
    assert found.disk_bytes == sum(sizes.values())
    assert found.disk["checkpoints"] == sum(size for path, size in sizes.items() if path.parent.name == "checkpoints")
    assert list(found.disk.values()) == sorted(found.disk.values(), reverse=True)
    assert json.loads(json.dumps(found.to_dict()))["state"] == "finished"


def test_while_it_trains_and_after_an_interrupt_and_a_resume(tmp_path, images):
    seen = []

    def look():
        with (folder / "log.jsonl").open("ab") as file:  # as a reader may find it
            file.write(b'{"step": 5, "upd')
        seen.append(status(folder))
        interrupt()

    folder = tmp_path / "my run"
    with pytest.raises(KeyboardInterrupt):
        sparring.train(tiny_recipe(checkpoint_every=2), out=folder, data=images, trackers=[At(4, look)])
    (during,) = seen
    assert (during.state, during.process, during.step, during.resume) == ("training", os.getpid(), 4, None)
    assert during.seconds_left == pytest.approx((6 - 4) / during.rate) and time.time() - during.seen < 60
    after = status(folder)
    assert (after.state, after.step, after.checkpoint, after.seconds_left) == ("interrupted", 4, 2, None)
    assert after.resume == f"sparring train '{folder}' --resume"
    sparring.train(folder, resume=True, data=images)
    assert status(folder).state == "finished"


def test_a_failed_run_says_why_and_a_refused_resume_changes_nothing(tmp_path, images):
    recipe = tiny_recipe()
    recipe["generator"]["optimizer"] = {"lr": 1e38, "betas": [0.0, 0.9]}
    with pytest.raises(SparringError) as caught:
        sparring.train(recipe, out=tmp_path / "run", data=images)
    found = status(tmp_path / "run")
    assert (found.state, found.message) == ("failed", str(caught.value)) and "nan" in found.message
    with pytest.raises(SparringError, match="another recipe"):
        sparring.train(recipe, ["batch_size=4"], out=tmp_path / "run", resume=True, data=images)
    assert status(tmp_path / "run") == found


def test_a_killed_run_whose_process_is_gone_or_is_another_now(run):
    gone = subprocess.Popen(["true"])
    gone.wait()
    for process in ({"process": gone.pid}, {"process": os.getpid(), "started": "1"}):
        change(run, state="training", **process)
        found = status(run)
        assert found.state == "killed" and found.resume == f"sparring train {run} --resume"
    change(run, **sign_of_life())
    assert status(run).state == "training"


def test_a_process_that_has_ended_but_was_not_waited_for_is_not_alive():
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert is_alive({**sign_of_life(), "process": child.pid, "started": None})
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert started(child.pid) == "ended"
        assert not is_alive({**sign_of_life(), "process": child.pid, "started": "123"})
    finally:
        child.kill()
        child.wait()


def test_a_run_on_another_machine_is_believed_while_it_writes(run):
    change(run, state="training", host="elsewhere", process=1)
    assert status(run).state == "training" and status(run).host == "elsewhere"
    long_ago = time.time() - 1000
    for path in run.rglob("*"):
        os.utime(path, (long_ago, long_ago))
    assert status(run).state == "killed"
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    for i, row in enumerate(rows):
        row["seconds"] = 100.0 * i  # it writes rarely
    (run / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    os.utime(run / "log.jsonl", (long_ago, long_ago))
    assert status(run).state == "training"


@pytest.mark.parametrize("said", ["[]", "{", '{"state": "training", "process": -1}', '{"state": 3}', None])
def test_a_run_without_a_usable_sign_of_life(run, said):
    (run / STATUS_FILE).unlink()
    if said is not None:
        (run / STATUS_FILE).write_text(said)
    assert status(run).state == ("killed" if said and "training" in said else "finished")
    (run / "generator.json").write_text('{"step": 4}')
    assert status(run).state == ("killed" if said and "training" in said else "interrupted")


def test_a_long_log_costs_no_more_than_its_end(run, monkeypatch):
    row = (run / "log.jsonl").read_text().splitlines()[-1]
    vitals = [{"step": i, "diversity": 0.5, "moved": 3.0} for i in range(100_000)]
    vitals[7]["warnings"] = {"stuck": "it is stuck"}
    (run / "log.jsonl").write_text("".join(f'{{"step": {i}, "seconds": {i / 4}, {row[1:]}\n' for i in range(100_000)))
    (run / "vitals.jsonl").write_text("".join(json.dumps(each) + "\n" for each in vitals))
    calls, parse = [], parsing.json.loads
    monkeypatch.setattr(parsing.json, "loads", lambda text: calls.append(1) or parse(text))
    found = status(run)
    assert len(calls) < 1000
    assert [(each.step, each.kind, each.text) for each in found.warnings] == [(7, "stuck", "it is stuck")]


def test_what_is_not_a_run_is_said_in_one_line(run, tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "plan.json").touch()
    (tmp_path / "starting").mkdir()
    (tmp_path / "starting" / ".lock").touch()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "recipe.json").write_text('{"recipe": {"generator": {}}}')
    wanted = {"nix": "no folder", "study": "study status", "starting": "no run yet", "broken": "damaged"}
    for name, part in {**wanted, ".": f"such as {tmp_path / 'broken'}"}.items():
        with pytest.raises(SparringError, match=part) as caught:
            status(tmp_path / name)
        assert "\n" not in str(caught.value)
