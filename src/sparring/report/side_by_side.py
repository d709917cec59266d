"""Figures of rows of runs side by side, which show every run: dots, curves, bars, and sheets of samples."""

from __future__ import annotations

import math
import statistics
import textwrap
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparring.report import plots
from sparring.report.plots import COLOURS, INK, LINES, Points, logarithmic_axis, panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 4.6  # inches of a figure of many runs: words stay readable on a phone
LABEL, TITLE, ENTRY = 24, 36, 60  # characters of a line of a label, of the title of dots, and of a legend
STEEP = 4  # largest over smallest value, from which an axis is logarithmic
SHIFTS = (-0.2, 0.1, -0.1, 0.2, 0.0)  # of neighbouring dots, so that equal ones are seen apart


def dots(
    rows: Mapping[str, Sequence[float]], failed: Mapping[str, int], title: str, xlabel: str, *, worse: float
) -> Figure:
    """Every value as a dot, the median as a line, failed runs as crosses at the edge of what is worse: 0 left, 1 right."""
    labels = [wrapped(label) for label in rows]
    height = 0.75 + sum(max(0.32, 0.15 * (1 + label.count("\n"))) for label in labels)
    drawing, axes = panel(title=wrapped(title, TITLE), xlabel=xlabel, size=(WIDTH, height))
    if is_steep([value for values in rows.values() for value in values]):
        logarithmic_axis(axes, "x")
    crosses: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "clip_on": False}
    for place, (label, values) in enumerate(rows.items()):
        count = failed.get(label, 0)
        at = [place + shift for shift in SHIFTS] * (len(values) + count)
        axes.plot(values, at[: len(values)], "o", color=COLOURS[0], markersize=4.5, alpha=0.75)
        if values:
            axes.plot([statistics.median(values)] * 2, [place - 0.36, place + 0.36], color=INK, linewidth=1.8)
        axes.plot([worse] * count, at[:count], "x", color=COLOURS[1], markersize=6, **crosses)
    axes.set_yticks(range(len(rows)), labels, fontsize=7.5)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    return drawing


def bars(rows: Mapping[str, tuple[float, float | None, Sequence[float]]], title: str, ylabel: str) -> Figure:
    """The mean of each row with its standard deviation, and every value as a dot. rows: mean, deviation and values."""
    means = {"": [mean for mean, _, _ in rows.values()]}
    drawing = plots.bars([wrapped(label) for label in rows], means, title=title, ylabel=ylabel, size=(WIDTH, 2.9))
    for place, (mean, sd, values) in enumerate(rows.values()):
        drawing.axes[0].errorbar(place, mean, sd or 0, color=INK, capsize=3)
        drawing.axes[0].plot([place] * len(values), values, "o", color=INK, markersize=3)
    return drawing


def sheets(pictures: Mapping[str, Path]) -> Figure:
    """A picture of each row, one below the other."""
    import matplotlib.image
    from matplotlib.figure import Figure

    images = {label: matplotlib.image.imread(path) for label, path in pictures.items()}
    heights = [image.shape[0] / image.shape[1] for image in images.values()]
    drawing = Figure(figsize=(WIDTH, 0.2 + sum(WIDTH * height + 0.25 for height in heights)), layout="constrained")
    drawing.patch.set_alpha(0)
    panels = drawing.subplots(len(images), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (label, image) in zip(panels, images.items(), strict=True):
        axes.set_axis_off()
        axes.imshow(image, cmap="gray", interpolation="nearest")
        axes.set_title(label, loc="left", fontsize=9, color=INK)
    return drawing


def curves(
    found: Mapping[str, Mapping[int, Points]],
    title: str,
    ylabel: str = "",
    failed: Mapping[str, Container[int]] | None = None,
) -> Figure:
    """Every run as a thin line, and the mean of each row's runs, where all of them have values, as a bold one.

    found: by row and seed. failed: seeds that the means leave out. None: the values are not a metric,
        and their axis is linear.
    """
    rows = {label: runs for label, runs in found.items() if runs}
    entries = {label: wrapped(label, ENTRY) for label in rows}
    columns = 2 if max(map(len, rows), default=0) < ENTRY // 2 else 1
    height = 2.6 + 0.18 * sum(entry.count("\n") + 1 for entry in entries.values()) / columns
    drawing, axes = panel(title=title, xlabel="step", ylabel=ylabel, size=(WIDTH, height))
    if failed is not None and is_steep([value for runs in rows.values() for _, y in runs.values() for value in y]):
        logarithmic_axis(axes, "y")
    for i, (label, runs) in enumerate(rows.items()):
        colour, line = COLOURS[i % len(COLOURS)], LINES[i % len(LINES)]
        for points in runs.values():
            axes.plot(*points, color=colour, linewidth=0.7, alpha=0.45)
        mean = mean_curve({seed: runs[seed] for seed in runs if seed not in (failed or {}).get(label, ())})
        axes.plot(*mean, color=colour, linestyle=line, linewidth=2.2, label=entries[label])
    if rows:
        drawing.legend(loc="outside lower left", frameon=False, fontsize=8, labelcolor=INK, ncols=columns)
    return drawing


def mean_curve(runs: Mapping[int, Points]) -> tuple[list[float], list[float]]:
    """The mean over runs at each step that all of them have."""
    by_step = [dict(zip(*points, strict=True)) for points in runs.values()]
    shared = sorted(set.intersection(*map(set, by_step))) if by_step else []
    return shared, [statistics.fmean(values[step] for values in by_step) for step in shared]


def wrapped(label: str, width: int = LABEL) -> str:
    """A label in up to four lines, for figures that are no wider for it."""
    return "\n".join(textwrap.wrap(label, width, max_lines=4, placeholder=" ..."))


def is_steep(values: Sequence[float]) -> bool:
    """Whether a logarithmic axis shows these better."""
    finite = [value for value in values if math.isfinite(value)]
    return bool(finite) and min(finite) > 0 and max(finite) > STEEP * min(finite)
