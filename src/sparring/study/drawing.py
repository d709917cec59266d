"""A study's figures: a dot for each seed, curves with their means, bars, and samples of every row.

A drawing takes a `Table` and a plan's `Figure`, and returns a matplotlib figure. Another kind is one more function, its
name in KINDS and in `plan.Figure`.
"""

from __future__ import annotations

import math
import statistics
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparring.errors import SparringError, nearest
from sparring.files import write_atomically
from sparring.report import plots
from sparring.report.plots import COLOURS, INK, LINES, panel
from sparring.study.plan import Figure, slug
from sparring.study.results import lower_is_better
from sparring.study.rows import full_name
from sparring.study.table import Cell, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

WIDTH = 4.6  # inches: words stay readable on a phone
TOGETHER = 5  # rows of curves over one pair of axes
LABEL, TITLE, ENTRY = 24, 36, 60  # characters of a line of a row's label, of dots' title, and of a legend
STEEP = 4  # largest over smallest value, from which an axis is logarithmic
SHIFTS = (-0.2, 0.1, -0.1, 0.2, 0.0)  # of neighbouring dots, so that equal ones are seen apart


def dots(table: Table, figure: Figure) -> Drawing:
    """Every run as a dot, the median as a line, failed runs as crosses at the edge of what is worse."""
    metric, cells = _cells(table, figure)
    labels = [_wrapped(cell.row) for cell in cells]
    height = 0.75 + sum(max(0.32, 0.15 * (1 + label.count("\n"))) for label in labels)
    xlabel = f"{metric} (x: failed)" if any(cell.failed for cell in cells) else metric
    title = _wrapped(figure.title or f"{metric}, a dot for each seed", TITLE)
    drawing, axes = panel(title=title, xlabel=xlabel, size=(WIDTH, height))
    values = [value for cell in cells for value in cell.seeds.values()]
    if _is_steep(values):
        plots.logarithmic_axis(axes, "x")
    worse = 1.0 if not values or lower_is_better(metric) else 0.0
    for place, cell in enumerate(cells):
        at = [place + shift for shift in SHIFTS] * (len(cell.seeds) + len(cell.failed))
        axes.plot([*cell.seeds.values()], at[: len(cell.seeds)], "o", color=COLOURS[0], markersize=4.5, alpha=0.75)
        if cell.spread is not None:
            axes.plot([cell.spread.median] * 2, [place - 0.36, place + 0.36], color=INK, linewidth=1.8)
        crosses: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "clip_on": False}
        axes.plot([worse] * len(cell.failed), at[: len(cell.failed)], "x", color=COLOURS[1], markersize=6, **crosses)
    axes.set_yticks(range(len(cells)), labels, fontsize=7.5)
    axes.set_ylim(len(cells) - 0.4, -0.6)
    return drawing


def curves(table: Table, figure: Figure) -> Drawing:
    """Every run as a thin line, the mean of each row's runs as a bold one."""
    metric, cells = _cells(table, figure)
    found = {cell.row: table.rows[cell.row].curve(figure.metric or metric) for cell in cells}
    rows = {label: runs for label, runs in found.items() if runs}
    entries = {label: _wrapped(label, ENTRY) for label in rows}
    columns = 2 if max(map(len, rows), default=0) < ENTRY // 2 else 1
    height = 2.6 + 0.18 * sum(entry.count("\n") + 1 for entry in entries.values()) / columns
    title = figure.title or f"{metric} over training"
    drawing, axes = panel(title=title, xlabel="step", ylabel=metric, size=(WIDTH, height))
    if _is_steep([value for runs in rows.values() for _, values in runs.values() for value in values]):
        plots.logarithmic_axis(axes, "y")
    for i, (label, runs) in enumerate(rows.items()):
        colour, line = COLOURS[i % len(COLOURS)], LINES[i % len(LINES)]
        for points in runs.values():
            axes.plot(*points, color=colour, linewidth=0.7, alpha=0.45)
        mean = mean_curve({seed: runs[seed] for seed in runs if seed not in table.rows[label].failed})
        axes.plot(*mean, color=colour, linestyle=line, linewidth=2.2, label=entries[label])
    if rows:
        drawing.legend(loc="outside lower left", frameon=False, fontsize=8, labelcolor=INK, ncols=columns)
    return drawing


def bars(table: Table, figure: Figure) -> Drawing:
    """The mean of each row with its standard deviation, and every run as a dot."""
    metric, cells = _cells(table, figure)
    rows = {cell.row: (cell.spread, cell.seeds) for cell in cells if cell.spread is not None}
    title = figure.title or f"{metric}, mean and standard deviation"
    means = {"": [spread.mean for spread, _ in rows.values()]}
    drawing = plots.bars([_wrapped(row) for row in rows], means, title=title, ylabel=metric, size=(WIDTH, 2.9))
    for place, (spread, seeds) in enumerate(rows.values()):
        drawing.axes[0].errorbar(place, spread.mean, spread.sd or 0, color=INK, capsize=3)
        drawing.axes[0].plot([place] * len(seeds), [*seeds.values()], "o", color=INK, markersize=3)
    return drawing


def samples(table: Table, figure: Figure) -> Drawing:
    """The sheets of samples of every row's first seed, which come from the same latents."""
    import matplotlib.image
    from matplotlib.figure import Figure as Canvas

    sheets = {label: matplotlib.image.imread(path) for label, path in sample_files(table, figure.rows)}
    if not sheets:
        raise SparringError(f"no run in {table.folder} left samples: their results name no such file")
    heights = [image.shape[0] / image.shape[1] for image in sheets.values()]
    drawing = Canvas(figsize=(WIDTH, 0.2 + sum(WIDTH * height + 0.25 for height in heights)), layout="constrained")
    drawing.patch.set_alpha(0)
    panels = drawing.subplots(len(sheets), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (label, image) in zip(panels, sheets.items(), strict=True):
        axes.set_axis_off()
        axes.imshow(image, cmap="gray", interpolation="nearest")
        axes.set_title(label, loc="left", fontsize=9, color=INK)
    return drawing


KINDS = {"dots": dots, "curves": curves, "bars": bars, "samples": samples}


def draw(table: Table, figure: Figure) -> Drawing:
    """Raises SparringError for a metric that no run has, and where no run left samples."""
    return KINDS[figure.kind](table, figure)


def figures_of(table: Table) -> list[Figure]:
    """The plan's figures, else the usual ones: dots and curves of every metric, and samples.

    Rows of curves come in figures of a few each; the first, to which others are compared, in all of them.
    """
    if table.plan and table.plan.figures:
        return list(table.plan.figures)
    found, size = [], TOGETHER - 1
    for metric, rows in ((name, [cell.row for cell in metric.rows]) for name, metric in table.metrics.items()):
        found.append(Figure(kind="dots", metric=metric))
        long = [row for row in rows if any(len(steps) > 1 for steps, _ in table.rows[row].curve(metric).values())]
        starts = range(1, max(len(long), 2), size) if long else ()
        found += [Figure(kind="curves", metric=metric, rows=(long[0], *long[i : i + size])) for i in starts]
    return found + [Figure(kind="samples")] * any(True for _ in sample_files(table))


def write_figures(table: Table, out: Path) -> list[Path]:
    """Draw a study's figures into PNGs in `out`; returns their paths."""
    paths: list[Path] = []
    for figure in figures_of(table):
        name = figure.name or slug("-".join(filter(None, (figure.kind, figure.metric))))
        count = sum(path.stem == name or path.stem.startswith(f"{name}-") for path in paths)
        paths.append(out / f"{name}{f'-{count + 1}' if count else ''}.png")
        write_atomically(paths[-1], plots.render(draw(table, figure), "png"))
    return paths


def sample_files(table: Table, rows: Iterable[str] | None = None) -> Iterator[tuple[str, Path]]:
    """Each row's label and its sheet of samples, of the first seed that has one."""
    for label in rows if rows is not None else table.rows:
        files = (table.folder / each.files["samples"] for each in table.rows[label].results if "samples" in each.files)
        if path := next(filter(Path.is_file, files), None):
            yield label, path


def mean_curve(runs: Mapping[int, tuple[Sequence[float], Sequence[float]]]) -> tuple[list[float], list[float]]:
    """The mean over runs at each step that all of them have."""
    by_step = [dict(zip(*points, strict=True)) for points in runs.values()]
    shared = sorted(set.intersection(*map(set, by_step))) if by_step else []
    return shared, [statistics.fmean(values[step] for values in by_step) for step in shared]


def _cells(table: Table, figure: Figure) -> tuple[str, list[Cell]]:
    """The heading of a figure's metric, and the cells of its rows."""
    wanted = figure.metric or next(iter(table.metrics), "")
    heading = full_name(table.metrics, wanted)
    if heading is None:
        raise SparringError(f"no run was measured by '{wanted:.60}': {nearest(wanted, table.metrics)}")
    by_row = {cell.row: cell for cell in table.metrics[heading].rows}
    return heading, [by_row[row] for row in figure.rows or by_row if row in by_row]


def _wrapped(label: str, width: int = LABEL) -> str:
    """A label in up to four lines, for figures that are no wider for it."""
    return "\n".join(textwrap.wrap(label, width, max_lines=4, placeholder=" ..."))


def _is_steep(values: Sequence[float]) -> bool:
    finite = [value for value in values if math.isfinite(value)]
    return bool(finite) and min(finite) > 0 and max(finite) > STEEP * min(finite)
