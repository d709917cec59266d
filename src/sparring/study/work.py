"""One run of a study, in a process of its own: `python -m sparring.study.work TASK.json` trains it and leaves its result.

The process ends with the one that started it, however that ends: a pipe closes, and Linux sends a signal. What is trained is
saved at its checkpoints, and the next worker with the same task goes on there.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack, redirect_stderr, suppress
from pathlib import Path
from typing import Any

from sparring.errors import NonFiniteLossError, SparringError, is_out_of_memory
from sparring.files import read_rows, write_json
from sparring.parsing import read_json
from sparring.run.lock import only_writer
from sparring.study.diagnosed import diagnose
from sparring.study.results import of_classifier, of_records

THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
PARENT = "SPARRING_STUDY_PARENT"  # the environment variable with the number of the process to end with
PDEATHSIG = 1  # of Linux's prctl: the signal that a process gets when its parent ends
WAIT = 0.2  # seconds between two looks at a run that an older worker still holds


def main() -> None:
    end_with(int(os.environ.get(PARENT, 0)))
    run_task(sys.argv[1])


def end_with(parent: int) -> None:
    """End this process, at once, when its standard input is closed or its parent is gone. 0: never."""
    if not parent:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then asks its workers to end
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            import ctypes

            ctypes.CDLL(None).prctl(PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_end_at_eof, daemon=True).start()
    if hasattr(os, "getppid") and os.getppid() != parent:  # it ended before this line
        os._exit(1)


def _end_at_eof() -> None:
    while os.read(0, 64):
        pass
    os._exit(1)


def run_task(file: str | Path) -> None:
    """Train the task in a file, or go on with it, and write what it ended with. An interrupted run leaves nothing."""
    task = read_json(Path(file))
    os.chdir(task["cwd"])
    if "torch" not in sys.modules:
        os.environ.update(dict.fromkeys(THREADS, str(task["threads"])))
    if task["beside"] and task["beside"] not in sys.path:
        sys.path.append(task["beside"])  # modules that the recipe's file names
    ended = Path(task["ended"])
    with _alone(Path(file)):
        if not ended.is_file():
            write_json(ended, _ended_with(task))


def run_task_with_log(file: str, log: str) -> None:
    """`run_task` for executors whose own logs lie elsewhere: what it says goes to the run's log."""
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a", encoding="utf-8") as out, redirect_stderr(out):
        run_task(file)


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


def _ended_with(task: dict[str, Any]) -> dict[str, Any]:
    """A result's fields, or {"error": one line} for what says nothing about the row, such as data that are not there."""
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        found = KINDS[task["kind"]](task)
    except SparringError as error:
        return {"error": str(error)}
    except Exception as error:
        traceback.print_exc()
        what = "there is not enough memory" if is_out_of_memory(error) else f"{type(error).__name__}: {error}"
        return {"error": " ".join(what.split())[:300]}
    seconds = {"cpu_seconds": round(time.process_time() - cpu, 2), "seconds": round(time.perf_counter() - wall, 2)}
    return (
        {key: task[key] for key in ("row", "seed", "kind")}
        | {"recipe": task["hash"]}
        | seconds
        | found
        | _machine(task)
    )


def _machine(task: Mapping[str, Any]) -> dict[str, Any]:
    import torch

    from sparring.version import __version__, commit, instruction_set

    facts = {"commit": commit(), "sparring": __version__, "torch": str(torch.__version__)}
    return facts | {"instructions": instruction_set(), "threads": task["threads"]}


def _gan(task: Mapping[str, Any]) -> dict[str, Any]:
    from sparring.run.runtime import Runtime
    from sparring.training.run import train

    run, failed = Path(task["run"]), None
    resume = _goes_on(run, task["threads"])
    changes = {"seed": task["seed"]}
    if task["start_from"] and not resume:
        changes["start_from"] = task["start_from"]
    device = Runtime.start(task["device"]).device
    try:
        train(
            task["recipe"], changes, out=run, resume=resume, device=task["device"],
            progress=False, note=_say, command="sparring study run",
        )  # fmt: skip
    except NonFiniteLossError as error:
        failed = f"not finite at step {error.step}" if error.step is not None else str(error)
    found = of_records(read_rows(run / "metrics.jsonl"))
    log = read_rows(run / "log.jsonl")
    if failed:
        found["values"] = {}
    pictures = sorted((run / "samples").glob("step-*.png"))
    files = {}
    if pictures:
        target = Path(task["samples"])
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(pictures[-1], target)
        files["samples"] = f"{target.parent.name}/{target.name}"
    steps = log[-1]["step"] if log else 0
    seconds = {"seconds": log[-1]["seconds"]} if log else {}
    numbers = {} if failed else diagnose(run, task["diagnose"], device)
    return {
        "failed": failed,
        "steps": steps,
        **found,
        "numbers": numbers,
        "files": files,
        "device": str(device),
        **seconds,
    }


def _classifier(task: Mapping[str, Any]) -> dict[str, Any]:
    from sparring.classify.run import train_classifier
    from sparring.run.runtime import Runtime

    run = Path(task["run"])
    device = str(Runtime.start(task["device"]).device)
    try:
        trained = train_classifier(
            task["recipe"], {"seed": task["seed"]}, out=run, resume=_goes_on(run, task["threads"]),
            device=task["device"], progress=False, note=_say, command="sparring study run",
        )  # fmt: skip
    except NonFiniteLossError as error:
        failed = f"not finite at step {error.step}" if error.step is not None else str(error)
        return {"failed": failed, "steps": error.step or 0, "device": device}
    found = of_classifier({"classifiers": trained.results}, trained.recipe.criterion.kind)
    measured = {"data": trained.recipe.data.source, "n": found["numbers"]["n_test"]}
    protocol = dict.fromkeys(found["values"], measured)
    return {"steps": trained.recipe.steps, **found, "protocol": protocol, "device": device}


def _toy(task: Mapping[str, Any]) -> dict[str, Any]:
    from sparring.toy.measure import LEVELS, measured_run
    from sparring.toy.methods import toy_recipe
    from sparring.toy.worlds import world

    toy, seed = task["recipe"], task["seed"]
    here = world(toy["world"], toy["options"], seed=seed)
    found = measured_run(here, toy_recipe(here, toy["method"], toy["changes"], steps=toy["steps"], seed=seed))
    values = {key: value for key, value in found.numbers.items() if value is not None}
    numbers: dict[str, Any] = {}
    if not found.failed and here.name in LEVELS:
        numbers["did_reach"] = "reached" in values
        values.setdefault("reached", toy["steps"])  # one that never does counts as if it had at its end
    measured = {"world": toy["world"], **toy["options"]}
    distances = [[step, value] for step, value in found.distances]
    return {
        "failed": found.failed,
        "steps": distances[-1][0] if found.failed and distances else 0 if found.failed else toy["steps"],
        "values": values,
        "best": {"distance": min(value for _, value in distances)} if distances else {},
        "curve": {"distance": distances},
        "protocol": dict.fromkeys(values, measured),
        "numbers": numbers,
        "device": "cpu",
    }


KINDS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {"gan": _gan, "classifier": _classifier, "toy": _toy}


def _goes_on(run: Path, threads: int) -> bool:
    """Whether a run's folder holds one to go on with. What has no checkpoint yet, or is another machine's, starts again."""
    from sparring.run.folder import read_facts
    from sparring.version import hardware

    facts = read_facts(run)
    saved = any(run.glob("**/checkpoints/step-*.pt"))
    if run.is_dir() and not (facts and saved and facts.get("hardware") == hardware(threads)):
        shutil.rmtree(run)
    return run.is_dir()


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    main()
