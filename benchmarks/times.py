"""Time everything but the steps: start-up, checkpoints, resuming, and the bookkeeping of a run. Prints JSON."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cases import SNGAN

import sparring
from sparring.bench.step import ours_step, synthetic_images, synthetic_state
from sparring.recipe.gan import Recipe
from sparring.run.checkpoint import CheckpointFolder, load_checkpoint
from sparring.run.loop import Loop
from sparring.toy.methods import toy_recipe
from sparring.toy.session import ToySession
from sparring.toy.worlds import world
from sparring.training.job import GanJob

BOOKKEEPING = ((Loop, "_tick"), (GanJob, "save_samples"), (Loop, "save"))
AT_MOST = 0.03


def seconds(work: Callable[[], Any], count: int) -> float:
    """The median time of `count` runs."""
    found = []
    for _ in range(count):
        before = time.perf_counter()
        work()
        found.append(time.perf_counter() - before)
    return statistics.median(found)


def python(*command: str) -> Callable[[], None]:
    return lambda: subprocess.run([sys.executable, *command], check=True, capture_output=True) and None


def bookkeeping(steps: int) -> float:
    """The share of time that the quickstart, without evaluation, spends on logs, samples and checkpoints."""
    spent = [0.0]

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            before = time.perf_counter()
            try:
                return function(*arguments, **more)
            finally:
                spent[0] += time.perf_counter() - before

        return call

    originals = {part: getattr(*part) for part in BOOKKEEPING}
    for part, function in originals.items():
        setattr(*part, timed(function))
    try:
        with tempfile.TemporaryDirectory() as folder:
            sparring.train(
                "quickstart",
                {"steps": steps, "evaluation": None},
                data=synthetic_images(4096, 32, 1, 10, "bookkeeping"),
                out=Path(folder) / "run",
            )
            total = sparring.Run(Path(folder) / "run").log[-1]["seconds"]
    finally:
        for part, function in originals.items():
            setattr(*part, function)
    return spent[0] / total


def looks(count: int) -> dict[str, float]:
    """Seconds of a look at a world with pictures, 1,000 samples, by world."""
    found = {}
    for name in ("nat-1d", "ring-8"):
        here = world(name, seed=0)
        session = ToySession(here, toy_recipe(here, None, {}, steps=100, seed=0))
        session.step(20)
        session.look()
        found[f"a look at {name}"] = seconds(session.look, 10 * count)
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--iterations", type=int, default=5)
    arguments.add_argument("--steps", type=int, default=1000, help="steps of the run whose bookkeeping is measured")
    given = arguments.parse_args()
    n = given.iterations
    found = {
        "python and torch": seconds(python("-c", "import torch"), n),
        "import sparring": seconds(python("-c", "import sparring"), n),
        "sparring --help": seconds(python("-m", "sparring", "--help"), n),
    }
    state = synthetic_state(Recipe.load(SNGAN, {"batch_size": 2}), at=0)
    ours_step(state)(1)
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = CheckpointFolder(Path(folder))
        found["checkpoint of SNGAN-ResNet-32"] = seconds(lambda: checkpoints.save(1, state.state_dict()), n)
        path = checkpoints.path(1)
        found["resuming it"] = seconds(lambda: state.load_state_dict(load_checkpoint(path)), n)
    found |= looks(n)
    for case, value in found.items():
        print(json.dumps({"case": case, "seconds": value}), flush=True)
    share = bookkeeping(given.steps)
    print(json.dumps({"case": "bookkeeping of the quickstart", "share": share, "at_most": AT_MOST}), flush=True)


if __name__ == "__main__":
    main()
