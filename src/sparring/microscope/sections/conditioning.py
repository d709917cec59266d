"""Spectra of the discriminator's weights, its accuracies over training, and the classes of the samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sparring.errors import SparringError
from sparring.evaluation.extractors.choice import extractor_for
from sparring.metrics.discriminator_accuracy import discriminator_accuracies
from sparring.microscope.opened import Batch, OpenedRun
from sparring.microscope.sections import Section, one_checkpoint
from sparring.microscope.spectrum import EMBEDDING, spectra
from sparring.networks.discriminator import Discriminator
from sparring.report.plots import bars, curves, from_zero

MOST_LAYERS = 6  # in one figure
MOST_CLASSES = 20  # in a histogram


def measure(runs: Sequence[OpenedRun], n: int) -> Section:
    """The numbers are defined in `sparring.microscope.spectrum` and `sparring.metrics.discriminator_accuracy`."""
    found = Section("conditioning")
    for run in runs:
        found.numbers[run.name] = {"step": run.last, "spectra": spectra(run.subject().judge)}
        found.numbers[run.name] |= {"n_real": len(run.real(n)), "n_fake": n}
        found.numbers[run.name]["over_training"] = _accuracies(found, run, n)
        found.numbers[run.name]["classes"] = _classes(found, run, n)
    _draw_spectra(found)
    _draw_accuracies(found)
    _draw_classes(found)
    return found


def _accuracies(found: Section, run: OpenedRun, n: int) -> dict[str, list[Any]]:
    sets: dict[str, Batch] = {"train": run.real(n)}
    if run.held_out is not None:
        sets["held-out"] = run.real(n, run.held_out)
    else:
        found.lack(f"overfitting: the data of {run.name} have no split 'test' or 'val' of held-out images")
    if len(run.course()) == 1:
        found.lack(one_checkpoint(run, "accuracies"))
    over: dict[str, list[Any]] = {"step": run.course()}
    for step in run.course():
        judge, boundary = run.subject(step).judge, run.subject(step).host.boundary
        if boundary is None and "score" in judge.asked:
            found.lack(f"share of images that {run.name} calls real: its loss has no boundary of its own")
        for which, batch in (sets | {"generated": run.fake(n, step)}).items():
            try:
                accuracies = discriminator_accuracies(judge, batch.pixels, batch.labels, boundary=boundary)
            except SparringError as error:
                found.lack(f"accuracies of {run.name}: {error}")
                return {}
            if which == "generated" and not run.conditional:
                accuracies = _without_classes(found, run, judge, accuracies)
            for name, share in accuracies.items():
                over.setdefault(f"{name}, {which}", []).append(share)
    return over


def _without_classes(
    found: Section, run: OpenedRun, judge: Discriminator, accuracies: dict[str, float]
) -> dict[str, float]:
    """The accuracies that do not depend on labels, for samples without a requested class."""
    if set(accuracies) <= {"real"} and judge.embedding is None:
        return accuracies
    found.lack(f"self-accuracy: the generator of {run.name} takes no classes")
    return {name: share for name, share in accuracies.items() if name == "real" and judge.embedding is None}


def _classes(found: Section, run: OpenedRun, n: int) -> dict[str, Any] | None:
    """Class shares of the samples, according to the extractor, or else to the discriminator's own head."""
    extractor = extractor_for(None if run.recipe.evaluation is None else run.recipe.evaluation.extractor, run.data.real)
    fake = run.fake(n)
    if extractor is not None and extractor.class_names is not None:
        logits, names, who = extractor(fake.pixels).logits, extractor.class_names, extractor.name
    elif "class_logits" in run.subject().judge.asked:
        logits = run.subject().read(fake.images, fake.labels, lambda side: side.class_logits)
        logits = logits[:, : run.data.real.num_classes]
        names, who = run.data.real.class_names, "the discriminator's own classifier"
    else:
        found.lack(
            f"classes of the samples: no classifier fits the images of {run.name}; name one as evaluation.extractor"
        )
        return None
    assert logits is not None
    shares = torch.bincount(logits.argmax(1), minlength=logits.shape[1]).double() / len(fake)
    names = tuple(names) or tuple(str(k) for k in range(len(shares)))
    known = shares.clamp_min(1e-12)
    entropy = float(-(shares * known.log()).sum())
    return {"names": list(names), "shares": shares.tolist(), "classifier": who, "entropy": entropy}


def _draw_spectra(found: Section) -> None:
    tables: list[Sequence[Any]] = []
    embeddings: dict[str, tuple[list[int], list[float]]] = {}
    for run, numbers in found.numbers.items():
        layers = numbers["spectra"]
        for name, layer in layers.items():
            ranks = f"{layer['effective_rank']:.1f}", f"{layer['stable_rank']:.1f}"
            largest = f"{layer['singular_values'][0]:.3f}"
            rows, columns = layer["shape"]
            tables.append((run, name, f"{rows} x {columns}", "yes" if layer["normalised"] else "no", largest, *ranks))
        if EMBEDDING in layers:
            values = layers[EMBEDDING]["singular_values"]
            embeddings[run] = (list(range(1, len(values) + 1)), values)
        _draw_layers(found, run, {name: layer["singular_values"] for name, layer in layers.items()})
    if embeddings:
        figure = curves(
            embeddings, title="spectrum of the projection's class embedding", xlabel="rank", ylabel="singular value"
        )
        from_zero(figure)
        found.draw("spectrum-embedding", figure, "The class embedding's singular values by rank (MHGAN, section 3.2)")
    else:
        found.lack("the projection's spectrum: no run has discriminator.conditioning=projection")
    columns = ("run", "weight", "matrix", "spectral norm", "largest", "effective rank", "stable rank")
    found.tables.append((columns, tables))


def _draw_layers(found: Section, run: str, values: dict[str, list[float]]) -> None:
    """Draw all weights with more than one singular value, a few in each figure."""
    shown = [name for name in values if name != EMBEDDING and len(values[name]) > 1]
    for start in range(0, len(shown), MOST_LAYERS):
        some = shown[start : start + MOST_LAYERS]
        lines = {name.removeprefix("backbone."): _ranked(values[name]) for name in some}
        which = f"{start + 1} to {start + len(some)} of {len(shown)}"
        figure = curves(
            lines, title=f"{run}: singular values", xlabel="rank / ranks", ylabel="singular value", size=(4.8, 2.7)
        )
        caption = f"Weights {which} of {run} as they are used, by rank relative to the number of ranks"
        found.draw(f"spectrum-layers-{run}" + (f"-{start // MOST_LAYERS + 1}" if start else ""), figure, caption)


def _ranked(values: list[float]) -> tuple[list[float], list[float]]:
    return [(i + 1) / len(values) for i in range(len(values))], values


def _draw_accuracies(found: Section) -> None:
    table: list[Sequence[Any]] = []
    for run, numbers in found.numbers.items():
        over = dict(numbers["over_training"])
        steps = over.pop("step", [])
        table += [(run, name, f"{values[-1]:.3f}") for name, values in over.items()]
        if len(steps) < 2:
            continue
        for kind, words in (("real", "share called real"), ("class", "classification accuracy")):
            lines = {
                name.removeprefix("real, "): (steps, values)
                for name, values in over.items()
                if name.startswith("real,") == (kind == "real")
            }
            if lines:
                figure = curves(lines, title=f"{run}: {words}", ylabel="share", size=(4.6, 2.6))
                figure.axes[0].set_ylim(-0.03, 1.03)
                found.draw(
                    f"accuracy-{kind}-{run}", figure, f"{words[0].upper()}{words[1:]} over training (MHGAN, Figure 7)"
                )
    if table:
        found.tables.append((("run", "accuracy at the last checkpoint", "share"), table))


def _draw_classes(found: Section) -> None:
    series: dict[tuple[str, ...], dict[str, list[float]]] = {}
    for run, numbers in found.numbers.items():
        if numbers["classes"] is not None:
            series.setdefault(tuple(numbers["classes"]["names"]), {})[run] = numbers["classes"]["shares"]
    for names, shares in series.items():
        kept = _largest(shares, MOST_CLASSES)
        drawn = {run: [values[k] for k in kept] for run, values in shares.items()}
        figure = bars([names[k] for k in kept], drawn, title="classes of the samples", ylabel="share", size=(5.2, 2.9))
        found.draw("class-shares", figure, "Class shares of the samples, according to a classifier")


def _largest(shares: dict[str, list[float]], most: int) -> list[int]:
    """The classes to show, in order: all of them, or those with the largest shares."""
    total: Tensor = torch.tensor(list(shares.values())).sum(0)
    return sorted(total.topk(min(most, len(total))).indices.tolist())
