"""Accuracy under attack, confidence over training, and pairs of an image and its adversarial sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sparring.data.packed import to_uint8
from sparring.microscope.opened import Batch, OpenedRun
from sparring.microscope.robustness import accuracy_under_attack, attack
from sparring.microscope.sections import Section, one_checkpoint
from sparring.microscope.subject import Subject
from sparring.report.plots import curves, picture_rows

EPS = 1.0  # in 1/255, for the pairs and the curves over training, as in AS-GAN
SHOWN = 8


def measure(runs: Sequence[OpenedRun], n: int) -> Section:
    """The attacks are defined in `sparring.microscope.robustness`."""
    found = Section("robustness")
    rows: dict[str, Tensor] = {}
    words: dict[str, list[str]] = {}
    for run in runs:
        real, fake = run.real(n), run.fake(n)
        subject = run.subject()
        boundary = subject.boundary_between(real.images, real.labels, fake.images, fake.labels)
        attacks = accuracy_under_attack(subject, real.images, real.labels, boundary)
        found.numbers[run.name] = {"n": len(real), "step": run.last, "boundary": boundary, "attacks": attacks}
        if boundary is not None:
            found.lack(
                f"{run.name}: its loss has no boundary of its own, so the middle of the mean scores is used for accuracy"
            )
        _pairs(run.name, subject, real.take(SHOWN), rows, words)
        found.numbers[run.name]["over_training"] = _course(run, max(8, n // 2))
        if len(run.course()) == 1:
            found.lack(one_checkpoint(run, "confidence"))
    _draw(found, rows, words)
    return found


def _pairs(name: str, subject: Subject, real: Batch, rows: dict[str, Tensor], words: dict[str, list[str]]) -> None:
    attacked = attack(subject, real.images, real.labels, EPS / 255)
    for what, images in (("real", real.images), ("attacked", attacked)):
        row = f"{name}: {what}"
        rows[row] = to_uint8(images)
        words[row] = [f"{value:.2f}" for value in subject.confidence(subject.realness(images, real.labels))]


def _course(run: OpenedRun, n: int) -> dict[str, list[Any]]:
    """The mean confidence in each kind of image at each checkpoint."""
    found: dict[str, list[Any]] = {"step": run.course()}
    for step in run.course():
        subject, real, fake = run.subject(step), run.real(n), run.fake(n, step)
        sides = {"real": real, "fake": fake}
        sides["adversarial real"] = Batch(attack(subject, real.images, real.labels, EPS / 255), real.labels)
        if run.negatives is not None:
            images = run.real(n, run.negatives).images
            no_class = None if real.labels is None else torch.full((len(images),), -1)
            sides["negative"] = Batch(images, no_class)
        for name, side in sides.items():
            realness = subject.realness(side.images, side.labels)
            found.setdefault(name, []).append(float(subject.confidence(realness).mean()))
    return found


def _draw(found: Section, rows: dict[str, Tensor], words: dict[str, list[str]]) -> None:
    lines: dict[str, tuple[list[float], list[float]]] = {}
    table: list[Sequence[Any]] = []
    for name, numbers in found.numbers.items():
        by_attack = {kind: [a for a in numbers["attacks"] if a["attack"] in ("none", kind)] for kind in ("fgsm", "pgd")}
        for kind, points in by_attack.items():
            lines[f"{name}, {kind.upper()}"] = ([a["eps_255"] for a in points], [a["accuracy"] for a in points])
            table.append((name, kind.upper(), *(f"{a['accuracy']:.3f}" for a in points)))
    levels = [f"{a['eps_255']:g}/255" if a["eps_255"] else "clean" for a in points]
    found.tables.append((("run", "attack", *levels), table))
    figure = curves(lines, title="reals that are called real under attack", xlabel="eps in 1/255", ylabel="accuracy")
    figure.axes[0].set_ylim(-0.03, 1.03)
    found.draw("accuracy-under-attack", figure, "Accuracy on real images under FGSM and PGD (AS-GAN, Table 2)")
    found.draw(
        "adversarial-pairs",
        picture_rows(rows, words, title=f"confidence before and after FGSM of {EPS:g}/255", side=0.68),
        "Real images and their adversarial samples, with the discriminator's confidence in each (AS-GAN, Figure 1)",
    )
    for name, numbers in found.numbers.items():
        over = dict(numbers["over_training"])
        steps = over.pop("step")
        if len(steps) > 1:
            series = {side: (steps, values) for side, values in over.items()}
            figure = curves(series, title=f"{name}: confidence over training", ylabel="confidence")
            figure.axes[0].set_ylim(-0.03, 1.03)
            found.draw(
                f"confidence-{name}", figure, f"Mean confidence at the checkpoints of {name} (AS-GAN, Figure 10a)"
            )
