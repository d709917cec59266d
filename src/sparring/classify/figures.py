"""Histograms of the largest prediction, as in the paper's Figure 4: classifiers side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sparring.files import write_atomically
from sparring.report.plots import COLOURS, INK, render

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 20  # over [0, 1]


def confidence_histogram(
    confidences: Mapping[str, Sequence[float]], path: Path | str | None = None, *, title: str = ""
) -> Figure:
    """A figure of how often each classifier's largest probability falls into each twentieth of [0, 1]: bars side by side.

    confidences: by classifier, values in [0, 1]; heights are shares of its images. path: where to write it, .png or .svg.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 2.5), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    edges = np.linspace(0, 1, BINS + 1)
    width = 0.86 / BINS / max(len(confidences), 1)
    for i, (name, values) in enumerate(confidences.items()):
        heights = np.histogram(np.asarray(values, float), edges)[0] / max(len(values), 1)
        left = edges[:-1] + 0.07 / BINS + i * width
        axes.bar(left, heights, width, align="edge", color=COLOURS[i % len(COLOURS)], label=name)
    axes.set_xlim(0, 1)
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.set_xlabel("largest probability", color=INK, fontsize=9)
    axes.set_ylabel("share of images", color=INK, fontsize=9)
    axes.tick_params(colors=INK, labelsize=8)
    axes.grid(axis="y", color=INK, alpha=0.2, linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
    axes.legend(frameon=False, fontsize=8, labelcolor=INK)
    if path is not None:
        write_atomically(path, render(figure, Path(path).suffix.lstrip(".") or "png"))
    return figure
