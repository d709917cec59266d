"""Measures a generator as its recipe says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from sparring.data.classes import turns_at
from sparring.errors import SparringError
from sparring.evaluation.engine import check_metrics, evaluate_images, find_metrics, usual_metrics
from sparring.evaluation.extractors.base import Extractor, ExtractorUnavailableError
from sparring.evaluation.extractors.choice import extractor_for, no_extractor, ways_to_measure
from sparring.evaluation.image_set import ImageSet, of_images
from sparring.evaluation.labels import turns_for
from sparring.messages import Note, ProgressHook
from sparring.metrics.base import Comparison
from sparring.run.generator import sampler_of, takes_labels

NEIGHBOURS = 5  # k of precision and recall, the choice of Naeem et al.; recipes cannot change it

if TYPE_CHECKING:
    from sparring.recipe.gan import Evaluation
    from sparring.run.data import RunData


def check_evaluation(data: RunData, evaluation: Evaluation, generator: nn.Module) -> str | None:
    """Why a run cannot be measured here, though it can be trained; None if it can be measured.

    Raises SparringError, before anything is trained, for an evaluation that these data or this extractor do not support.
    """
    data.reference(evaluation.split)
    try:
        extractor = extractor_for(evaluation.extractor, data.real)
    except ExtractorUnavailableError as error:
        return _unmeasured(error.reason, data)
    if extractor is None:
        return _unmeasured("no feature extractor is chosen for these images by default", data)
    extractor(data.real.images[:2])  # fail now, not after training, if it does not accept these images
    reference = reference_images(data, evaluation)
    if evaluation.metrics:
        classes = data.real.num_classes
        labels = turns_at(torch.arange(classes), 0, evaluation.n) if takes_labels(generator, classes) else None
        planned = ImageSet("generated", evaluation.n, data.real.channels, _none_yet, labels=labels)
        settings = extractor.dimensions, extractor.class_names, evaluation.is_splits, NEIGHBOURS
        check_metrics(find_metrics(evaluation.metrics), Comparison(planned, reference, *settings), extractor.name)
    return None


def metrics_of(evaluation: Evaluation, data: RunData, extractor: Extractor, note: Note | None = None) -> Sequence[str]:
    """The names of the metrics that a run is measured by: the recipe's, else the usual ones."""
    if evaluation.metrics:
        return evaluation.metrics
    return usual_metrics(extractor, evaluation.n, evaluation.is_splits, note, classes=data.real.class_names)


def _none_yet(start: int, count: int) -> torch.Tensor:
    raise AssertionError("no image exists before training")


def _unmeasured(reason: str, data: RunData) -> str:
    return (
        f"not measured: {reason}; {ways_to_measure(data.real, 'evaluation.extractor=')}, or measure the run later with "
        "`sparring evaluate RUN --extractor NAME`; evaluation=null silences this note"
    )


def measure_generator(
    generator: nn.Module,
    latent_size: int,
    data: RunData,
    evaluation: Evaluation,
    note: Note,
    progress: ProgressHook | None = None,
    *,
    device: torch.device | str = "cpu",
    weights: str | Path | None = None,
    sha256: str | None = None,
    generator_hash: str | None = None,
    rank: int = 0,
    world: int = 1,
) -> list[dict[str, Any]]:
    """Records of the recipe's metrics. Raises SparringError if no extractor fits the data.

    weights, sha256: replace the extractor's own weights. generator_hash: of the generator's weights, for the records.
    rank, world: of this process, if several processes of one group share the work; each gets all records.
    The classes of a conditional generator's samples are those of `evaluation.labels`, see `sparring.evaluation.labels`.
    """
    extractor = extractor_for(evaluation.extractor, data.real, device, weights=weights, sha256=sha256)
    if extractor is None:
        raise no_extractor(data.real)
    reference, classes = reference_images(data, evaluation), data.real.num_classes
    conditional = takes_labels(generator, classes)
    turns, drawn = torch.arange(classes), "uniform"
    if conditional:
        turns, drawn = turns_for(classes, data.real.class_names, reference, evaluation.labels, note)
    return evaluate_images(
        sampler_of(generator, latent_size, classes, evaluation.seed, device, turns=turns),
        reference,
        extractor=extractor,
        n=evaluation.n,
        labels=turns_at(turns, 0, evaluation.n) if conditional else None,
        drawn_labels=drawn if conditional else None,
        batch_size=evaluation.batch_size,
        seed=evaluation.seed,
        splits=evaluation.is_splits,
        neighbours=NEIGHBOURS,
        progress=progress,
        metrics=metrics_of(evaluation, data, extractor, note),
        note=note,
        generator_hash=generator_hash,
        rank=rank,
        world=world,
    )


def reference_images(data: RunData, evaluation: Evaluation) -> ImageSet:
    """The real images to compare with: a split, or `n_real` images of it drawn by the evaluation's seed.

    Raises SparringError if there are fewer.
    """
    images, n = data.reference(evaluation.split), evaluation.n_real
    if n is not None and n > len(images):
        raise SparringError(
            f"evaluation.n_real is {n}, but {images.name} has {len(images)} images: lower it, or set it to "
            "null to compare with all of them"
        )
    return of_images(images, n, evaluation.seed)
