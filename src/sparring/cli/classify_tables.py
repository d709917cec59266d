"""What the command line prints of classifiers. For it alone: rich draws from Python's generator when it is imported."""

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
        console.print(f"a classifier of {description['parameters']:,} parameters")
    console.print_json(json.dumps(description["recipe"]))


def print_table(columns: list[str], rows: list[list[str]], title: str = "") -> None:
    table = Table(*columns, box=None, pad_edge=False, title=title or None, title_justify="left")
    for row in rows:
        table.add_row(*row)
    console = plain_console()
    if not sys.stdout.isatty():
        console.width = 200  # a file or a pipe has no edge to wrap at
    console.print(table)


def print_predictions(found: list[dict[str, Any]]) -> None:
    """A line for each image: its label, confidence, and the best class where the label is "unknown"; then by what rule."""
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
    """By what an answer is "unknown"."""
    rule = f"unknown: below {entry['threshold']:.3g}"
    if entry["false_alarm_rate"] is None:
        return f"{rule}, the threshold given"
    reached = entry["false_alarms_on_validation"]
    what_came = "" if reached is None else f" ({reached:.1%} of them are)"
    return (
        f"{rule}, chosen on validation images so that {entry['false_alarm_rate']:.1%} of them may be unknown{what_came}"
    )
