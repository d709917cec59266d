"""What is found out before anything runs, on networks without memory: whether rows fit their data, and what they cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sparring.classify.data import load_classifier_data
from sparring.classify.describe import without_memory
from sparring.classify.job import check_parts
from sparring.classify.recipe import ClassifierRecipe
from sparring.messages import Note, no_note
from sparring.metrics.names import words_of
from sparring.microscope.words import WORDS as DIAGNOSES
from sparring.recipe.gan import Recipe
from sparring.run.data import load_run_data
from sparring.study.resolve import ReadyRow, Study, check_words, for_all, resolve
from sparring.training.dry_run import describe, measured_by
from sparring.training.operations import CountedOperations

SPEED = 1e13  # operations a second: the stated 10 TFLOP/s
BACKWARD = 2  # a backward pass takes as many operations as so many forward passes


def check_on_data(study: Study, labels: Iterable[str], note: Note) -> None:
    """Load these rows' data and build their networks. Raises SparringError, in one line for all rows."""
    checker = _Checker(note)
    for_all(labels, lambda label: check_words(study, checker.words(study.rows[label]), label))


class _Checker:
    """Checks rows one after the other; rows on the same images share them."""

    def __init__(self, note: Note):
        self.note = note
        self._images: tuple[str, Any] = ("", None)

    def words(self, row: ReadyRow) -> tuple[str, ...]:
        """The words of the metrics that a row will be measured by. Raises SparringError where it cannot be trained."""
        if row.kind == "gan":
            gan, parts = Recipe.load(row.recipe), [row.recipe[key] for key in ("data", "negatives", "unlabelled")]
            images = self._loaded(parts, lambda: load_run_data(gan, self.note))
            diagnosed = (word for word in row.words if word.partition(".")[0] in DIAGNOSES)
            return (*words_of(measured_by(gan, images, self.note)), *diagnosed)
        if row.kind == "classifier":
            recipe = ClassifierRecipe.load(row.recipe)
            parts = [row.recipe[key] for key in ("data", "test", "negatives", "probes", "validation")]
            train = self._loaded(parts, lambda: load_classifier_data(recipe, self.note)).train
            check_parts(recipe, train.num_classes, train.size, train.channels, self.note)
        return row.words

    def _loaded(self, parts: Any, load: Callable[[], Any]) -> Any:
        key = json.dumps(parts, sort_keys=True)
        if self._images[0] != key:
            self._images = (key, load())
        return self._images[1]


def cost_of(
    source: Any, changes: Iterable[str] | Mapping[str, Any] = (), *, note: Note = no_note, **options: Any
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
    facts = {"study": study.plan.name, "scale": study.scale, "seeds": len(study.seeds), "operations_per_second": SPEED}
    return {**facts, "rows": costs, "hours": sum(row["hours"] or 0 for row in costs.values())}


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
