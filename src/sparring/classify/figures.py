"""Histograms of the largest probability, with classifiers side by side, as in the paper's Figure 4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sparring.files import write_atomically
from sparring.report.plots import COLOURS, INK, panel, render

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 20  # over [0, 1]


def confidence_histogram(
    confidences: Mapping[str, Sequence[float]], path: Path | str | None = None, *, title: str = ""
) -> Figure:
    """Draw how often each classifier's largest probability falls into each twentieth of [0, 1], as bars side by side.

    confidences: by classifier, values in [0, 1]; heights are shares of its images. path: where to write it, .png or .svg.
    """
    figure, axes = panel(title=title, xlabel="largest probability", ylabel="share of images", size=(5.2, 2.5))
    edges = np.linspace(0, 1, BINS + 1)
    width = 0.86 / BINS / max(len(confidences), 1)
    for i, (name, values) in enumerate(confidences.items()):
        heights = np.histogram(np.asarray(values, float), edges)[0] / max(len(values), 1)
        left = edges[:-1] + 0.07 / BINS + i * width
        axes.bar(left, heights, width, align="edge", color=COLOURS[i % len(COLOURS)], label=name)
    axes.set_xlim(0, 1)
    axes.grid(False, axis="x")
    axes.legend(frameon=False, fontsize=8, labelcolor=INK)
    if path is not None:
        write_atomically(path, render(figure, Path(path).suffix.lstrip(".") or "png"))
    return figure
