"""Training curves of all runs: measurements, losses, scores and gradient norms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparring.microscope.opened import OpenedRun
from sparring.microscope.sections import Section
from sparring.report.html import NOT_CURVES
from sparring.report.plots import curves

Lines = dict[str, tuple[list[float], list[float]]]
BEST = {"lower": min, "higher": max}


def measure(runs: Sequence[OpenedRun], n: int) -> Section:
    """Draw log.jsonl and metrics.jsonl; nothing is computed. What one run lacks is drawn for the others."""
    found = Section("curves")
    measured: dict[str, Lines] = {}
    logged: dict[str, Lines] = {}
    table: list[Sequence[Any]] = []
    for run in runs:
        found.numbers[run.name] = {"steps": run.log[-1]["step"] if run.log else run.last, "last": {}, "best": {}}
        measurements = _measurements(found, run)
        for metric, (steps, values, better) in measurements.items():
            measured.setdefault(metric, {})[run.name] = (steps, values)
            best = BEST[better](values)
            found.numbers[run.name]["last"][metric], found.numbers[run.name]["best"][metric] = values[-1], best
            table.append((run.name, metric, f"{values[-1]:.4g}", f"{best:.4g}", steps[values.index(best)]))
        if not any(len(steps) > 1 for steps, _, _ in measurements.values()):
            often = "was only measured at its end" if measurements else "was never measured"
            if run.until is not None:
                often = f"was measured less than twice up to step {run.until}"
            found.lack(f"measurements over training: {run.name} {often}; set evaluation.every")
        for key, line in _log(run).items():
            logged.setdefault(key, {})[run.name] = line
            found.numbers[run.name]["last"][key] = line[1][-1]
    if table:
        found.tables.append((("run", "measurement", "last", "best", "at step"), table))
    for metric, lines in measured.items():
        if any(len(steps) > 1 for steps, _ in lines.values()):
            found.draw(
                f"curve-{metric}",
                curves(lines, title=metric, ylabel=metric),
                f"{metric} over training (AS-GAN, Figure 6)",
            )
    for key, lines in sorted(logged.items()):
        player, _, name = key.partition("/")
        words = f"{player}: {name.replace('_', ' ')}"
        figure = curves(lines, title=words, ylabel="score" if name.endswith("_score") else "raw value")
        found.draw(f"curve-{key.replace('/', '-')}", figure, f"{words}, means since the last row of the log")
    return found


def _measurements(found: Section, run: OpenedRun) -> dict[str, tuple[list[float], list[float], str]]:
    lines: dict[str, tuple[list[float], list[float], str]] = {}
    for row in run.metrics:
        if not {"metric", "value"} <= set(row):
            found.lack(f"a measurement of {run.name}: a line of its metrics.jsonl, of step {row['step']}, is damaged")
        elif isinstance(row["value"], int | float) and row.get("better") in BEST:
            steps, values, _ = lines.setdefault(row["metric"], ([], [], row["better"]))
            steps.append(row["step"])
            values.append(row["value"])
    return lines


def _log(run: OpenedRun) -> Lines:
    found: Lines = {}
    for row in run.log:
        for key, value in row.items():
            if key not in NOT_CURVES and isinstance(value, int | float):
                steps, values = found.setdefault(key, ([], []))
                steps.append(row["step"])
                values.append(value)
    return found
