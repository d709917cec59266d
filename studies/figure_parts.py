"""Helpers for the figures of docs/figures.md: values of runs, pictures of samples, files."""

from __future__ import annotations

import io
from typing import Any

from figure_runs import ROOT, RUNS
from PIL import Image

from sparring.evaluation.compare import ClassComparison
from sparring.files import read_rows, write_atomically
from sparring.microscope.opened import OpenedRun
from sparring.microscope.sections import section
from sparring.report.plots import curves, image_grid, picture_rows, render

OUT = ROOT / "docs" / "figures"
N = 256  # images per measurement of a diagnosis
COLUMNS = 10

Numbers = dict[str, Any]
Lines = dict[str, tuple[list[float], list[float]]]


def save(name: str, figure: Any) -> None:
    content = io.BytesIO()
    with Image.open(io.BytesIO(render(figure, "png"))) as picture:
        picture.save(content, "PNG", optimize=True)  # the same pixels in fewer bytes
    write_atomically(OUT / f"{name}.png", content.getvalue())


def opened(name: str) -> OpenedRun:
    return OpenedRun(RUNS / name)


def measured(runs: dict[str, str], metric: str) -> Lines:
    """A metric over the steps, for runs by their names in the legend."""
    found: Lines = {}
    for word, run in runs.items():
        rows = [row for row in read_rows(RUNS / run / "metrics.jsonl") if row["metric"] == metric]
        found[word] = ([row["step"] for row in rows], [row["value"] for row in rows])
    return found


def logged(runs: dict[str, str], key: str) -> Lines:
    """A logged value over the steps."""
    found: Lines = {}
    for word, run in runs.items():
        rows = [row for row in read_rows(RUNS / run / "log.jsonl") if key in row]
        found[word] = ([row["step"] for row in rows], [row[key] for row in rows])
    return found


def last(lines: Lines) -> Numbers:
    return {name: round(values[-1], 4) for name, (_, values) in lines.items()}


def plotted(name: str, lines: Lines, title: str, ylabel: str, **more: Any) -> Numbers:
    save(name, curves(lines, title=title, ylabel=ylabel, **more))
    return {f"{title}, last": last(lines)}


def samples(name: str, run: str, *, rows: int = 4) -> Numbers:
    """Uncurated samples, with one class per column if there are classes."""
    images = opened(run).fake(rows * COLUMNS).pixels
    image_grid(images, OUT / f"{name}.png", columns=COLUMNS, scale=2)
    return {}


def gained(both: ClassComparison) -> list[int]:
    """Indices of at most three improved classes, the most improved first."""
    return [place for place in both.by_change()[:3] if both.second[place] < both.first[place]]


def diversity(run: OpenedRun) -> Numbers:
    """The mean distance between samples relative to that of real images, within classes if there are any."""
    numbers = section("diversity")([run], N).numbers[run.name]
    kind = "within_class" if run.conditional else "overall"
    found = {space: round(numbers[space][kind], 3) for space in ("pixels", "features")}
    return found | {key: round(numbers[key], 3) for key in ("recall", "coverage", "precision")}


def diversity_beside(name: str, runs: dict[str, str], *, rows: int = 2) -> Numbers:
    """Samples of runs and their diversity."""
    found: Numbers = {}
    pictures = {}
    for word, run in ((word, opened(run)) for word, run in runs.items()):
        found[word] = diversity(run)
        fake = run.fake(run.data.real.num_classes * 12 if run.conditional else rows * 12)
        for row in range(rows):
            shown = fake.pixels[fake.labels == 3 + 4 * row] if run.conditional else fake.pixels[row * 12 :]
            label = f"{word}: {found[word]['features']:.2f}" if row == 0 else " " * len(pictures)
            pictures[label] = shown[:12]
    title = "samples, and their diversity in features as a share of real images'"
    save(name, picture_rows(pictures, title=title, side=0.5))
    return {"diversity": found}
