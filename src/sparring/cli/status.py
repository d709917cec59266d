"""`sparring status`. It imports neither torch nor numpy, so that it answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparring.cli.options import AsJson
from sparring.cli.output import note, plain_console, print_json, print_lines
from sparring.messages import about_time

if TYPE_CHECKING:
    from sparring.run.status import Status


def status(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="The folder of a run, or of several.")],
    as_json: AsJson = False,
) -> None:
    """See how a run is doing while it trains, or how it ended: `sparring status runs/mine`.

    Shows steps, rate, time left, last numbers, warnings and disk space; several runs as one table: `sparring status runs/*`.
    """
    from sparring.errors import SparringError
    from sparring.run.status import status as status_of

    found, faults = [], []
    for run in runs:
        try:
            found.append(status_of(run))
        except SparringError as error:
            faults.append(error)
    if not found:
        raise faults[0]
    for fault in faults:
        note(str(fault))
    if as_json:
        print_json(found[0].to_dict() if len(runs) == 1 else [each.to_dict() for each in found])
    elif len(runs) == 1:
        print_lines(*_described(found[0]))
    else:
        _print_table(found)


def _described(found: Status) -> list[str]:
    from sparring.run.status_words import described

    return [f"{label:<10} {text}" for label, text in described(found)]


def _print_table(found: list[Status]) -> None:
    from rich.table import Column, Table

    from sparring.limits import in_words
    from sparring.run.status import newest

    names = ("run", "state", "steps", "steps/s", "left", "last number", "warnings", "disk")
    table = Table(*(Column(name, overflow="fold") for name in names), box=None, pad_edge=False)
    for each in found:
        first = each.numbers[0] if each.numbers else None
        table.add_row(
            each.folder,
            each.state,
            f"{each.step:,}/{each.steps:,}",
            "" if each.rate is None else f"{each.rate:.3g}",
            "" if each.seconds_left is None else about_time(each.seconds_left),
            "" if first is None else f"{first['metric']} {first['value']:.4g}",
            ", ".join(warned.kind for warned in newest(each.warnings)),
            in_words(each.disk_bytes),
        )
    plain_console().print(table)
