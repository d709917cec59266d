"""Trains and measures a recipe's classifiers, as `sparring classify` does."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sparring.classify.criteria import takes_negatives
from sparring.classify.data import ClassifierData, Note, load_classifier_data
from sparring.classify.job import ClassifierJob, check_parts
from sparring.classify.recipe import ClassifierRecipe
from sparring.classify.report import write_classifier_report
from sparring.classify.results import Results, evaluate_classifier
from sparring.classify.saved import DESCRIPTION, SavedClassifier, load_classifier, save_classifier
from sparring.classify.verdict import few_images, verdict
from sparring.errors import SparringError
from sparring.files import write_json
from sparring.messages import counted, note_or_default
from sparring.recipe.base import Network
from sparring.recipe.files import beside_folder
from sparring.run.checkpoint import CheckpointFolder
from sparring.run.data import python_sources
from sparring.run.folder import cure_for_moved, how_to_resume, started_on, write_facts
from sparring.run.progress import Progress, progress_or_default
from sparring.run.session import BaseRun, Session, run_session
from sparring.run.trackers import Named, Tracker, find_trackers
from sparring.trust import consenting

RESULTS = "results.json"


class ClassifierRun(BaseRun[ClassifierRecipe]):
    """A finished run of classifiers: its folder, its numbers, its classifiers.

    code: what this process was allowed to import for its recipe; the run's files may name it without asking.
    """

    kind = ClassifierRecipe

    @property
    def results(self) -> dict[str, Any]:
        """By classifier: accuracy, calibration, coverage, threshold and, by probe, NCR, AUROC and FPR95."""
        return self._results["classifiers"]

    @property
    def warnings(self) -> list[str]:
        """What to know before relying on the numbers."""
        return self._results["warnings"]

    @property
    def verdict(self) -> str:
        """One sentence on which images the recipe's classifier calls "unknown"."""
        return self._results["verdict"]

    @property
    def _results(self) -> dict[str, Any]:
        return json.loads((self.folder / RESULTS).read_text(encoding="utf-8"))

    @property
    def classifier(self) -> SavedClassifier:
        with consenting(False, self):
            return load_classifier(self.folder)


def train_classifier(
    recipe: Any,
    overrides: Iterable[str] | Mapping[str, Any] = (),
    *,
    out: str | Path | None = None,
    resume: bool = False,
    resume_from: int | None = None,
    data: Any = None,
    test: Any = None,
    negatives: Any = None,
    probes: Mapping[str, Any] | None = None,
    beside: Mapping[str, str | Path] | None = None,
    trackers: str | Iterable[str | Tracker] = (),
    tensorboard: bool = False,
    device: str | None = None,
    progress: Callable[[int, int], Progress] | bool | None = None,
    note: Note | None = None,
    command: str | None = None,
    allow_code: bool = False,
) -> ClassifierRun:
    """Train a recipe's classifier and those beside it, measure them on test images and probes, and write a report.

    recipe, overrides: as for `ClassifierRecipe.load`. data, test, negatives, probes (by name): images that replace the
        recipe's sources. resume_from: a step of the recipe's own classifier. beside: trained classifiers to compare with, by
        their names in the report. trackers: objects receive the numbers of the recipe's own classifier, those
        given by name the numbers of each. The rest: as for `train`.

    Raises the errors of `train`. A resumed run ends in the same bits.
    """
    note, progress = note_or_default(note), progress_or_default(progress)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise SparringError("classifiers are trained by one process: start `sparring classify` without torchrun")
    receivers = find_trackers(trackers, note, tensorboard=tensorboard)
    with run_session(
        ClassifierRecipe, recipe, overrides, sources=python_sources(data=data, negatives=negatives), out=out,
        resume=resume or resume_from is not None, device=device, note=note, allow_code=allow_code,
    ) as session:  # fmt: skip
        chosen, folder = session.recipe, session.folder
        if resume_from is not None:  # check it now: those beside it are trained first
            CheckpointFolder(folder / "checkpoints").load(lambda state: None, resume_from, note)
        _check_names(beside or (), chosen, note)
        others = {name: load_classifier(path, allow_code=allow_code) for name, path in (beside or {}).items()}
        with cure_for_moved(folder, chosen):
            images = load_classifier_data(chosen, note, data=data, test=test, negatives=negatives, probes=probes)
        _check_beside(others, images)
        check_parts(chosen, images.train.num_classes, images.train.size, images.train.channels, note)
        facts = _write_facts(folder, chosen, images, command, session.runtime.device, note)
        evaluations = {name: _evaluate(chosen, other, images, of_this_run=False) for name, other in others.items()}
        stopped = partial(write_classifier_report, folder, facts, evaluations, images.warnings, "")
        for criterion in chosen.classifiers:
            own = {"resume_from": resume_from} if criterion is chosen.criterion else {}
            target = folder if own else folder / "beside" / beside_folder(criterion.kind)
            saved = _done_before(target, chosen, session.runtime.device) if own.get("resume_from") is None else None
            if saved is None:
                shared = receivers if own else [each for each in receivers if isinstance(each, Named)]
                job = _trained(session, criterion, images, stopped, target, progress, trackers=shared, **own)
                saved = _saved(job, criterion, images, target)
            evaluations[criterion.kind] = _evaluate(chosen, saved, images)
            _keep_threshold(target, saved, evaluations[criterion.kind])
        _write_results(folder, facts, evaluations, chosen.criterion.kind, images.warnings, note)
    return ClassifierRun(folder, code=chosen.code)


def _write_results(
    folder: Path,
    facts: dict[str, Any],
    evaluations: dict[str, Results],
    own: str,
    before: tuple[str, ...],
    note: Note,
) -> None:
    """Write results.json and the report. own: the recipe's criterion. before: warnings that were noted already."""
    numbers = {name: evaluation.numbers for name, evaluation in evaluations.items()}
    few = [few_images(name, found) for name, found in numbers.items()]
    warnings = [*before, *_too_many_false_alarms(numbers), *filter(None, few)]
    for line in warnings[len(before) :]:
        note(line)
    said = verdict(own, numbers[own])
    write_json(folder / RESULTS, {"classifiers": numbers, "warnings": warnings, "verdict": said})
    write_classifier_report(folder, facts, evaluations, warnings, said)


def _done_before(folder: Path, recipe: ClassifierRecipe, device: torch.device) -> SavedClassifier | None:
    """The classifier in a folder, if it is complete."""
    saved = load_classifier(folder, device) if (folder / DESCRIPTION).is_file() else None
    return saved if saved is not None and saved.description.get("step") == recipe.steps else None


def _trained(
    session: Session[ClassifierRecipe],
    criterion: Network,
    images: ClassifierData,
    write_report: Callable[[str], object],
    folder: Path,
    progress: Callable[[int, int], Progress],
    **words: Any,
) -> ClassifierJob:
    recipe, cure = session.recipe, how_to_resume("classifier", session.folder)
    job = ClassifierJob(recipe, criterion, images, session.runtime.device, write_report, cure)
    positives, steps = counted(len(images.train), "positive"), counted(recipe.steps, "step")
    session.note(f"training {criterion.kind}: {positives}, {steps}")
    job.run(folder, progress, session.note, **words)
    return job


def _saved(job: ClassifierJob, criterion: Network, data: ClassifierData, folder: Path) -> SavedClassifier:
    recipe = job.recipe
    description = {
        "recipe": recipe.name,
        "criterion": criterion.kind,
        "step": job.step,
        "network": {"kind": recipe.network.kind, "options": recipe.network.options},
        "image_size": data.train.size,
        "image_channels": data.train.channels,
        "num_classes": data.train.num_classes,
        "outputs": job.outputs,
        "class_names": list(data.train.class_names),
        "input": "float images [B, C, H, W] in [-1, 1], x / 127.5 - 1 of 8-bit levels",
        "threshold": None,
        "false_alarm_rate": None,
    }
    save_classifier(folder, job.classifier, json.loads(json.dumps(description)))
    return load_classifier(folder, job.device)


def _evaluate(
    recipe: ClassifierRecipe, saved: SavedClassifier, data: ClassifierData, *, of_this_run: bool = True
) -> Results:
    criterion = saved.description.get("criterion")
    if of_this_run:
        saw_negatives: bool | None = takes_negatives(str(criterion))
    else:  # a baseline saw none; those of others are unknown
        saw_negatives = False if criterion == "baseline" else None
    return evaluate_classifier(
        saved.module,
        data,
        thresholds=recipe.thresholds,
        false_alarm_rate=recipe.false_alarm_rate,
        saw_negatives=saw_negatives,
    )


def _keep_threshold(folder: Path, saved: SavedClassifier, evaluation: Results) -> None:
    """Add the chosen threshold, and how well the classifier did, to its description."""
    keys = ("threshold", "false_alarm_rate", "false_alarms_on_validation", "accuracy")
    write_json(folder / DESCRIPTION, saved.description | {key: evaluation.numbers[key] for key in keys})


def _too_many_false_alarms(results: Mapping[str, dict[str, Any]]) -> list[str]:
    """A line for each classifier whose extra class takes more positives than the recipe allows."""
    return [
        f"{name}: {numbers['false_alarms_on_validation']:.1%} of the validation images are taken for negatives, more than "
        f"the {numbers['false_alarm_rate']:.1%} of false_alarm_rate, so no threshold reaches it"
        for name, numbers in results.items()
        if numbers["threshold"] is not None and numbers["false_alarms_on_validation"] > numbers["false_alarm_rate"]
    ]


def _check_names(names: Iterable[str], recipe: ClassifierRecipe, note: Note) -> None:
    """Raise SparringError if a classifier from another run has the name of one that this run trains."""
    if recipe.criterion in recipe.beside:
        note(f"beside names {recipe.criterion.kind}, the recipe's own criterion: it is trained once")
    trained = [criterion.kind for criterion in recipe.classifiers]
    for name in names:
        if name in trained:
            raise SparringError(
                f"this run trains a classifier called '{name}' itself: give the one beside it another NAME"
                + (", or set beside=[]" if name != recipe.criterion.kind else "")
            )


def _check_beside(others: Mapping[str, SavedClassifier], data: ClassifierData) -> None:
    """Raise SparringError if a classifier from another run takes other images than this run's."""
    train = data.train
    wanted = (train.size, train.channels, train.num_classes)
    for name, other in others.items():
        if (other.image_size, other.image_channels, other.num_classes) != wanted:
            raise SparringError(
                f"the classifier '{name}' beside this run takes {other.image_channels} x {other.image_size} x "
                f"{other.image_size} images of {other.num_classes} classes, and the data are {train.channels} x "
                f"{train.size} x {train.size} of {train.num_classes}"
            )


def named_classifiers(given: Iterable[str]) -> dict[str, str]:
    """`NAME=RUN` words as a mapping. Raises SparringError for others."""
    found = {}
    for word in given:
        name, equals, path = word.partition("=")
        if not (name and equals and path):
            raise SparringError(
                f"'{word}' names no classifier: write NAME=RUN, such as baseline=runs/nat-baseline-cifar10"
            )
        if name in found:
            raise SparringError(f"two classifiers are called '{name}': give each its own NAME")
        found[name] = path
    return found


def _write_facts(
    folder: Path,
    recipe: ClassifierRecipe,
    data: ClassifierData,
    command: str | None,
    device: torch.device,
    note: Note,
) -> dict[str, Any]:
    """Write recipe.json. Raises SparringError if the run was started on other images."""
    now = data.fingerprints()
    before = started_on(folder, recipe, now, note).get("recipe", {}).get("steps", recipe.steps)
    if before < recipe.steps and recipe.optimizer.decay == "cosine":
        note(
            f"the run grows from {before} to {recipe.steps} steps, and its learning rate follows the longer cosine "
            "from here on: it ends differently from a run that had as many steps from the start"
        )
    return write_facts(folder, recipe, now, command, device=device, data=data.train.facts())
