"""One run of a study: the task that a worker is given, and how a process of its own trains it.

`python -m sparring.study.work TASK.json` trains it and leaves its result. What is trained is saved at its checkpoints, and
the next worker with the same task goes on there.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sparring.classify.numbers import by_word
from sparring.errors import NonFiniteLossError, SparringError, is_out_of_memory
from sparring.files import read_rows, write_json
from sparring.messages import to_stderr
from sparring.parsing import read_json
from sparring.run.lock import only_writer
from sparring.run.parent import end_with_parent
from sparring.study.resolve import ReadyRow
from sparring.study.results import Key, Result, of_records

THREADS = [f"{library}_NUM_THREADS" for library in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")] + ["VECLIB_MAXIMUM_THREADS"]


class Task:
    """One run. An executor needs `file`, which a worker is given, `log`, for what it says, `name` and `threads`.

    folder: the study's, absolute. parent: the run that this one starts from.
    """

    def __init__(self, row: ReadyRow, seed: int, folder: Path, parent: Task | None = None):
        self.row, self.seed, self.parent, self.threads = row, seed, parent, row.threads
        self.key: Key = row.label, seed
        self.name = f"{row.slug}-{seed}"
        self.run = folder / "runs" / row.slug / str(seed)
        self.file = folder / "work" / f"{self.name}.task.json"
        self.ended = folder / "work" / f"{self.name}.ended.json"  # what a worker leaves: a result, or {"error": ...}
        self.log = folder / "logs" / f"{self.name}.log"
        self.samples = folder / "files" / f"{self.name}-samples.png"
        self.result: Result | None = None
        self.error: str | None = None  # why it could not be trained
        self.attempts, self.since = 0, 0.0  # how often it was begun, and when

    def __str__(self) -> str:
        return f"{self.row.label}, seed {self.seed}"

    def is_trained(self) -> bool:
        """Whether the run's folder holds its last checkpoint, from which another row may start."""
        return (self.run / "checkpoints" / f"step-{self.row.steps:06d}.pt").is_file()

    def prepare(self, **options: Any) -> None:
        """Begin: write the file that a worker is given, with all that it needs."""
        self.attempts, self.since = self.attempts + 1, time.time()
        self.run.parent.mkdir(parents=True, exist_ok=True)
        self.ended.unlink(missing_ok=True)
        facts = {"row": asdict(self.row), "seed": self.seed, "threads": self.threads, "cwd": os.getcwd()}
        paths = {"run": str(self.run), "samples": str(self.samples), "ended": str(self.ended)}
        start_from = None if self.parent is None else str(self.parent.run)
        write_json(self.file, {**facts, **paths, "start_from": start_from, **options})

    def read_ended(self) -> dict[str, Any] | None:
        """What the worker has left; None if the run has not ended."""
        found = read_json(self.ended) if self.ended.is_file() else None
        return found if isinstance(found, dict) and found.get("recipe", self.row.hash) == self.row.hash else None

    def forget(self) -> None:
        """Remove what served the worker."""
        for path in (self.ended, self.file, self.file.with_name(f".{self.file.name}.lock")):
            path.unlink(missing_ok=True)


def run_with_log(file: str, log: str) -> None:
    """`run_task`, and what it says goes to the run's log."""
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a", encoding="utf-8", buffering=1) as out, redirect_stderr(out):
        run_task(file)


def run_task(file: str | Path) -> None:
    """Train the task in a file, or go on with it, and write what it ended with. An interrupted run leaves nothing."""
    file = Path(file)
    task = read_json(file)
    os.chdir(task["cwd"])
    if "torch" not in sys.modules:
        os.environ.update(dict.fromkeys(THREADS, str(task["threads"])))
    if task["row"]["beside"] not in (None, *sys.path):
        sys.path.append(task["row"]["beside"])  # modules that the recipe's file names
    ended = Path(task["ended"])
    with only_writer(file.parent, work=file.name, name=f".{file.name}.lock", wait=True):  # for an older worker to end
        if not ended.is_file():
            write_json(ended, _ended_with(task))


def _ended_with(task: Mapping[str, Any]) -> dict[str, Any]:
    """A result's fields, or {"error": one line} for what says nothing about the row, such as data that are not there."""
    row, wall, cpu = task["row"], time.perf_counter(), time.process_time()
    try:
        found = KINDS[row["kind"]](task)
    except SparringError as error:
        return {"error": str(error)}
    except Exception as error:
        traceback.print_exc()
        what = "there is not enough memory" if is_out_of_memory(error) else f"{type(error).__name__}: {error}"
        return {"error": " ".join(what.split())[:300]}
    import torch

    from sparring.version import __version__, commit, instruction_set

    about = {key: row[key] for key in ("kind", "steps")} | {
        "row": row["label"],
        "recipe": row["hash"],
        "seed": task["seed"],
    }
    took = {"cpu_seconds": round(time.process_time() - cpu, 2), "seconds": round(time.perf_counter() - wall, 2)}
    made = {"commit": commit(), "sparring": __version__, "torch": str(torch.__version__)}
    return {**about, **took, **found, **made, "instructions": instruction_set(), "threads": task["threads"]}


def _gan(task: Mapping[str, Any]) -> dict[str, Any]:
    from sparring.microscope.words import numbers_of
    from sparring.training.run import train

    run, target = Path(task["run"]), Path(task["samples"])
    trained, facts = _trained(train, task, report=False)  # the study's page shows more
    found = of_records(read_rows(run / "metrics.jsonl")) | facts
    if rows := read_rows(run / "log.jsonl"):
        found |= {"steps": rows[-1]["step"], "seconds": rows[-1]["seconds"]}
    if pictures := sorted((run / "samples").glob("step-*.png")):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(pictures[-1], target)
        found["files"] = {"samples": f"{target.parent.name}/{target.name}"}
    if trained is not None:
        found["numbers"] = numbers_of(run, task["diagnose"], facts["device"])
    return found


def _classifier(task: Mapping[str, Any]) -> dict[str, Any]:
    from sparring.classify.run import train_classifier

    trained, facts = _trained(train_classifier, task)
    if trained is None:
        return facts
    found = by_word({"classifiers": trained.results}, trained.recipe.criterion.kind)
    measured = {"data": trained.recipe.data.source, "n": found["numbers"]["n_test"]}
    return {**found, "protocol": dict.fromkeys(found["values"], measured), **facts}


def _trained(train: Callable[..., Any], task: Mapping[str, Any], **options: Any) -> tuple[Any, dict[str, Any]]:
    """The run that `train` returns, None if it has failed; and where it ran, and why it failed."""
    from sparring.run.folder import goes_on
    from sparring.run.runtime import Runtime

    run = Path(task["run"])
    facts: dict[str, Any] = {"device": str(Runtime.start(task["device"]).device)}
    resume = goes_on(run, task["threads"], facts["device"])
    origin = {"start_from": task["start_from"]} if task["start_from"] and not resume else {}
    options |= {"out": run, "resume": resume, "device": task["device"]}
    options |= {"progress": False, "command": "sparring study run"}
    try:
        trained = train(task["row"]["recipe"], {"seed": task["seed"], **origin}, note=to_stderr, **options)
    except NonFiniteLossError as error:
        why = str(error) if error.step is None else f"not finite at step {error.step}"
        return None, facts | {"failed": why, "steps": error.step or 0, "values": {}}
    return trained, facts


def _toy(task: Mapping[str, Any]) -> dict[str, Any]:
    from sparring.toy.measure import measured_run
    from sparring.toy.methods import toy_recipe
    from sparring.toy.worlds import world

    toy, seed = task["row"]["recipe"], task["seed"]
    here = world(toy["world"], toy["options"], seed=seed)
    found = measured_run(here, toy_recipe(here, toy["method"], toy["changes"], steps=toy["steps"], seed=seed))
    measured = {"world": toy["world"], **toy["options"]}
    return {**found, "protocol": dict.fromkeys(found["values"], measured), "device": "cpu"}


KINDS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {"gan": _gan, "classifier": _classifier, "toy": _toy}


if __name__ == "__main__":
    end_with_parent()
    run_task(sys.argv[1])
