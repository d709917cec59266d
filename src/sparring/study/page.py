"""A study as a page: index.html, one file with its pictures inside, readable on a phone, light or dark; and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path

from sparring.errors import SparringError
from sparring.files import write_atomically
from sparring.report.html import drawn, page, paragraphs, picture, section
from sparring.report.html import table as grid
from sparring.report.samples import strips
from sparring.report.styles import OF_STUDIES
from sparring.study.drawing import KINDS, draw, figures_of, kept_file, sample_files
from sparring.study.said import NUMBERS, TESTED, about, made, planned
from sparring.study.table import Table, open_study

PAGE_FILE = "index.html"
AGAIN = 30  # seconds after which a page of a study that goes on is read again
RELOAD = f"<script>setTimeout(() => location.reload(), {AGAIN * 1000})</script>"


def write_page(folder: Path | str) -> Path:
    """Write the study's index.html from its plan and results alone, and return its path."""
    table = open_study(folder)
    title = table.plan.about or table.plan.name
    verdicts = [
        f'<div class="verdict {each.verdict.split()[0]}"><b>{each.verdict}</b>: {escape(each.says)}'
        f"{paragraphs(each.why)}</div>"
        for each in table.findings
    ]
    tables = [
        f"<h3>{escape(part.title)}</h3>{grid(part.columns, part.rows, value_column=part.value)}{paragraphs(part.remark)}"
        for part in table.sections()
    ]
    sheets = [
        f"<div><h3>{escape(label)}</h3>{strips(path, f'samples of {label}')}</div>"
        for label, path in sample_files(table)
    ]
    body = [
        f"<style>{OF_STUDIES}</style><h1>{escape(title)}</h1>{paragraphs(*about(table))}",
        _section("What the paper's claims come to here", verdicts, after=paragraphs(TESTED)),
        _section("Numbers", tables, after=paragraphs(NUMBERS)),
        _section("Every seed", list(_figures(table)), '<div class="figures">', "</div>"),
        _section("Samples, from the same latents", sheets, '<div class="figures">', "</div>"),
        _section("Notes", [f"<li>{escape(note)}</li>" for note in table.notes], "<ul>", "</ul>"),
        section("How it was made", paragraphs(*made(table))),
        RELOAD if len(table.results()) < planned(table) else "",
    ]
    path = table.folder / PAGE_FILE
    write_atomically(path, page(title, body))
    return path


def markdown_page(table: Table, pictures: Sequence[Path] = ()) -> str:
    """The same content as Markdown. pictures: such as of `drawing.write_figures`, by addresses from the current folder."""
    shown = [f"![{path.stem.replace('-', ' ')}]({path.as_posix()})" for path in pictures]
    how = "\n".join(f"- {line}" for line in made(table))
    parts = [f"# {table.plan.about or table.plan.name}", "\n".join(about(table)), table.markdown().rstrip(), *shown]
    return "\n\n".join([*parts, "## How it was made", how]) + "\n"


def _section(title: str, parts: Sequence[str], before: str = "", after: str = "") -> str:
    return section(title, before + "".join(parts) + after) if parts else ""


def _figures(table: Table) -> Iterator[str]:
    """What can be drawn yet: while a study goes on its figures' metrics need not have been measured."""
    for each in figures_of(table):
        if each.lines or each.kind not in KINDS:
            if (kept := kept_file(table, each)).is_file():
                yield picture(kept.read_bytes(), each.title or kept.stem)
        elif each.kind != "samples":
            with suppress(SparringError):
                yield drawn(draw(table, each))
