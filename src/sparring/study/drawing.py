"""A study's figures: a dot for each seed, curves with their means, bars, and samples of every row.

A drawing takes a `Table`, a plan's `Figure` and the study's folder, and returns a matplotlib figure. Another kind is
one more function, a line in KINDS and its name in `plan.Figure`.
"""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sparring.errors import SparringError, nearest
from sparring.files import write_atomically
from sparring.report.plots import COLOURS, INK, LINES, logarithmic_axis, panel, render
from sparring.study.plan import Figure, slug
from sparring.study.results import lower_is_better
from sparring.study.table import Cell, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

WIDTH = 4.6  # inches: words stay readable on a phone
TOGETHER = 5  # rows of curves over one pair of axes
LABEL, TITLE, ENTRY = 24, 36, 60  # characters of a line of a row's label, of dots' title, and of a legend
STEEP = 4  # largest over smallest value, from which an axis is logarithmic
SHIFTS = (-0.2, 0.1, -0.1, 0.2, 0.0)  # of neighbouring dots, so that equal ones are seen apart


def dots(table: Table, figure: Figure, folder: Path) -> Drawing:
    """Every run as a dot, the median as a line, failed runs as crosses at the edge of what is worse."""
    metric, cells = _cells(table, figure)
    drawing, axes = panel(
        title=_wrapped(figure.title or f"{metric}, a dot for each seed", TITLE),
        xlabel=metric,
        ylabel="",
        size=(WIDTH, 0.75 + sum(max(0.32, 0.15 * (1 + _wrapped(cell.row).count("\n"))) for cell in cells)),
    )
    values = [value for cell in cells for value in cell.seeds.values()]
    if _is_steep(values):
        logarithmic_axis(axes, "x")
    for place, cell in enumerate(cells):
        at = [place + SHIFTS[i % len(SHIFTS)] for i in range(len(cell.seeds))]
        axes.plot(list(cell.seeds.values()), at, "o", color=COLOURS[0], markersize=4.5, alpha=0.75)
        if cell.spread is not None:
            axes.plot([cell.spread.median] * 2, [place - 0.36, place + 0.36], color=INK, linewidth=1.8)
    if any(cell.failed for cell in cells):
        edge = 1.0 if not values or lower_is_better(metric) else 0.0
        for place, cell in enumerate(cells):
            at = [place + SHIFTS[i % len(SHIFTS)] for i in range(len(cell.failed))]
            transform = axes.get_yaxis_transform()
            axes.plot([edge] * len(at), at, "x", color=COLOURS[1], markersize=6, transform=transform, clip_on=False)
        axes.set_xlabel(f"{metric} (x: failed)", color=INK, fontsize=9)
    axes.set_yticks(range(len(cells)), [_wrapped(cell.row) for cell in cells], fontsize=7.5)
    axes.set_ylim(len(cells) - 0.4, -0.6)
    return drawing


def curves(table: Table, figure: Figure, folder: Path) -> Drawing:
    """Every run as a thin line, the mean of each row's runs as a bold one."""
    metric, cells = _cells(table, figure)
    rows = {cell.row: table.rows[cell.row].curve(figure.metric or metric) for cell in cells}
    rows = {label: runs for label, runs in rows.items() if runs}
    columns = 2 if max(map(len, rows), default=0) < ENTRY // 2 else 1
    lines = sum(_wrapped(label, ENTRY).count("\n") + 1 for label in rows) / columns
    drawing, axes = panel(
        title=figure.title or f"{metric} over training", xlabel="step", ylabel=metric, size=(WIDTH, 2.6 + 0.18 * lines)
    )
    if _is_steep([value for runs in rows.values() for _, values in runs.values() for value in values]):
        logarithmic_axis(axes, "y")
    for i, (label, runs) in enumerate(rows.items()):
        colour, line = COLOURS[i % len(COLOURS)], LINES[i % len(LINES)]
        for steps, values in runs.values():
            axes.plot(steps, _finite(values), color=colour, linewidth=0.7, alpha=0.45)
        steps, values = mean_curve({s: runs[s] for s in runs if s not in table.rows[label].failed})
        axes.plot(steps, values, color=colour, linestyle=line, linewidth=2.2, label=_wrapped(label, ENTRY))
    if rows:
        drawing.legend(loc="outside lower left", frameon=False, fontsize=8, labelcolor=INK, ncols=columns)
    return drawing


def bars(table: Table, figure: Figure, folder: Path) -> Drawing:
    """The mean of each row with its standard deviation, and every run as a dot."""
    metric, cells = _cells(table, figure)
    drawing, axes = panel(
        title=figure.title or f"{metric}, mean and standard deviation", xlabel="", ylabel=metric, size=(WIDTH, 2.9)
    )
    for place, cell in enumerate(cells):
        if cell.spread is not None:
            low = high = cell.spread.sd or 0.0
            axes.bar(place, cell.spread.mean, 0.7, color=COLOURS[0], alpha=0.55)
            axes.errorbar(place, cell.spread.mean, [[low], [high]], color=INK, capsize=3)
            axes.plot([place] * len(cell.seeds), list(cell.seeds.values()), "o", color=INK, markersize=3)
    axes.set_xticks(range(len(cells)), [_wrapped(cell.row) for cell in cells], fontsize=8, rotation=35, ha="right")
    axes.grid(False, axis="x")
    return drawing


def samples(table: Table, figure: Figure, folder: Path) -> Drawing:
    """The sheets of samples of every row's first seed, which come from the same latents."""
    import matplotlib.image

    sheets = list(sample_files(table, folder, figure.rows))
    if not sheets:
        raise SparringError(f"no run in {folder} left samples: their results name no such file")
    pixels = [matplotlib.image.imread(path) for _, path in sheets]
    heights = [image.shape[0] / image.shape[1] for image in pixels]
    from matplotlib.figure import Figure as Canvas

    drawing = Canvas(figsize=(WIDTH, 0.2 + sum(WIDTH * height + 0.25 for height in heights)), layout="constrained")
    drawing.patch.set_alpha(0)
    panels = drawing.subplots(len(sheets), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, image, (label, _) in zip(panels, pixels, sheets, strict=True):
        axes.set_axis_off()
        axes.imshow(image, cmap="gray", interpolation="nearest")
        axes.set_title(label, loc="left", fontsize=9, color=INK)
    return drawing


KINDS: dict[str, Callable[[Table, Figure, Path], Drawing]] = {
    "dots": dots,
    "curves": curves,
    "bars": bars,
    "samples": samples,
}


def draw(table: Table, figure: Figure, folder: Path) -> Drawing:
    """Raises SparringError for a kind or metric that there is not."""
    if figure.kind not in KINDS:
        raise SparringError(f"unknown kind of figure '{figure.kind:.60}': {nearest(figure.kind, KINDS)}")
    return KINDS[figure.kind](table, figure, folder)


def figures_of(table: Table, planned: Sequence[Figure], folder: Path) -> list[Figure]:
    """The plan's figures, else the usual ones: dots and curves of every metric, and samples."""
    if planned:
        return list(planned)
    found = []
    for metric, cells in table.metrics.items():
        found.append(Figure(kind="dots", metric=metric))
        labels = [cell.row for cell in cells if _is_long(table.rows[cell.row].curve(metric))]
        found += [Figure(kind="curves", metric=metric, rows=part) for part in _parts(labels)]
    return found + [Figure(kind="samples")] * any(True for _ in sample_files(table, folder))


def write_figures(table: Table, planned: Sequence[Figure], folder: Path, out: Path) -> list[Path]:
    """Draw a study's figures into PNGs in `out`; returns their paths."""
    paths: list[Path] = []
    for figure in figures_of(table, planned, folder):
        name = figure.name or slug("-".join(filter(None, (figure.kind, figure.metric))))
        count = sum(path.stem == name or path.stem.startswith(f"{name}-") for path in paths)
        paths.append(out / f"{name}{f'-{count + 1}' if count else ''}.png")
        write_atomically(paths[-1], render(draw(table, figure, folder), "png"))
    return paths


def sample_files(table: Table, folder: Path, rows: Iterable[str] | None = None) -> Iterator[tuple[str, Path]]:
    """Each row's label and its sheet of samples, of the first seed that has one."""
    for label in rows if rows is not None else table.rows:
        for each in table.rows[label].results:
            path = folder / each.files["samples"] if "samples" in each.files else None
            if path is not None and path.is_file():
                yield label, path
                break


def mean_curve(runs: Mapping[int, tuple[Sequence[float], Sequence[float]]]) -> tuple[list[float], list[float]]:
    """The mean over runs at each step that all of them have."""
    by_step: dict[float, list[float]] = {}
    for steps, values in runs.values():
        for step, value in zip(steps, values, strict=True):
            by_step.setdefault(step, []).append(value)
    shared = sorted(step for step, values in by_step.items() if len(values) == len(runs))
    return shared, [statistics.fmean(by_step[step]) for step in shared]


def _cells(table: Table, figure: Figure) -> tuple[str, list[Cell]]:
    """The heading of a figure's metric, and the cells of its rows."""
    wanted = figure.metric or next(iter(table.metrics), "")
    heading = table.heading(wanted)
    if heading is None:
        raise SparringError(f"no run was measured by '{wanted:.60}': {nearest(wanted, table.metrics)}")
    by_row = {cell.row: cell for cell in table.metrics[heading]}
    return heading, [by_row[row] for row in figure.rows or by_row if row in by_row]


def _wrapped(label: str, width: int = LABEL) -> str:
    """A label in up to four lines, for figures that are no wider for it."""
    return "\n".join(textwrap.wrap(label, width, max_lines=4, placeholder=" ..."))


def _parts(labels: Sequence[str]) -> list[tuple[str, ...]]:
    """Rows in figures of a few each; the first, to which others are compared, in all of them."""
    first, others, size = tuple(labels[:1]), labels[1:], TOGETHER - 1
    return [(*first, *others[i : i + size]) for i in range(0, max(len(others), 1), size)] if labels else []


def _is_long(runs: Mapping[int, tuple[Sequence[float], Sequence[float]]]) -> bool:
    return any(len(steps) > 1 for steps, _ in runs.values())


def _is_steep(values: Sequence[float]) -> bool:
    finite = [value for value in values if np.isfinite(value)]
    return bool(finite) and min(finite) > 0 and max(finite) > STEEP * min(finite)


def _finite(values: Sequence[float]) -> list[float]:
    return [value if np.isfinite(value) else float("nan") for value in values]
