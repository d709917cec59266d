"""Time a training step against the textbook step: `python benchmarks/steps.py [NAME ...]`. Prints one JSON line per case."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch
from cases import STEPS

from sparring.bench.step import bench_step, ours_step, synthetic_batches, synthetic_state
from sparring.bench.textbook_step import Textbook
from sparring.recipe.gan import Recipe


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("names", nargs="*", help="parts of case names (default: all cases)")
    arguments.add_argument("--iterations", type=int, default=15)
    arguments.add_argument("--threads", type=int)
    arguments.add_argument("--cpu-time", action="store_true", help="measure CPU time, for busy machines")
    arguments.add_argument("--peak", choices=["ours", "textbook"], help="print only the peak memory of the named case")
    given = arguments.parse_args()
    torch.set_flush_denormal(True)
    if given.threads:
        torch.set_num_threads(given.threads)
    if given.peak:
        print(peak_memory(given.names[0], given.peak))
        return
    for name, case in STEPS.items():
        if given.names and not any(part.lower() in name.lower() for part in given.names):
            continue
        found = bench_step(case.recipe, case.overrides, iterations=given.iterations, at=0, cpu_time=given.cpu_time)
        peaks = {f"{which}_peak_mb": _peak_of_a_process(name, which) for which in ("ours", "textbook")}
        print(json.dumps({"case": name, "at_least": case.at_least} | found | peaks), flush=True)


def peak_memory(name: str, which: str) -> float:
    """The increase of the process's peak memory during two steps, in megabytes."""
    state = synthetic_state(Recipe.load(STEPS[name].recipe, STEPS[name].overrides), at=0)
    if which == "ours":
        step, before = ours_step(state), _resident()
        step(2)
    else:
        twin, batches = Textbook(state), [b for i in range(2) for b in synthetic_batches(state, i)]
        before, drawn = _resident(), iter(batches)
        twin.step(drawn)
        twin.step(drawn)
    return _resident() - before


def _resident() -> float:
    """The peak resident size of this process in megabytes. `getrusage` would include the parent process."""
    found = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(found[0].split()[1]) / 1024


def _peak_of_a_process(name: str, which: str) -> float:
    found = subprocess.run(
        [sys.executable, __file__, name, "--peak", which], capture_output=True, text=True, check=True
    )
    return float(found.stdout)


if __name__ == "__main__":
    main()
