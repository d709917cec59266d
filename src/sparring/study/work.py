"""One run of a study, in a process of its own: `python -m sparring.study.work TASK.json` trains it and leaves its result.

That process ends when its standard input is closed, which the system does when the one that started it ends, however it
does. What is trained is saved at its checkpoints, and the next worker with the same task goes on there.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack, redirect_stderr
from pathlib import Path
from typing import Any

from sparring.errors import NonFiniteLossError, SparringError, is_out_of_memory
from sparring.files import read_rows, write_json
from sparring.parsing import read_json
from sparring.run.lock import only_writer
from sparring.study.diagnosed import diagnose
from sparring.study.results import of_classifier, of_records

THREADS = [f"{library}_NUM_THREADS" for library in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")] + ["VECLIB_MAXIMUM_THREADS"]
PDEATHSIG = 1  # of prctl: the signal that a process gets when its parent ends
WAIT = 0.2  # seconds between two looks at a run that an older worker still holds


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then asks its workers to end
    if sys.platform == "linux":  # at once, even while an import keeps the thread below waiting
        ctypes.CDLL(None).prctl(PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_end_at_eof, daemon=True).start()
    run_task(sys.argv[1])


def _end_at_eof() -> None:
    while os.read(0, 64):
        pass
    os._exit(1)


def run_with_log(file: str, log: str) -> None:
    """`run_task`, and what it says goes to the run's log."""
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a", encoding="utf-8") as out, redirect_stderr(out):
        run_task(file)


def run_task(file: str | Path) -> None:
    """Train the task in a file, or go on with it, and write what it ended with. An interrupted run leaves nothing."""
    task = read_json(Path(file))
    os.chdir(task["cwd"])
    if "torch" not in sys.modules:
        os.environ.update(dict.fromkeys(THREADS, str(task["threads"])))
    if task["row"]["beside"] not in (None, *sys.path):
        sys.path.append(task["row"]["beside"])  # modules that the recipe's file names
    ended = Path(task["ended"])
    with _alone(Path(file)):
        if not ended.is_file():
            write_json(ended, _ended_with(task))


def _alone(file: Path) -> ExitStack:
    """The task's lock. An older worker, whose study was killed and which has not noticed, may hold it for a moment."""
    stack = ExitStack()
    while True:
        try:
            stack.enter_context(only_writer(file.parent, work=file.name, name=f".{file.name}.lock"))
            return stack
        except SparringError as error:
            if "another process" not in str(error):
                raise
            time.sleep(WAIT)


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

    return {
        "row": row["label"],
        "seed": task["seed"],
        "kind": row["kind"],
        "recipe": row["hash"],
        "steps": row["steps"],
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "seconds": round(time.perf_counter() - wall, 2),
        **found,
        "commit": commit(),
        "sparring": __version__,
        "torch": str(torch.__version__),
        "instructions": instruction_set(),
        "threads": task["threads"],
    }


def _gan(task: Mapping[str, Any]) -> dict[str, Any]:
    from sparring.training.run import train

    run, log = Path(task["run"]), Path(task["run"], "log.jsonl")
    _, error, device = _trained(train, task, report=False)  # the study's page shows more
    found = of_records(read_rows(run / "metrics.jsonl")) | _failed(error) | {"device": device}
    if rows := read_rows(log):
        found |= {"steps": rows[-1]["step"], "seconds": rows[-1]["seconds"]}
    if pictures := sorted((run / "samples").glob("step-*.png")):
        target = Path(task["samples"])
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(pictures[-1], target)
        found["files"] = {"samples": f"{target.parent.name}/{target.name}"}
    if error is None:
        found["numbers"] = diagnose(run, task["diagnose"], device)
    return found


def _classifier(task: Mapping[str, Any]) -> dict[str, Any]:
    from sparring.classify.run import train_classifier

    trained, error, device = _trained(train_classifier, task)
    if error is not None:
        return _failed(error) | {"device": device}
    found = of_classifier({"classifiers": trained.results}, trained.recipe.criterion.kind)
    measured = {"data": trained.recipe.data.source, "n": found["numbers"]["n_test"]}
    return {**found, "protocol": dict.fromkeys(found["values"], measured), "device": device}


def _trained(
    train: Callable[..., Any], task: Mapping[str, Any], **options: Any
) -> tuple[Any, NonFiniteLossError | None, str]:
    """The run that `train` returns, or why it has failed, and the device that it is on."""
    from sparring.run.runtime import Runtime

    run, trained, failed = Path(task["run"]), None, None
    device = str(Runtime.start(task["device"]).device)
    resume = _goes_on(run, task["threads"], device)
    origin = {"start_from": task["start_from"]} if task["start_from"] and not resume else {}
    try:
        trained = train(
            task["row"]["recipe"],
            {"seed": task["seed"], **origin},
            out=run,
            resume=resume,
            device=task["device"],
            progress=False,
            note=lambda text: print(text, file=sys.stderr, flush=True),
            command="sparring study run",
            **options,
        )
    except NonFiniteLossError as error:
        failed = error
    return trained, failed, device


def _failed(error: NonFiniteLossError | None) -> dict[str, Any]:
    if error is None:
        return {}
    why = str(error) if error.step is None else f"not finite at step {error.step}"
    return {"failed": why, "steps": error.step or 0, "values": {}}


def _goes_on(run: Path, threads: int, device: str) -> bool:
    """Whether a run's folder holds one to go on with. What has no checkpoint yet, or is another machine's, starts again."""
    from sparring.run.device import device_name
    from sparring.run.folder import read_facts
    from sparring.version import hardware

    facts = read_facts(run)
    saved = any(run.glob("**/checkpoints/step-*.pt"))
    if run.is_dir() and not (facts and saved and facts.get("hardware") == hardware(threads, device_name(device))):
        shutil.rmtree(run)
    return run.is_dir()


def _toy(task: Mapping[str, Any]) -> dict[str, Any]:
    from sparring.toy.measure import LEVELS, measured_run
    from sparring.toy.methods import toy_recipe
    from sparring.toy.worlds import world

    toy, seed = task["row"]["recipe"], task["seed"]
    here = world(toy["world"], toy["options"], seed=seed)
    found = measured_run(here, toy_recipe(here, toy["method"], toy["changes"], steps=toy["steps"], seed=seed))
    values = {key: value for key, value in found.numbers.items() if value is not None}
    numbers, steps = {}, toy["steps"]
    if found.failed:
        steps = found.distances[-1][0] if found.distances else 0
    elif here.name in LEVELS:
        numbers["did_reach"] = "reached" in values
        values.setdefault("reached", steps)  # one that never does counts as if it had at its end
    return {
        "failed": found.failed,
        "steps": steps,
        "values": values,
        "best": {"distance": min(value for _, value in found.distances)} if found.distances else {},
        "curve": {"distance": [list(point) for point in found.distances]},
        "protocol": {key: {"world": toy["world"], **toy["options"]} for key in values},
        "numbers": numbers,
        "device": "cpu",
    }


KINDS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {"gan": _gan, "classifier": _classifier, "toy": _toy}


if __name__ == "__main__":
    main()
