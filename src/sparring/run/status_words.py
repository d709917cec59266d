"""What a run's status says to people: labels and lines for the terminal, a bar and a table for notebooks."""

from __future__ import annotations

from html import escape
from typing import Any

from sparring.limits import in_words
from sparring.messages import about_time, counted
from sparring.run.progress import bar, clock, shown
from sparring.run.status import Status, ago, newest

SHOWN = 3  # of the folder's parts, and of the logged values


def described(found: Status) -> list[tuple[str, str]]:
    """A label and a text for each line; the label is empty where a line continues the one before."""
    lines = [("run", f"{found.folder}  ({found.name})"), ("state", _state(found)), ("steps", _steps(found))]
    if len(found.parts) > 1:
        lines.append(("", ", ".join(f"{name} {done:,}/{of:,}" for name, (done, of) in found.parts.items())))
    if found.message:
        lines.append(("why", found.message))
    if found.resume:
        at = "from the start" if found.checkpoint is None else f"at step {found.checkpoint:,}"
        lines.append(("continue", f"{found.resume}  ({at})"))
    if losses := _losses(found.logged):
        lines.append(("logged", f"{losses}  (step {found.logged['step']:,})"))
    lines += [("" if i else "measured", _number(number)) for i, number in enumerate(found.numbers)]
    for warned in newest(found.warnings):
        lines.append(("warning", ("" if warned.step is None else f"step {warned.step:,}: ") + warned.text))
    parts = [f"{part} {in_words(size)}" for part, size in found.disk.items()]
    return [*lines, ("disk", f"{in_words(found.disk_bytes)}: {', '.join(parts[:SHOWN])}")]


def as_html(found: Status, picture: str | None) -> str:
    """A bar, the lines as a table, and a picture. picture: its data URL."""
    cells = "".join(
        f'<tr><td style="text-align:left">{escape(label)}</td><td style="text-align:left">{escape(text)}</td></tr>'
        for label, text in described(found)
    )
    image = (
        ""
        if picture is None
        else f'<img src="{picture}" alt="samples" style="width:min(40em,100%);image-rendering:pixelated">'
    )
    return f"{bar(found.step, found.steps)}<table>{cells}</table>{image}"


def _state(found: Status) -> str:
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
        said += f" in {clock(found.seconds)}"
    if found.rate is not None:
        said += f", {found.rate:.3g} steps/s"
    if found.seconds_left is not None:
        said += f", {about_time(found.seconds_left)} left" if found.step < found.steps else ", measuring"
    return said


def _losses(row: dict[str, Any]) -> str:
    """The first terms' values of a row of the log: `D hinge 1.71  G hinge -0.16`."""
    values = {key: value for key, value in row.items() if isinstance(value, float)}
    return shown(dict(list(values.items())[:SHOWN]))


def _number(record: dict[str, Any]) -> str:
    """A measurement with all that a reader must know to compare it."""
    n = record.get("n_fake", record.get("n"))
    facts = [f"step {record['step']:,}"] if "step" in record else []
    facts += [counted(n, "image")] if isinstance(n, int) else []
    facts += [f"against {record['data']} {record.get('split') or ''}".strip()] if record.get("data") else []
    return f"{record.get('of', '')} {record['metric']} {record['value']:.4g}  ({', '.join(facts)})".strip()
