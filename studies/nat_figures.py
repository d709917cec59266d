"""NAT's figures: 1 and 4 show the demo's classifiers, 3 and 5 show training on a line, which takes seconds."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from figure_runs import RUNS
from torch import Tensor

import sparring
from sparring.classify.figures import confidence_histogram
from sparring.classify.run import train_classifier
from sparring.classify.saved import judge
from sparring.data import PackedImages
from sparring.report.plots import COLOURS, INK, dress
from sparring.toy import ToyResult, ToyRun
from sparring.toy import run as toy_run
from sparring.toy.yardsticks import steps_to_reach

SHOWN = 4  # uncurated bags: the first of the test images
MOMENTS = (40, 150, 400, 1000)  # steps of training on a line
LEVEL = 0.25  # of Wasserstein-1, half of the data's standard deviation


def classifiers() -> dict[str, Any]:
    """The demo's plain and NAT classifiers, trained if they do not exist."""
    folder = RUNS / "nat-classifiers"
    if not (folder / "report.html").is_file():
        train_classifier("nat/demo", ["threads=1"], out=folder, resume=folder.is_dir())
    return {
        word: sparring.load_classifier(where)
        for word, where in (("baseline", folder / "beside" / "baseline"), ("NAT", folder))
    }


def bags() -> PackedImages:
    """Images that neither classifier saw, of a class that NAT saw as negatives."""
    return sparring.load_images("fashion-mnist-10k", split="test", size=32, channels=1).select_classes(["bag"])


def predictions(path: Path) -> dict[str, Any]:
    """Figure 1: all predicted probabilities for images that belong to no class."""
    from matplotlib.figure import Figure

    images = bags()
    found: dict[str, Tensor] = {}
    names: list[str] = []
    for word, saved in classifiers().items():
        found[word], names = judge(saved.module, images).softmax(1), list(saved.class_names)
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    figure.patch.set_alpha(0)
    parts = figure.subplots(SHOWN, 3, width_ratios=(0.5, 1, 1), sharex="col")
    pixels, _ = images.batch(torch.arange(SHOWN))
    for row, (picture, *panels) in enumerate(parts):
        picture.imshow(pixels[row, 0], cmap="gray")
        picture.axis("off")
        for axes, (word, probabilities), colour in zip(panels, found.items(), COLOURS, strict=False):
            dress(axes, title="" if row else f"{word}: probabilities")
            axes.grid(False)
            axes.bar(range(len(names)), probabilities[row], color=colour)
            axes.axhline(1 / len(names), color=INK, linewidth=1, linestyle=":")
            axes.set_ylim(0, 1)
            axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    figure.savefig(path, dpi=160)
    return {
        "largest probability, mean over all bags": {
            w: round(p.max(1).values.mean().item(), 3) for w, p in found.items()
        }
    }


def confidences(path: Path) -> dict[str, Any]:
    """Figure 4: the largest probabilities on all bags."""
    found = {
        word: judge(saved.module, bags()).softmax(1).max(1).values.tolist() for word, saved in classifiers().items()
    }
    confidence_histogram(found, path, title="largest probabilities on unseen bags")
    return {
        f"share above {t}": {w: round(sum(v > t for v in p) / len(p), 4) for w, p in found.items()} for t in (0.4, 0.9)
    }


def fight(folder: Path | None = None) -> ToyResult:
    """The same seed without and with negatives: `sparring toy nat-1d --versus non_saturating`."""
    return toy_run("nat-1d", "negatives", versus="non_saturating", steps=MOMENTS[-1], out=folder, film="none")


def moments(path: Path) -> dict[str, Any]:
    """Figure 3: densities and D's output at four moments."""
    from matplotlib.figure import Figure

    result = fight()
    original, nat = result.runs[1], result.runs[0]
    figure = Figure(figsize=(8.4, 4.3), layout="constrained")
    figure.patch.set_alpha(0)
    parts = figure.subplots(2, len(MOMENTS), sharex=True, sharey=True)
    for row, (word, run) in enumerate((("original", original), ("NAT", nat))):
        for axes, step in zip(parts[row], MOMENTS, strict=True):
            _moment(axes, result.world, run, step)
            dress(
                axes,
                title=f"step {step}, W1 {_look(run, step).numbers['wasserstein']:.2f}",
                xlabel="x" if row else "",
                ylabel="" if step > MOMENTS[0] else f"{word}: density, D(x)",
            )
    handles, labels = parts[1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=9, labelcolor=INK)
    figure.savefig(path, dpi=160)
    return {
        "Wasserstein-1 at the moments": {
            word: [round(_look(run, step).numbers["wasserstein"], 3) for step in MOMENTS]
            for word, run in (("original", original), ("NAT", nat))
        }
    }


def _look(run: ToyRun, step: int) -> Any:
    return min(run.looks, key=lambda look: abs(look.step - step))


def _moment(axes: Any, world: Any, run: ToyRun, step: int) -> None:
    look = _look(run, step)
    x = torch.linspace(*world.view[0], 400, dtype=torch.float64)
    axes.fill_between(x, world.mixture.density(x[:, None]), color=COLOURS[0], alpha=0.35, linewidth=0, label="data")
    if run.session.negatives is not None:
        density = world.negative_mixture.density(x[:, None])
        axes.fill_between(x, density, color=COLOURS[3], alpha=0.35, linewidth=0, hatch="///", label="negatives")
    samples = torch.from_numpy(look.samples[:, 0]).double()
    axes.hist(samples, bins=x[::4], density=True, histtype="step", color=COLOURS[1], linewidth=1.5, label="samples")
    believed = torch.from_numpy(look.realness).double().sigmoid()
    axes.plot(look.places[:, 0], believed, color=INK, linewidth=1.8, label="D(x), probability of real")
    axes.set(xlim=world.view[0], ylim=(0, 1.7))


def comparison(still: Path, distances: Path) -> dict[str, Any]:
    """Figure 5: both runs at the end, and their distances to the data over training."""
    with tempfile.TemporaryDirectory() as folder:
        result = fight(Path(folder))
        shutil.copy(Path(folder) / "still.png", still)
        shutil.copy(Path(folder) / "curves.png", distances)
    words = {"original": result.runs[1], "NAT": result.runs[0]}
    last = {word: {name: round(value, 3) for name, value in run.numbers.items()} for word, run in words.items()}
    first = {
        word: steps_to_reach([k.step for k in run.looks], [k.numbers["wasserstein"] for k in run.looks], LEVEL)
        for word, run in words.items()
    }
    return {"at the end": last, f"steps to Wasserstein-1 {LEVEL}": first}
