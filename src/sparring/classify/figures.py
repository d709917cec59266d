"""Answers to images of no class, with classifiers side by side, as in Figures 1 and 4 of NAT's paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sparring.data.packed import PackedImages
from sparring.errors import SparringError
from sparring.files import write_atomically
from sparring.report.plots import COLOURS, INK, dress, panel, render

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sparring.classify.saved import SavedClassifier

BINS = 20  # over [0, 1]
SHOWN = 4  # images whose probabilities are drawn
LEVELS = (0.4, 0.9)  # of confidence, as in the paper


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


def probabilities_figure(images: PackedImages, found: Mapping[str, Any], names: Sequence[str]) -> Figure:
    """All predicted probabilities for the first images, a row for each, classifiers side by side; the dotted line is 1 / K.

    found: by classifier, probabilities [N, K]. names: of the K classes.
    """
    from matplotlib.figure import Figure

    shown = min(SHOWN, len(images))
    figure = Figure(figsize=(1.6 + 2.4 * len(found), 1.1 * shown), layout="constrained")
    figure.patch.set_alpha(0)
    parts = figure.subplots(shown, 1 + len(found), width_ratios=(0.5, *[1] * len(found)), sharex="col", squeeze=False)
    for row, (picture, *panels) in enumerate(parts):
        pixels = images.images[row].permute(1, 2, 0).squeeze(2).cpu().numpy()
        picture.imshow(pixels, cmap="gray", vmin=0, vmax=255)
        picture.axis("off")
        for axes, (name, probabilities), colour in zip(panels, found.items(), COLOURS, strict=False):
            dress(axes, title="" if row else name)
            axes.grid(False)
            axes.bar(range(len(names)), probabilities[row], color=colour)
            axes.axhline(1 / len(names), color=INK, linewidth=1, linestyle=":")
            axes.set_ylim(0, 1)
            axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    return figure


def picture(name: str, runs: Mapping[str, Sequence[Path]]) -> tuple[Figure, dict[str, Any]]:
    """`confidences` or `probabilities` of some runs on their first probe of images, and the numbers.

    runs: by what the figure calls them, with the folders of all their seeds. Confidences are of all seeds, probabilities of
    the first. Raises SparringError for runs without such a probe, or without their classifiers.
    """
    from sparring.classify.saved import load_classifier

    saved = {label: [load_classifier(folder) for folder in folders] for label, folders in runs.items()}
    probe, images = _probe(next(iter(runs.values()))[0])
    answers = {label: [_answers(each, images) for each in some] for label, some in saved.items()}
    largest = {label: np.concatenate([each.max(1) for each in some]) for label, some in answers.items()}
    numbers = {label: {f"above {t}": float((values > t).mean()) for t in LEVELS} for label, values in largest.items()}
    if name == "confidences":
        drawn = confidence_histogram(largest, title=f"largest probabilities: {probe}")  # type: ignore[arg-type]
    else:
        names = next(iter(saved.values()))[0].class_names
        drawn = probabilities_figure(images, {label: some[0] for label, some in answers.items()}, names)
    return drawn, {"probe": probe, "images": len(images), **numbers}


def _probe(folder: Path) -> tuple[str, PackedImages]:
    """The first probe of images of a run, and its name."""
    from sparring.classify.data import load_classifier_data
    from sparring.classify.recipe import ClassifierRecipe

    for probe in load_classifier_data(ClassifierRecipe.load(folder)).probes:
        if isinstance(probe.images, PackedImages):
            return probe.name, probe.images
    raise SparringError(f"'{folder}' has no probe of images: name one in its recipe")


def _answers(saved: SavedClassifier, images: PackedImages) -> np.ndarray:
    """Probabilities [N, K] of the classes."""
    return saved.logits(images).softmax(1)[:, : saved.num_classes].numpy()
