"""Whether rows fit their data, found before anything runs: the images are loaded, the networks made without memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from sparring.classify.data import load_classifier_data
from sparring.classify.job import check_parts
from sparring.classify.recipe import ClassifierRecipe
from sparring.evaluation.engine import usual_metrics
from sparring.evaluation.extractors.choice import extractor_for
from sparring.evaluation.protocol import check_evaluation
from sparring.messages import Note
from sparring.recipe.gan import Recipe
from sparring.run.data import RunData, load_run_data
from sparring.run.own_images import fitted_to
from sparring.run.runtime import Runtime
from sparring.study.diagnosed import WORDS as DIAGNOSES
from sparring.study.resolve import ReadyRow, Study, check_words, for_all, words_by
from sparring.training.state import build


def check_on_data(study: Study, labels: Iterable[str], note: Note) -> None:
    """Load these rows' data and build their networks without memory. Raises SparringError, in one line for all rows."""
    checker = _Checker(note)
    for_all(labels, lambda label: check_words(study, checker.words(study.rows[label]), label))


class _Checker:
    """Checks rows one after the other; rows on the same images share them."""

    def __init__(self, note: Note):
        self.note = note
        self._images: tuple[str, Any] = ("", None)
        self._measured: dict[str, tuple[str, ...]] = {}

    def words(self, row: ReadyRow) -> tuple[str, ...]:
        """The words of the metrics that a row will be measured by. Raises SparringError where it cannot be trained."""
        if row.kind == "gan":
            diagnosed = [word for word in row.words if word.partition(".")[0] in DIAGNOSES]
            return (*self._gan(Recipe.load(row.recipe)), *diagnosed)
        if row.kind == "classifier":
            recipe = ClassifierRecipe.load(row.recipe)
            parts = [row.recipe[key] for key in ("data", "test", "negatives", "probes", "validation")]
            train = self._loaded(parts, lambda: load_classifier_data(recipe, self.note)).train
            check_parts(recipe, train.num_classes, train.size, train.channels, self.note)
        return row.words

    def _gan(self, recipe: Recipe) -> tuple[str, ...]:
        values = recipe.to_dict()
        parts = [values[key] for key in ("data", "negatives", "unlabelled")]
        data = self._loaded(parts, lambda: load_run_data(recipe, self.note))
        recipe = fitted_to(recipe, data.real, (), self.note)
        meta = Runtime(torch.device("meta"))
        kept = {"negatives": data.negatives, "unlabelled": data.unlabelled}
        generator = build(recipe, data.real, **kept, runtime=meta, note=self.note).generator
        key = json.dumps([parts, values["evaluation"], values["generator"]["network"]], sort_keys=True)
        if key not in self._measured:
            self._measured[key] = _measured_by(recipe, data, generator)
        return self._measured[key]

    def _loaded(self, parts: Any, load: Callable[[], Any]) -> Any:
        key = json.dumps(parts, sort_keys=True)
        if self._images[0] != key:
            self._images = (key, load())
        return self._images[1]


def _measured_by(recipe: Recipe, data: RunData, generator: nn.Module) -> tuple[str, ...]:
    evaluation = recipe.evaluation
    if evaluation is None or check_evaluation(data, evaluation, generator) is not None:
        return ()
    extractor = extractor_for(evaluation.extractor, data.real)
    assert extractor is not None  # check_evaluation would have said so
    usual = usual_metrics(extractor, evaluation.n, evaluation.is_splits, classes=data.real.class_names)
    return words_by(evaluation.metrics or usual)
