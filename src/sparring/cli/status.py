"""`sparring status`. It imports neither torch nor numpy, so that it answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparring.cli.options import AsJson
from sparring.cli.output import note, plain_console, print_json, print_lines
from sparring.messages import about_time, counted

if TYPE_CHECKING:
    from sparring.run.status import Status

SHOWN = 3  # of the folder's parts, and of the logged values


def status(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="The folders of one or more runs.")],
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
    from sparring.limits import in_words
    from sparring.run.status import newest

    lines = [f"run        {found.folder}  ({found.name})", f"state      {_state(found)}", f"steps      {_steps(found)}"]
    if len(found.parts) > 1:
        lines.append("           " + ", ".join(f"{name} {done:,}/{of:,}" for name, (done, of) in found.parts.items()))
    if found.message:
        lines.append(f"why        {found.message}")
    if found.resume:
        at = "from the start" if found.checkpoint is None else f"at step {found.checkpoint:,}"
        lines.append(f"continue   {found.resume}  ({at})")
    if losses := _losses(found.logged):
        lines.append(f"logged     {losses}  (step {found.logged['step']:,})")
    for i, number in enumerate(found.numbers):
        lines.append(f"{'' if i else 'measured':<10} {_number(number)}")
    for warned in newest(found.warnings):
        lines.append("warning    " + ("" if warned.step is None else f"step {warned.step:,}: ") + warned.text)
    parts = [f"{part} {in_words(size)}" for part, size in found.disk.items()]
    return [*lines, f"disk       {in_words(found.disk_bytes)}: {', '.join(parts[:SHOWN])}"]


def _state(found: Status) -> str:
    from sparring.run.status import ago

    by = f" by process {found.process} on {found.host}" if found.process and found.host else ""
    since = "" if found.seen is None else f"; last written {_past(ago(found.seen))}"
    words = {
        "training": f"training{by}",
        "killed": f"killed: process {found.process} on {found.host} shows no sign of life",
        "interrupted": "interrupted",
    }
    return words.get(found.state, found.state) + since


def _past(seconds: float) -> str:
    return "just now" if seconds < 5 else f"{about_time(seconds)} ago"


def _steps(found: Status) -> str:
    said = f"{found.step:,} of {found.steps:,} ({found.step / max(found.steps, 1):.0%})"
    if found.seconds:
        said += f" in {_clock(found.seconds)}"
    if found.rate is not None:
        said += f", {found.rate:.3g} steps/s"
    if found.seconds_left is not None:
        said += f", {about_time(found.seconds_left)} left" if found.step < found.steps else ", measuring"
    return said


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def _losses(row: dict[str, Any]) -> str:
    """The first terms' values of a row of the log: `D hinge 1.71  G hinge -0.16`."""
    from sparring.run.progress import shown

    values = {key: value for key, value in row.items() if isinstance(value, float)}
    return shown(dict(list(values.items())[:SHOWN]))


def _number(record: dict[str, Any]) -> str:
    """A measurement with all that a reader must know to compare it."""
    n = record.get("n_fake", record.get("n"))
    facts = [f"step {record['step']:,}"] if "step" in record else []
    facts += [counted(n, "image")] if isinstance(n, int) else []
    facts += [f"against {record['data']} {record.get('split') or ''}".strip()] if record.get("data") else []
    return f"{record.get('of', '')} {record['metric']} {record['value']:.4g}  ({', '.join(facts)})".strip()


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
