"""What a study would cost, without training: networks without memory, and the operations of their steps counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sparring.classify.describe import without_memory
from sparring.classify.recipe import ClassifierRecipe
from sparring.messages import Note
from sparring.recipe.gan import Recipe
from sparring.study.resolve import ReadyRow, for_all, resolve
from sparring.training.dry_run import describe
from sparring.training.operations import CountedOperations

SPEED = 1e13  # operations a second: the stated 10 TFLOP/s
BACKWARD = 2  # a backward pass takes as many operations as so many forward passes


def cost_of(
    source: Any,
    changes: Iterable[str] | Mapping[str, Any] = (),
    *,
    note: Note = lambda text: None,
    **options: Any,
) -> dict[str, Any]:
    """The rows of a study, each with its parameters, steps, operations per step, and hours of all seeds at `SPEED`.

    Operations are those of convolutions and matrix products in training, where a multiplication and an addition count two;
    measuring comes on top. They are None for toy worlds, and where only the data say how large the images are. Arguments
    are as for `sparring.study.resolve.resolve`. Raises SparringError, in one line, for all rows that cannot be built.
    """
    study = resolve(source, changes=changes, **options)

    def cost(label: str) -> dict[str, Any]:
        row = study.rows[label]
        parameters, operations = _of_row(row, note)
        hours = None if operations is None else operations * row.steps * len(study.seeds) / SPEED / 3600
        return {"parameters": parameters, "steps": row.steps, "operations": operations, "hours": hours}

    costs = for_all(study.rows, cost)
    return {
        "study": study.plan.name,
        "scale": study.scale,
        "seeds": len(study.seeds),
        "operations_per_second": SPEED,
        "rows": costs,
        "hours": sum(row["hours"] or 0 for row in costs.values()),
    }


def _of_row(row: ReadyRow, note: Note) -> tuple[int | None, int | None]:
    """Parameters, and operations of a step, of all classifiers of a run together."""
    if row.kind == "gan":
        found = describe(Recipe.load(row.recipe), note)
        return sum(found["parameters"].values()), found["per_step"]["operations"]
    built = without_memory(ClassifierRecipe.load(row.recipe)) if row.kind == "classifier" else []
    if not built:
        return None, None
    with CountedOperations() as counted:
        for network, images in built:
            network(images)
    return sum(p.numel() for network, _ in built for p in network.parameters()), counted.total * (1 + BACKWARD)
