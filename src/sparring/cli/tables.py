"""Tables that the command line prints."""

from __future__ import annotations

import json
from typing import Any

from rich.table import Table

from sparring.cli.output import plain_console
from sparring.messages import counted


def print_metrics(records: list[dict[str, Any]]) -> None:
    """Print the metrics, each with what it depends on."""
    if not records:
        return
    table = Table("metric", "value", "n fake", "n real", "against", "extractor", box=None, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"  # a narrow terminal breaks words instead of dropping them
    for column in table.columns[:2]:
        column.no_wrap = True  # keep a metric's name and value whole
    numbers = [record for record in records if isinstance(record["value"], int | float)]
    for record in numbers:
        spread = f" ± {record['std']:.3f}" if record.get("std") is not None else ""
        against = f"{record.get('data', '')} {record.get('split') or ''}".strip()
        table.add_row(
            record["metric"],
            f"{record['value']:.4g}{spread}",
            str(record.get("n_fake", "")),
            str(record.get("n_real", "")),
            against,
            str(record.get("extractor", "")),
        )
    console = plain_console()
    console.print(table)
    for note in dict.fromkeys(note for record in numbers for note in record.get("notes", [])):
        of = [str(record["metric"]) for record in numbers if note in record.get("notes", [])]
        whose = "" if len(of) == len(numbers) else f" on {', '.join(of)}"
        console.print(f"note{whose}: {note}", style="dim")


def print_differences(a: str, b: str, changed: dict[str, dict[str, Any]]) -> None:
    table = Table("key", a, b, box=None, pad_edge=False)
    table.columns[0].overflow = "fold"  # keep keys whole, for copying
    for key, values in changed.items():
        table.add_row(key, _short(values["this"]), _short(values["other"]))
    plain_console().print(table if changed else f"{a} and {b} are the same recipe")


def print_description(description: dict[str, Any]) -> None:
    """Print the dry run of `sparring show`."""
    console = plain_console()
    images, per_step = description["images"], description["per_step"]
    console.print(description["name"], style="bold", end="  ")
    console.print(description["about"])
    if not description["run_in_full"]:
        console.print("never run in full", style="yellow")
    console.print(
        f"images {images['channels']} x {images['size']} x {images['size']}, "
        f"{counted(images['num_classes'], 'class', 'classes') if images['num_classes'] else 'no classes'}; parameters: "
        + ", ".join(f"{player} {count:,}" for player, count in description["parameters"].items())
    )
    table = Table("term", "kind", "acts on", "weight", "every", "heads", "needs", box=None, pad_edge=False)
    for term in description["terms"]:
        kind = term["kind"] + (" (host)" if term["host"] else "")
        needs = sorted({need for found in term["needs"].values() for need in found})
        weights = {player: _weight(weight) for player, weight in term["weight"].items()}
        same = len(set(weights.values())) == 1
        shown = next(iter(weights.values())) if same else ", ".join(f"{p[0].upper()} {w}" for p, w in weights.items())
        marks = {"2nd update": term["second_update"], "couples samples": term["couples_samples"]}
        marked = ", ".join(mark for mark, on in marks.items() if on)
        players = ", ".join(player[0].upper() for player in term["players"]) or "none"
        table.add_row(
            term["name"],
            kind + (f" [{marked}]" if marked else ""),
            players,
            shown,
            str(term["every"]),
            ", ".join(term["heads"]),
            ", ".join(needs),
        )
    console.print(table)
    for player in ("discriminator", "generator"):
        cost = per_step[player]
        console.print(
            f"{player}: {_many(cost['passes'], 'pass', 'passes')}, {_many(cost['rows'], 'row', 'rows')} and "
            f"{counted(per_step['optimizer_steps'][player], 'optimiser update')} per step"
        )
    for side, source in per_step["host_gradient"].items():
        console.print(f"gradient on {side} samples: {source}")
    console.print(json.dumps(description["recipe"], indent=2, ensure_ascii=False), markup=False, soft_wrap=True)


def _many(number: float, one: str, more: str) -> str:
    return f"{number:g} {one if number == 1 else more}"


def _weight(weight: Any) -> str:
    if isinstance(weight, dict):
        return " → ".join(f"{value:g}" for value in weight.values())
    return f"{weight:g}"


def _short(value: Any) -> str:
    text = "—" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) < 60 else text[:57] + "..."
