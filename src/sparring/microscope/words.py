"""Numbers of a finished run's discriminator by word, as studies keep them: run folders may be lost."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import torch

from sparring.metrics.discriminator_accuracy import discriminator_accuracies
from sparring.microscope.gradients import summary
from sparring.microscope.opened import OpenedRun
from sparring.microscope.robustness import LEVELS, accuracy_under_attack
from sparring.microscope.sections import diversity
from sparring.training.dry_run import describe

IMAGES = 500  # real ones, or as many as the run is measured on
WORDS = {  # by diagnosis: `robustness.fgsm-1` is the share of real images still called real after a step of 1/255
    "robustness": ("none", *(f"{attack}-{level:g}" for attack in ("fgsm", "pgd") for level in LEVELS)),
    "gradients": ("l1", "l2", "sparsity", "structure"),
    "accuracy": ("train", "held-out"),  # shares of training and of held-out images called real
    "cost": ("operations",),  # of a step
    "diversity": ("pixels", "features", "precision", "recall", "coverage"),
}


def words_of(diagnoses: Iterable[str]) -> tuple[str, ...]:
    """The words for the numbers of these diagnoses in plans and claims."""
    return tuple(f"{name}.{word}" for name in diagnoses for word in WORDS[name])


def numbers_of(run: Path, diagnoses: Collection[str], device: torch.device | str) -> dict[str, dict[str, float]]:
    """The numbers of a finished run, by diagnosis and word; see `sparring.microscope`."""
    if not diagnoses:
        return {}
    opened = OpenedRun(run, device=device)
    evaluation = opened.recipe.evaluation
    images = min(IMAGES, evaluation.n) if evaluation else IMAGES
    subject, real, fake, found = opened.subject(), opened.real(images), opened.fake(images), {}
    if "gradients" in diagnoses:
        found["gradients"] = summary(subject.gradients(real.images, real.labels))
    if "accuracy" in diagnoses:
        found["accuracy"] = _shares_called_real(opened)
    if "cost" in diagnoses:
        found["cost"] = {"operations": describe(opened.recipe)["per_step"]["operations"]}
    if "diversity" in diagnoses:
        found["diversity"] = diversity.summary(opened, images)
    if "robustness" in diagnoses:
        boundary = subject.boundary_between(real.images, real.labels, fake.images, fake.labels)
        attacks = accuracy_under_attack(subject, real.images, real.labels, boundary)
        found["robustness"] = {
            "none" if a["attack"] == "none" else f"{a['attack']}-{a['eps_255']:g}": a["accuracy"] for a in attacks
        }
    return found


def _shares_called_real(opened: OpenedRun) -> dict[str, float]:
    """Of training and of held-out images; without those that the data or the loss do not have."""
    sets, shares = {"train": opened.data.real, "held-out": opened.held_out}, dict[str, float]()
    judge, boundary = opened.subject().judge, opened.subject().host.boundary
    for name, images in sets.items():
        if images is not None:
            batch = opened.real(IMAGES, images)
            accuracies = discriminator_accuracies(judge, batch.pixels, batch.labels, boundary=boundary)
            shares |= {name: accuracies["real"]} if "real" in accuracies else {}
    return shares
