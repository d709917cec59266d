"""A study as a page: index.html, one file with its pictures inside, readable on a phone, light or dark; and as Markdown."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sparring.files import write_atomically
from sparring.messages import counted
from sparring.report.html import drawn, page, section
from sparring.report.html import table as grid
from sparring.report.samples import strips
from sparring.study.claims import Finding
from sparring.study.drawing import draw, figures_of, sample_files
from sparring.study.opened import Opened, open_study
from sparring.study.table import Table

FILE = "index.html"
AGAIN = 30  # seconds after which a page of a study that goes on is read again

STYLE = """<style>
.verdict { border-left: .35rem solid var(--soft); background: var(--card); border-radius: .4rem; margin: .6rem 0;
           padding: .6rem .9rem; overflow-wrap: anywhere }
.verdict b { color: var(--ink) } .verdict p { font-size: .88rem }
.verdict.agrees { border-color: #3b7ddd } .verdict.disagrees { border-color: #e0823d }
.figures { display: grid; gap: 1.4rem 1.6rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 25rem), 1fr)) }
.figures svg { width: 100%; height: auto } .figures > * { min-width: 0 }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem } .scroll { margin-bottom: .4rem }
.scroll th:first-child, .scroll td:first-child { position: sticky; left: 0; background: var(--paper);
           white-space: normal; min-width: 6.5rem; max-width: 14rem; overflow-wrap: anywhere }
.scroll td:last-child { white-space: normal; min-width: 11rem; font-variant-numeric: tabular-nums }
</style>"""


def write_page(folder: Path | str) -> Path:
    """Write the study's index.html from its plan and results alone, and return its path."""
    found = open_study(folder)
    going_on = f"<script>setTimeout(() => location.reload(), {AGAIN * 1000})</script>"
    parts = [
        STYLE,
        _head(found),
        _verdicts(found.table.verdicts()),
        _tables(found.table),
        _figures(found),
        _samples(found),
        _notes(found.table),
        section("How it was made", "".join(f"<p>{line}</p>" for line in _made(found, html.escape))),
        going_on if found.done < found.planned else "",
    ]
    path = found.folder / FILE
    write_atomically(path, page(_title(found), parts))
    return path


def markdown_page(folder: Path | str, pictures: Sequence[Path] = ()) -> str:
    """The same content as Markdown. pictures: such as of `drawing.write_figures`, by addresses from the current folder."""
    found = open_study(folder)
    lines = [f"# {_title(found)}", "", *_about(found), "", found.table.markdown().rstrip(), ""]
    lines += [line for path in pictures for line in (f"![{path.stem.replace('-', ' ')}]({path.as_posix()})", "")]
    return "\n".join([*lines, "## How it was made", "", *(f"- {line}" for line in _made(found, str))]) + "\n"


def _title(found: Opened) -> str:
    return (found.plan.about or found.plan.name) if found.plan else found.folder.name


def _about(found: Opened) -> list[str]:
    plan, scale = found.plan, str(found.facts.get("scale", ""))
    lines = []
    if plan and plan.paper:
        lines.append(", ".join(str(value) for value in plan.paper.values()))
    if plan and scale in plan.scales:
        lines.append(f"Scale {scale}. {plan.scales[scale].note}".strip())
    failed = f", {found.failed} of them failed" if found.failed else ""
    lines.append(f"{found.done} of {counted(found.planned, 'run')} done{failed}")
    return lines


def _head(found: Opened) -> str:
    return f"<h1>{html.escape(_title(found))}</h1>\n" + "\n".join(
        f"<p>{html.escape(line)}</p>" for line in _about(found)
    )


def _verdicts(findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    cards = [
        f'<div class="verdict {each.verdict.split()[0]}"><b>{each.verdict}</b>: {html.escape(each.says)}'
        f"<p>{html.escape(each.why)}</p></div>"
        for each in findings
    ]
    note = (
        "<p>One test a claim, adjusted for all claims of the plan by Holm's method; intervals are not adjusted. "
        "<i>Cannot tell</i> is no evidence of equality.</p>"
    )
    return section("What the paper's claims come to here", "".join(cards) + note)


def _tables(table: Table) -> str:
    parts = []
    for part in table.sections():
        remark = f"<p>{html.escape(part.remark)}</p>" if part.remark else ""
        parts.append(
            f"<h3>{html.escape(part.title)}</h3>{grid(part.columns, part.rows, value_column=part.value)}{remark}"
        )
    note = (
        "<p>A run's number is the mean of its last three measurements; its best one stands beside it, untested. The paper's "
        "numbers come from other networks, lengths and extractors: compare differences, not levels.</p>"
    )
    return section("Numbers", "".join(parts) + note) if parts else ""


def _figures(found: Opened) -> str:
    planned = found.plan.figures if found.plan else ()
    wanted = [each for each in figures_of(found.table, planned, found.folder) if each.kind != "samples"]
    pictures = "".join(
        drawn(draw(found.table, each, found.folder)) for each in wanted if _can_draw(found.table, each.metric)
    )
    return section("Every seed", f'<div class="figures">{pictures}</div>') if pictures else ""


def _can_draw(table: Table, metric: str | None) -> bool:
    """While a study goes on its figures' metrics need not have been measured yet."""
    return bool(table.metrics) and (metric is None or table.heading(metric) is not None)


def _samples(found: Opened) -> str:
    sheets = [
        f"<div><h3>{html.escape(label)}</h3>{strips(path, f'samples of {label}')}</div>"
        for label, path in sample_files(found.table, found.folder)
    ]
    return section("Samples, from the same latents", f'<div class="figures">{"".join(sheets)}</div>') if sheets else ""


def _notes(table: Table) -> str:
    listed = "".join(f"<li>{html.escape(note)}</li>" for note in table.notes)
    return section("Notes", f"<ul>{listed}</ul>") if listed else ""


def _made(found: Opened, quoted: Any) -> Iterator[str]:
    """Command, commits, machine and time, a line each."""
    if found.facts:
        usual = f"sparring study run {found.facts.get('study')} --scale {found.facts.get('scale')}"
        yield f"Command: {quoted(str(found.facts.get('command') or usual))}"
        yield f"Plan {quoted(str(found.facts.get('hash')))}"
    words = {"commit": "Commit", "sparring": "sparring", "torch": "torch", "instructions": "Instruction set"}
    words |= {"threads": "Threads of a run", "device": "Device"}
    for key, values in found.table.made().items():
        if values:
            yield f"{words[key]}: {quoted(', '.join(map(str, values)))}"
    if hours := found.table.cpu_hours():
        yield (
            f"CPU time of all runs: {hours:.1f} hours"
            if hours >= 1
            else f"CPU time of all runs: {60 * hours:.0f} minutes"
        )
    yield "Each run is a line of results.jsonl."
