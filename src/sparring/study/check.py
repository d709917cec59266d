"""What is found out before anything runs, on networks without memory: whether rows fit their data, and what they cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sparring.classify.data import load_classifier_data
from sparring.classify.job import check_parts
from sparring.classify.recipe import ClassifierRecipe
from sparring.describe import cost_of_a_step
from sparring.messages import Note, no_note
from sparring.metrics.names import words_of
from sparring.microscope.words import WORDS as DIAGNOSES
from sparring.recipe.gan import Recipe
from sparring.run.data import load_run_data
from sparring.study.resolve import ReadyRow, Study, check_words, for_all, resolve
from sparring.training.dry_run import measured_by

SPEED = 1e13  # operations a second: the stated 10 TFLOP/s


def check_on_data(study: Study, labels: Iterable[str], note: Note) -> None:
    """Load these rows' data and build their networks. Raises SparringError, in one line for all rows."""
    loaded: dict[str, Any] = {}

    def images_of(row: ReadyRow, parts: Iterable[str], load: Callable[[], Any]) -> Any:
        """Rows on the same images, one after the other, share them."""
        key = json.dumps([row.recipe[part] for part in parts], sort_keys=True)
        if key not in loaded:
            loaded.clear()
            loaded[key] = load()
        return loaded[key]

    def check(label: str) -> None:
        row = study.rows[label]
        words = row.words
        if row.kind == "gan":
            gan = Recipe.load(row.recipe)
            images = images_of(row, ("data", "negatives", "unlabelled"), lambda: load_run_data(gan, note))
            diagnosed = (word for word in words if word.partition(".")[0] in DIAGNOSES)
            words = (*words_of(measured_by(gan, images, note)), *diagnosed)
        elif row.kind == "classifier":
            recipe = ClassifierRecipe.load(row.recipe)
            parts = ("data", "test", "negatives", "probes", "validation")
            train = images_of(row, parts, lambda: load_classifier_data(recipe, note)).train
            check_parts(recipe, train.num_classes, train.size, train.channels, note)
        check_words(study, words, label)

    for_all(labels, check)


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
        parameters, operations = (None, None) if row.kind == "toy" else cost_of_a_step(row.recipe, note)
        hours = None if operations is None else operations * row.steps * len(study.seeds) / SPEED / 3600
        return {"parameters": parameters, "steps": row.steps, "operations": operations, "hours": hours}

    costs = for_all(study.rows, cost)
    facts = {"study": study.plan.name, "scale": study.scale, "seeds": len(study.seeds), "operations_per_second": SPEED}
    return {**facts, "rows": costs, "hours": sum(row["hours"] or 0 for row in costs.values())}
