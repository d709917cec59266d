"""A study's figures: a dot for each seed, curves with their means, bars, and samples of every row.

A drawing takes a `Table` and a plan's `Figure`, and returns a matplotlib figure. Another kind is one more function, its
name in KINDS, or in PICTURES if it shows runs themselves, and in `plan.Figure`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparring.errors import SparringError, nearest
from sparring.files import write_atomically
from sparring.messages import Note, no_note
from sparring.microscope.sections import over_training
from sparring.report import plots, side_by_side
from sparring.study.plan import Figure, slug
from sparring.study.results import full_name, lower_is_better
from sparring.study.table import Cell, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

TOGETHER = 5  # rows of curves over one pair of axes


def dots(table: Table, figure: Figure) -> Drawing:
    """Every run as a dot, the median as a line, failed runs as crosses at the edge of what is worse."""
    metric, cells = _cells(table, figure)
    seeds, failed = {cell.row: [*cell.seeds.values()] for cell in cells}, {cell.row: len(cell.failed) for cell in cells}
    title, xlabel = figure.title or f"{metric}, a dot for each seed", metric + " (x: failed)" * any(failed.values())
    worse = 1.0 if not any(seeds.values()) or lower_is_better(metric) else 0.0
    return side_by_side.dots(seeds, failed, title, xlabel, worse=worse)


def curves(table: Table, figure: Figure) -> Drawing:
    """Every run as a thin line, the mean of each row's runs as a bold one."""
    metric, cells = _cells(table, figure)
    found = {cell.row: table.rows[cell.row].curve(figure.metric or metric) for cell in cells}
    failed = {label: row.failed for label, row in table.rows.items()}
    return side_by_side.curves(found, figure.title or f"{metric} over training", metric, failed)


def bars(table: Table, figure: Figure) -> Drawing:
    """The mean of each row with its standard deviation, and every run as a dot."""
    metric, cells = _cells(table, figure)
    found = {cell.row: (cell.spread.mean, cell.spread.sd, [*cell.seeds.values()]) for cell in cells if cell.spread}
    return side_by_side.bars(found, figure.title or f"{metric}, mean and standard deviation", metric)


def samples(table: Table, figure: Figure) -> Drawing:
    """The sheets of samples of every row's first seed, which come from the same latents."""
    pictures = dict(sample_files(table, figure.rows))
    if not pictures:
        raise SparringError(f"no run in {table.folder} left samples: their results name no such file")
    return side_by_side.sheets(pictures)


KINDS = {"dots": dots, "curves": curves, "bars": bars, "samples": samples}
PICTURES = {  # where `picture` draws what runs themselves show; what is not here is a figure of a diagnosis
    **dict.fromkeys(("class-distances", "class-samples"), "evaluation.compare"),
    **dict.fromkeys(("confidences", "probabilities"), "classify.figures"),
    "moments": "toy.moments",
}


def draw(table: Table, figure: Figure) -> Drawing:
    """A figure from results alone. Raises SparringError for a metric that no run has, and where no run left samples."""
    return KINDS[figure.kind](table, figure)


def png_of(table: Table, figure: Figure) -> bytes:
    """A figure as a PNG. What runs show is drawn while their folders are there, and kept beside the results."""
    if figure.kind in KINDS and not figure.lines:
        return plots.render(draw(table, figure), "png")
    rows = figure.rows or [label for label, row in table.rows.items() if row.whole]
    seeds = {label: [each.seed for each in table.rows[label].whole] for label in rows}
    of, ready = {"figure": figure.model_dump(mode="json"), "seeds": seeds}, table.facts.get("rows", {})

    def of_runs() -> tuple[Drawing, Any]:
        if not all(label in ready and seeds[label] for label in rows):
            raise SparringError(f"not all of these rows have runs here: {', '.join(rows)}")
        by_row = {label: [_run(table.folder, ready[label], seed) for seed in seeds[label]] for label in rows}
        if not figure.lines:
            module = import_module(f"sparring.{PICTURES.get(figure.kind, 'microscope.sections')}")
            return module.picture(figure.kind, by_row)
        found = over_training(by_row, figure.lines)
        return side_by_side.curves(found, figure.title or ", ".join(figure.lines)), found

    return plots.kept_png(kept_file(table, figure), of, of_runs)


def kept_file(table: Table, figure: Figure) -> Path:
    name = figure.name or slug("-".join(filter(None, (figure.kind, figure.metric))))
    return table.folder / "files" / f"{name}.png"


def _run(folder: Path, row: Mapping[str, Any], seed: int) -> Any:
    """A run's folder, or, on a toy world, its recipe."""
    return row["recipe"] | {"seed": seed} if row["kind"] == "toy" else folder / "runs" / row["slug"] / str(seed)


def figures_of(table: Table) -> list[Figure]:
    """The plan's figures, else the usual ones: dots and curves of every metric, and samples.

    Rows of curves come in figures of a few each; the first, to which others are compared, in all of them.
    """
    if table.plan.figures:
        return list(table.plan.figures)
    found, size = [], TOGETHER - 1
    for metric, rows in ((name, [cell.row for cell in metric.rows]) for name, metric in table.metrics.items()):
        found.append(Figure(kind="dots", metric=metric))
        long = [row for row in rows if any(len(steps) > 1 for steps, _ in table.rows[row].curve(metric).values())]
        starts = range(1, max(len(long), 2), size) if long else ()
        found += [Figure(kind="curves", metric=metric, rows=(long[0], *long[i : i + size])) for i in starts]
    return found + [Figure(kind="samples")] * any(True for _ in sample_files(table))


def write_figures(table: Table, out: Path, note: Note = no_note, *, named: bool = False) -> list[Path]:
    """Draw a study's figures, or those with a name, as PNGs in `out`; returns their paths. Notes what cannot be drawn."""
    paths: list[Path] = []
    for figure in (each for each in figures_of(table) if each.name or not named):
        name = kept_file(table, figure).stem
        count = sum(re.fullmatch(rf"{re.escape(name)}(-\d+)?", path.stem) is not None for path in paths)
        path = out / f"{name}{f'-{count + 1}' if count else ''}.png"
        try:
            write_atomically(path, png_of(table, figure))
            paths.append(path)
        except SparringError as error:
            note(f"{name} is not drawn: {error}")
    return paths


def sample_files(table: Table, rows: Iterable[str] | None = None) -> Iterator[tuple[str, Path]]:
    """Each row's label and its sheet of samples, of the first seed that has one."""
    for label in rows if rows is not None else table.rows:
        files = (table.folder / each.files["samples"] for each in table.rows[label].results if "samples" in each.files)
        if path := next(filter(Path.is_file, files), None):
            yield label, path


def _cells(table: Table, figure: Figure) -> tuple[str, list[Cell]]:
    """The heading of a figure's metric, and the cells of its rows."""
    wanted = figure.metric or next(iter(table.metrics), "")
    heading = full_name(table.metrics, wanted)
    if heading is None:
        raise SparringError(f"no run was measured by '{wanted:.60}': {nearest(wanted, table.metrics)}")
    by_row = {cell.row: cell for cell in table.metrics[heading].rows}
    return heading, [by_row[row] for row in figure.rows or by_row if row in by_row]
