"""Puts the sections of a diagnosis into one self-contained page, one JSON file, and a PNG per figure."""

from __future__ import annotations

import html
import itertools
import os
import re
from collections.abc import Iterable, Sequence
from datetime import date
from os import PathLike
from pathlib import Path
from typing import Any

from sparring.errors import SparringError, nearest
from sparring.files import ANOTHER_FOLDER, one_line_for_disk_errors, writable, write_atomically, write_json
from sparring.messages import Note, no_note
from sparring.metrics.features import check_whole
from sparring.microscope.opened import OpenedRun
from sparring.microscope.sections import SECTIONS, Section, section
from sparring.parsing import read_json
from sparring.report.html import page, paragraphs, table
from sparring.report.html import section as heading
from sparring.report.plots import render
from sparring.run.device import usable_device
from sparring.run.numerics import numerics
from sparring.trust import consenting
from sparring.version import __version__

DEFAULT_N, FEWEST = 256, 16
NUMBERS = "numbers.json"


class Diagnosis:
    """The result of a diagnosis: `numbers` by section and run, `missing` by section, and the files in `folder`."""

    def __init__(self, folder: Path, sections: list[Section]):
        self.folder, self.sections = folder, sections

    @property
    def numbers(self) -> dict[str, Any]:
        return {found.name: found.numbers for found in self.sections}

    @property
    def missing(self) -> dict[str, list[str]]:
        return {found.name: found.missing for found in self.sections if found.missing}

    @property
    def report(self) -> Path:
        return self.folder / "report.html"


@numerics()
def diagnose(
    *runs: str | Path,
    out: str | Path | None = None,
    only: str | Iterable[str] = (),
    n: int = DEFAULT_N,
    data: Any = None,
    device: str = "cpu",
    note: Note | None = None,
    allow_code: bool = False,
) -> Diagnosis:
    """Diagnose trained discriminators, and write report.html, numbers.json and a PNG per figure.

    runs: folders of runs, or checkpoint files, one argument each. Several runs are drawn in the same figures.
    out: the folder to write to, by default `diagnosis` in the first run's. PNGs of an earlier diagnosis are removed.
    only: names of sections; by default all. n: the maximum number of images for each number.
    data: the images of all runs, if they came from Python.
    allow_code: whether the runs may name code that does not ship with sparring (see docs/trust.md).

    The runs are left unchanged. Raises SparringError for invalid arguments.
    """
    note = note or no_note
    chosen = _chosen(only)
    check_whole(n, "n, the number of images for each number,", FEWEST)
    if not runs:
        raise SparringError("there is nothing to diagnose: give the folder of a run")
    for run in runs:
        if not isinstance(run, str | PathLike):
            raise SparringError(f"a run must be given by its folder, got {run!r}: write diagnose('runs/a', 'runs/b')")
    where = usable_device(device)
    with consenting(allow_code, *runs):
        opened = [OpenedRun(run, data=data, device=where, note=note) for run in runs]
    _name_apart(opened)
    folder = opened[0].folder / "diagnosis" if out is None else Path(out)
    if os.path.exists(folder) and not folder.is_dir():
        raise SparringError(f"{folder} is a file: give a folder with --out")
    found = Diagnosis(folder, [])
    with writable(folder, ANOTHER_FOLDER):
        for name in chosen or SECTIONS:
            note(f"measuring {name}")
            with consenting(allow_code, *runs):
                found.sections.append(section(name)(opened, n))
        with one_line_for_disk_errors(ANOTHER_FOLDER):
            _write(found, opened, n)
    return found


def _chosen(only: str | Iterable[str]) -> list[str]:
    """The names of the sections, each once."""
    names = [only] if isinstance(only, str) else list(only) if isinstance(only, Iterable) else [only]
    for name in names:
        if not isinstance(name, str) or name not in SECTIONS:
            raise SparringError(f"unknown section {name!r}: {nearest(str(name), SECTIONS)}")
    return list(dict.fromkeys(names))


def _name_apart(runs: Sequence[OpenedRun]) -> None:
    """Give the runs distinct names, also as file names: with the step if a run is given twice, then with a number.

    Raises SparringError if the same run, or the same checkpoint, is given twice.
    """
    folders = [run.folder.resolve() for run in runs]
    given = [(folder, tuple(run.steps)) for folder, run in zip(folders, runs, strict=True)]
    for run, what in zip(runs, given, strict=True):
        if given.count(what) > 1:
            raise SparringError(f"{run.name} is given {given.count(what)} times: give each run or checkpoint once")
        if folders.count(what[0]) > 1:
            run.name = f"{run.name}, step {run.last}"
    names = [file_name(run.name) for run in runs]
    taken = {name for name in names if names.count(name) == 1}
    for run, name in zip(runs, names, strict=True):
        if name not in taken:
            numbered = (f"{run.name} ({i})" for i in itertools.count(1))
            run.name = next(new for new in numbered if file_name(new) not in taken)
            taken.add(file_name(run.name))


def _write(found: Diagnosis, runs: Sequence[OpenedRun], n: int) -> None:
    from sparring.version import commit, versions

    pictures = [picture_name(name) for part in found.sections for name, _, _ in part.figures]
    facts = {
        "date": date.today().isoformat(),
        "sparring": __version__,
        "commit": commit(),
        "versions": versions(),
        "n": n,
        "runs": {run.name: {"folder": str(run.folder), "recipe": run.recipe.name, "steps": run.steps} for run in runs},
        "pictures": pictures,
    }
    body = [_head(runs, facts)]
    for part in found.sections:
        body.append(heading(part.title, _content(found.folder, part)))
    for name in _pictures_before(found.folder) - set(pictures):
        (found.folder / name).unlink(missing_ok=True)
    write_json(found.folder / NUMBERS, facts | {"sections": found.numbers, "missing": found.missing})
    write_atomically(found.report, page("Diagnosis", body))


def _pictures_before(folder: Path) -> set[str]:
    """The pictures of an earlier diagnosis in this folder, according to its numbers.json."""
    try:
        facts = read_json(folder / NUMBERS)
    except SparringError:
        return set()
    names = facts.get("pictures") if isinstance(facts, dict) else None
    return {n for n in names or () if isinstance(n, str) and n.endswith(".png") and Path(n).name == n}


def _head(runs: Sequence[OpenedRun], facts: dict[str, Any]) -> str:
    names = ", ".join(f"{run.name} (step {run.last})" for run in runs)
    commit = f"commit {facts['commit']}" if facts["commit"] else "no commit"
    where = f"{facts['date']} · sparring {facts['sparring']} · {commit} · up to {facts['n']} images"
    return f"<h1>Diagnosis</h1>\n{paragraphs(names, where)}"


def _content(folder: Path, part: Section) -> str:
    pieces = [table(columns, rows) for columns, rows in part.tables]
    figures = []
    for name, figure, caption in part.figures:
        png = render(figure, "png")
        write_atomically(folder / picture_name(name), png)
        figures.append(_inline(render(figure, "svg").decode(), caption))
    pieces.append(f'<div class="curves">{"".join(figures)}</div>')
    if part.missing:
        listed = "".join(f"<li>{html.escape(line)}</li>" for line in part.missing)
        pieces.append(f"<p>Not shown:</p><ul>{listed}</ul>")
    return "\n".join(pieces)


def _inline(svg: str, caption: str) -> str:
    """A figure as part of the page."""
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg[svg.index("<svg") :])
    return f"<figure>{svg}<figcaption>{html.escape(caption)}</figcaption></figure>"


def picture_name(name: str) -> str:
    """The file name of a figure."""
    return f"{file_name(name)}.png"


def file_name(name: str) -> str:
    """A name in the characters of a file name."""
    return re.sub(r"[^\w.+-]+", "-", name).strip("-")
