"""What a study would cost, without training: networks without memory, and the operations of their steps counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from sparring.classify.job import outputs_of
from sparring.classify.networks import build_classifier
from sparring.classify.recipe import ClassifierRecipe
from sparring.messages import Note
from sparring.recipe.gan import Recipe
from sparring.study.engine import study_of
from sparring.study.resolve import ReadyRow, kept_for, raise_all
from sparring.training.dry_run import describe
from sparring.training.operations import CountedOperations

SPEED = 1e13  # operations a second: the stated 10 TFLOP/s
BACKWARD = 2  # a backward pass takes as many operations as so many forward passes


def cost_of(
    source: Any,
    changes: Iterable[str] | Mapping[str, Any] = (),
    *,
    scale: str | None = None,
    seeds: Any = None,
    rows: Iterable[str] | None = None,
    vary: Iterable[str] = (),
    note: Note = lambda text: None,
) -> dict[str, Any]:
    """The rows of a study, each with its parameters, steps, operations per step, and hours of all seeds at `SPEED`.

    Operations are those of convolutions and matrix products in training, where a multiplication and an addition count two;
    measuring comes on top. They are None for toy worlds, and where only the data say how large the images are.
    Arguments are as for `sparring.study`. Raises SparringError, in one line for all rows, for rows that cannot be built.
    """
    study = study_of(source, changes, scale=scale, seeds=seeds, rows=rows, vary=vary)
    faults: dict[str, str] = {}
    costs = {}
    for label, row in study.rows.items():
        with kept_for(faults, label):
            parameters, operations = _of_row(row, note)
            hours = None if operations is None else operations * row.steps * len(study.seeds) / SPEED / 3600
            costs[label] = {"parameters": parameters, "steps": row.steps, "operations": operations, "hours": hours}
    raise_all(faults)
    return {
        "study": study.plan.name,
        "scale": study.scale,
        "seeds": len(study.seeds),
        "operations_per_second": SPEED,
        "rows": costs,
        "hours": sum(row["hours"] or 0 for row in costs.values()),
    }


def _of_row(row: ReadyRow, note: Note) -> tuple[int | None, int | None]:
    """Parameters, and operations of a step."""
    if row.kind == "gan":
        found = describe(Recipe.load(row.recipe), note)
        return sum(found["parameters"].values()), found["per_step"]["operations"]
    return _of_classifier(ClassifierRecipe.load(row.recipe)) if row.kind == "classifier" else (None, None)


def _of_classifier(recipe: ClassifierRecipe) -> tuple[int | None, int | None]:
    """Of all classifiers of the run together; a batch has its positives and the most negatives."""
    data = recipe.data
    if data.size is None or data.channels is None or data.num_classes is None:
        return None, None
    negatives = recipe.negatives.range[1] if recipe.negatives and recipe.negatives.placement == "on_top" else 0
    parameters = operations = 0
    for criterion in recipe.classifiers:
        with torch.device("meta"):
            built = build_classifier(
                recipe.network.kind,
                recipe.network.options,
                image_size=data.size,
                image_channels=data.channels,
                outputs=outputs_of(criterion, data.num_classes),
                seed=0,
            )
            images = torch.empty(recipe.batch_size + negatives, data.channels, data.size, data.size)
            with CountedOperations() as counted:
                built(images)
        parameters += sum(p.numel() for p in built.parameters())
        operations += counted.total * (1 + BACKWARD)
    return parameters, operations
