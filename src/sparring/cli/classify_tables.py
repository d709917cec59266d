"""Tables about classifiers. Only the command line imports this, as importing rich draws from Python's random generator."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.table import Table

from sparring.cli.output import plain_console, print_lines


def print_classifier(description: dict[str, Any]) -> None:
    console = plain_console()
    console.print(description["name"], style="bold", end="  ")
    console.print(description["about"])
    if not description["run_in_full"]:
        console.print("never run in full", style="yellow")
    if description["parameters"] is not None:
        console.print(f"{description['parameters']:,} parameters")
    console.print_json(json.dumps(description["recipe"]))


def print_table(columns: list[str], rows: list[list[str]], title: str = "") -> None:
    table = Table(*columns, box=None, pad_edge=False, title=title or None, title_justify="left")
    for row in rows:
        table.add_row(*row)
    console = plain_console()
    if not sys.stdout.isatty():
        console.width = 200  # do not wrap in a file or a pipe
    console.print(table)


def print_predictions(found: list[dict[str, Any]]) -> None:
    """One row per image: label, confidence and, if the label is "unknown", the most likely class. Then the rule."""
    rows = []
    for entry in found:
        if "error" in entry:
            rows.append([entry["image"], "unreadable", "", ""])
            continue
        rows.append(
            [entry["image"], entry["label"], f"{entry['confidence']:.3f}", entry["best"] if entry["unknown"] else ""]
        )
    print_table(["image", "label", "confidence", "best guess"], rows)
    judged = next((entry for entry in found if "error" not in entry), None)
    if judged is not None:
        print_lines(_rule(judged))


def _rule(entry: dict[str, Any]) -> str:
    """When the answer is "unknown"."""
    rule = f"unknown: confidence below {entry['threshold']:.3g}"
    if entry["false_alarm_rate"] is None:
        return f"{rule}, as requested"
    reached = entry["false_alarms_on_validation"]
    actual = "" if reached is None else f" (actual: {reached:.1%})"
    return f"{rule}, chosen for at most {entry['false_alarm_rate']:.1%} false alarms on validation images{actual}"
