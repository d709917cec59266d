#!/usr/bin/env python
"""Methods x seeds on toy worlds: makes the runs that are missing, and writes the tables into docs/toy.md.

    python studies/toy_study.py               # 20 seeds; each run is a line of toy_study.jsonl as soon as it is done
    python studies/toy_study.py --table       # only the tables, from the seeds that every method has

The same runs as `sparring toy study --out studies/toy_study.jsonl`.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import torch

from sparring.files import write_atomically
from sparring.report.plots import render
from sparring.toy.study import PLAN, SEEDS, STEPS, read_lines, run_study, summarise
from sparring.toy.tables import study_markdown, study_picture

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_suffix(".jsonl")
PAGE = ROOT / "docs" / "toy.md"
PICTURE = ROOT / "docs" / "images" / "toy-study.png"
MARKS = ("<!-- study:begin -->\n", "<!-- study:end -->")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--table", action="store_true", help="write the tables from the runs that there are")
    words = parser.parse_args()
    if not words.table:
        run_study(RESULTS, seeds=words.seeds, note=lambda text: print(text, file=sys.stderr))
    rows = [row for row in read_lines(RESULTS) if row["steps"] == STEPS and row["seed"] < words.seeds]
    publish(rows, ran_now=not words.table)


def publish(rows: list[dict[str, Any]], *, ran_now: bool) -> None:
    """Write the tables between the page's marks, of the seeds that every method of a world has, and the picture.

    ran_now: else the page keeps its line that says when and where the runs were made.
    """
    kept: list[dict[str, Any]] = []
    for world, methods in PLAN.items():
        here = [row for row in rows if row["world"] == world and row["method"] in methods]
        known = {row["method"] for row in here}
        complete = {row["seed"] for row in here}
        for method in known:
            complete &= {row["seed"] for row in here if row["method"] == method}
        kept += sorted(
            (row for row in here if row["seed"] in complete),
            key=lambda row: (methods.index(row["method"]), row["seed"]),
        )
    summary = summarise(kept)
    write_atomically(PICTURE, render(study_picture(summary), "png"))
    seconds = sum(row["cpu_seconds"] for row in kept)
    commits = ", ".join(sorted({f"`{(row.get('commit') or 'unknown')[:12]}`" for row in kept}))
    seeds = len({row["seed"] for row in kept})
    counted = f"{seeds}" if seeds == SEEDS else f"up to {seeds} of {SEEDS}"
    head = (
        f"{len(kept)} runs of {STEPS} steps with {counted} seeds, {time.strftime('%Y-%m-%d')}, commit "
        f"{commits}, one thread of "
        f"{os.cpu_count()} {platform.machine()} cores that other programs shared, torch {torch.__version__.split('+')[0]}, "
        f"{seconds / 60:.0f} CPU minutes; `python studies/toy_study.py`."
    )
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(MARKS[0])
    between, after = rest.split(MARKS[1])
    if not ran_now:
        head = between.partition("\n")[0]
    PAGE.write_text(f"{before}{MARKS[0]}{head}\n\n{study_markdown(summary)}\n{MARKS[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
