"""A study as a page: index.html, one file with its pictures inside, readable on a phone, light or dark; and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from sparring.files import write_atomically
from sparring.messages import counted
from sparring.report.html import drawn, page, section
from sparring.report.html import table as grid
from sparring.report.samples import strips
from sparring.study.drawing import draw, figures_of, sample_files
from sparring.study.opened import Opened, open_study
from sparring.study.table import MADE

PAGE_FILE = "index.html"
AGAIN = 30  # seconds after which a page of a study that goes on is read again
RELOAD = f"<script>setTimeout(() => location.reload(), {AGAIN * 1000})</script>"
TESTED = (
    "One test a claim, adjusted for all claims of the plan by Holm's method; intervals are not adjusted. "
    "Cannot tell is no evidence of equality."
)
NUMBERS = (
    "A run's number is the mean of its last three measurements; its best one stands beside it, untested. The paper's "
    "numbers come from other networks, lengths and extractors: compare differences, not levels."
)
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
    table = found.table
    verdicts = [
        f'<div class="verdict {each.verdict.split()[0]}"><b>{each.verdict}</b>: {escape(each.says)}{_lines(each.why)}</div>'
        for each in table.findings
    ]
    tables = [
        f"<h3>{escape(part.title)}</h3>{grid(part.columns, part.rows, value_column=part.value)}{_lines(part.remark)}"
        for part in table.sections()
    ]
    sheets = [
        f"<div><h3>{escape(label)}</h3>{strips(path, f'samples of {label}')}</div>"
        for label, path in sample_files(table, found.folder)
    ]
    body = [
        f"{STYLE}<h1>{escape(_title(found))}</h1>{_lines(*_about(found))}",
        _section("What the paper's claims come to here", verdicts, after=_lines(TESTED)),
        _section("Numbers", tables, after=_lines(NUMBERS)),
        _section("Every seed", _figures(found), '<div class="figures">', "</div>"),
        _section("Samples, from the same latents", sheets, '<div class="figures">', "</div>"),
        _section("Notes", [f"<li>{escape(note)}</li>" for note in table.notes], "<ul>", "</ul>"),
        section("How it was made", _lines(*_made(found))),
        RELOAD if found.done < found.planned else "",
    ]
    path = found.folder / PAGE_FILE
    write_atomically(path, page(_title(found), body))
    return path


def markdown_page(folder: Path | str, pictures: Sequence[Path] = ()) -> str:
    """The same content as Markdown. pictures: such as of `drawing.write_figures`, by addresses from the current folder."""
    found = open_study(folder)
    shown = [f"![{path.stem.replace('-', ' ')}]({path.as_posix()})" for path in pictures]
    made = "\n".join(f"- {line}" for line in _made(found))
    parts = [f"# {_title(found)}", "\n".join(_about(found)), found.table.markdown().rstrip(), *shown]
    return "\n\n".join([*parts, "## How it was made", made]) + "\n"


def _section(title: str, parts: Sequence[str], before: str = "", after: str = "") -> str:
    return section(title, before + "".join(parts) + after) if parts else ""


def _lines(*lines: str) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in lines if line)


def _figures(found: Opened) -> list[str]:
    """What can be drawn yet: while a study goes on its figures' metrics need not have been measured."""
    table, planned = found.table, found.plan.figures if found.plan else ()
    wanted = [each for each in figures_of(table, planned, found.folder) if each.kind != "samples" and table.metrics]
    known = [each for each in wanted if each.metric is None or table.heading(each.metric) is not None]
    return [drawn(draw(table, each, found.folder)) for each in known]


def _title(found: Opened) -> str:
    return (found.plan.about or found.plan.name) if found.plan else found.folder.name


def _about(found: Opened) -> Iterator[str]:
    plan, scale = found.plan, str(found.facts.get("scale", ""))
    if plan and plan.paper:
        yield ", ".join(str(value) for value in plan.paper.values())
    if plan and scale in plan.scales:
        yield f"Scale {scale}. {plan.scales[scale].note}".strip()
    failed = f", {found.failed} of them failed" if found.failed else ""
    yield f"{found.done} of {counted(found.planned, 'run')} done{failed}"


def _made(found: Opened) -> Iterator[str]:
    """Command, commits, machine and time, a line each."""
    if facts := found.facts:
        usual = f"sparring study run {facts.get('study')} --scale {facts.get('scale')}"
        yield f"Command: {facts.get('command') or usual}"
        yield f"Plan {facts.get('hash')}"
    for key, values in found.table.made().items():
        if values:
            yield f"{MADE[key]}: {', '.join(map(str, values))}"
    if hours := found.table.cpu_hours():
        said = f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.0f} minutes"
        yield f"CPU time of all runs: {said}"
    yield "Each run is a line of results.jsonl."
