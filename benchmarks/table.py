"""Write the tables in docs/performance.md: `python benchmarks/table.py COMMAND...`, where COMMAND is quoted on the page."""

from __future__ import annotations

import datetime
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
PAGE, RESULTS = ROOT / "docs" / "performance.md", ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- table: written by benchmarks/table.py -->", "<!-- end of the table -->"


def rows(name: str) -> list[dict[str, Any]]:
    path = RESULTS / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def spread(row: dict[str, Any], name: str) -> str:
    return f"{row[name]:.2f} ({row[name + '_low']:.2f} to {row[name + '_high']:.2f})"


def limit(value: float | None, word: str) -> str:
    return "" if value is None else f"{word} {value:g}"


def table(head: str, lines: list[str]) -> list[str]:
    cells = head.count("|") - 1
    return ["", head, "|" + "---|" * cells, *lines] if lines else []


def lines() -> list[str]:
    """The lines of all tables, in Markdown."""
    steps = [
        f"| {r['case']} | {r['ours_ms']:.0f} | {r['textbook_ms']:.0f} | {spread(r, 'ratio')} | "
        f"{r['textbook_gflops'] / r['ours_gflops']:.2f} | {r['ours_peak_mb']:.0f} / {r['textbook_peak_mb']:.0f} | "
        f"{limit(r['at_least'], 'at least')} |"
        for r in rows("steps")
    ]
    overheads = [
        f"| {r['case']} | {r['host_ms']:.0f} | {spread(r, 'overhead')} | {r['flops_ratio']:.3f} | "
        f"{limit(r['at_most'], 'at most')} |"
        for r in rows("overheads")
    ]
    data = [
        f"| {r['case']} | {r['ours_per_second']:,.0f} | {r['loader_per_second']:,.0f} | {spread(r, 'ratio')} | "
        f"{limit(r['at_least'], 'at least')} |"
        for r in rows("data")
    ]
    times = [
        f"| {r['case']} | {100 * r['share']:.1f}% | {100 * r['at_most']:g}% at most |"
        if "share" in r
        else f"| {r['case']} | {r['seconds']:.3g} s | |"
        for r in rows("times")
    ]
    return [
        *table("| step | ours, ms | textbook, ms | ratio (quartiles) | of operations | peak MB | wanted |", steps),
        *table("| term over its host | host, ms | ratio (quartiles) | of operations | wanted |", overheads),
        *table("| data | ours, images/s | DataLoader | ratio (quartiles) | wanted |", data),
        *table("| around the steps | | wanted |", times),
    ]


def origin(command: str) -> str:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    peak = _matrix_product_speed()
    return (
        f"{datetime.date.today()}, commit {commit}, `{command}`. {_processor()}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}; a 2048 x 2048 matrix product runs at {peak:.0f} GFLOP/s here."
    )


def _processor() -> str:
    try:
        models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        return models[0].partition(":")[2].strip()
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def _matrix_product_speed() -> float:
    import time

    a, best = torch.randn(2048, 2048), float("inf")
    for _ in range(10):
        before = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - before)
    return 2 * 2048**3 / best / 1e9


def main() -> None:
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text("\n".join([before + BEGIN, "", origin(" ".join(sys.argv[1:])), *lines(), "", END + after]))


if __name__ == "__main__":
    main()
