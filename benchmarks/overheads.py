"""Each term's overhead over its host: `python benchmarks/overheads.py [NAME ...] --iterations 10 --cpu-time`."""

from __future__ import annotations

import argparse
import json
import time

import torch
from cases import OVERHEADS

from sparring.bench.overhead import bench_overhead


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("names", nargs="*", help="parts of case names (default: all cases)")
    arguments.add_argument("--iterations", type=int, default=15)
    arguments.add_argument("--batch-size", type=int)
    arguments.add_argument("--threads", type=int)
    arguments.add_argument("--cpu-time", action="store_true", help="measure CPU time, for busy machines")
    given = arguments.parse_args()
    torch.set_flush_denormal(True)
    if given.threads:
        torch.set_num_threads(given.threads)
    for name, case in OVERHEADS.items():
        if given.names and not any(part.lower() in name.lower() for part in given.names):
            continue
        batch = {"batch_size": given.batch_size} if given.batch_size else {}
        found = bench_overhead(
            case.recipe,
            case.changes,
            overrides=case.overrides | batch,
            iterations=given.iterations,
            clock=time.process_time if given.cpu_time else time.perf_counter,
        )
        print(json.dumps({"case": name, "at_most": case.at_most} | found), flush=True)


if __name__ == "__main__":
    main()
