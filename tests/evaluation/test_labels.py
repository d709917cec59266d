"""Which classes a conditional generator is asked for while it is measured."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import sparring
from sparring.data.classes import turns_at
from sparring.data.packed import PackedImages
from sparring.errors import SparringError
from sparring.evaluation.accuracies import run_accuracies
from sparring.evaluation.evaluate import evaluate_pair, evaluate_run
from sparring.evaluation.image_set import of_images
from sparring.evaluation.labels import turns_for
from sparring.run.generator import sampler_of
from sparring.run.saved import load_generator
from tiny import tiny_images, tiny_recipe


def imbalanced(names=("a", "b", "c"), counts=(24, 12, 4)):
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    return PackedImages(tiny_images().images[: len(labels)], labels, names, name="imbalanced")


def asked(real, names=("a", "b", "c"), wanted="data", notes=None):
    turns, said = turns_for(len(names), names, of_images(real), wanted, (notes if notes is not None else []).append)
    return torch.bincount(turns_at(turns, 0, 40), minlength=len(names)).tolist(), said


def test_shares_are_those_of_the_real_images_by_name():
    assert asked(imbalanced()) == ([24, 12, 4], "data")
    assert asked(imbalanced(), wanted="uniform") == ([14, 13, 13], "uniform")
    assert asked(imbalanced(("c", "a", "b"))) == ([12, 4, 24], "data")
    assert asked(imbalanced(())) == ([24, 12, 4], "data")  # by number
    notes = []
    assert asked(imbalanced(("a", "x", "c")), notes=notes) == ([35, 0, 5], "data")
    assert notes == ["12 of 40 real images are of classes that the generator does not have"]
    for real in (imbalanced(("x", "y", "z")), dataclasses.replace(imbalanced(), labels=None, class_names=())):
        notes = []
        assert asked(real, notes=notes) == ([14, 13, 13], "uniform") and "equal shares" in notes[0]
    drawn = of_images(imbalanced(), 10, seed=3)  # the whole set's shares, whichever images are drawn
    assert turns_at(turns_for(3, ("a", "b", "c"), drawn)[0], 0, 40).bincount().tolist() == [24, 12, 4]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    recipe = tiny_recipe(steps=1, checkpoint_every=1)
    recipe["generator"]["network"]["conditioning"] = "conditional_batch_norm"
    recipe["discriminator"]["conditioning"] = "projection"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sparring.report.html.write_report", lambda folder: None)
        return sparring.train(recipe, out=tmp_path_factory.mktemp("labels") / "run", data=imbalanced()).folder


class Levels:
    """Two features of an image: its mean level and its first pixel."""

    name, weights_sha256, resize, dimensions, class_names = "levels", None, "none", 2, None

    def __call__(self, images):
        from sparring.evaluation.extractors.base import Features

        x = images.float()
        return Features(torch.stack([x.mean((1, 2, 3)), x[:, 0, 0, 0]], 1), None)


def test_samples_depend_on_their_index_alone_and_records_say_which_labels_they_had(run):
    saved = load_generator(run)
    turns, _ = turns_for(3, saved.class_names, of_images(imbalanced()))
    whole = sampler_of(saved.module, saved.latent_size, 3, seed=0, turns=turns)(0, 130)
    parts = sampler_of(saved.module, saved.latent_size, 3, seed=0, turns=turns)
    assert torch.equal(torch.cat([parts(0, 37), parts(37, 63), parts(100, 30)]), whole)
    assert torch.equal(saved.sample(130, labels=turns_at(turns, 0, 130)), whole)

    options = {"extractor": Levels(), "metrics": ("fd", "intra"), "n": 40}
    in_shares, by_class = evaluate_pair(run, imbalanced(), **options)
    assert in_shares["labels"] == "data" and by_class["n_per_class"] == [[24, 12, 4], [24, 12, 4]]
    uniform, by_class = evaluate_pair(run, imbalanced(), labels="uniform", **options)
    assert uniform["labels"] == "uniform" and uniform["value"] != in_shares["value"]
    assert by_class["n_per_class"][0] == [14, 13, 13] or by_class["n_per_class"][1] == [14, 13, 13]
    (of_data,) = evaluate_pair(imbalanced(), imbalanced(), extractor=Levels(), metrics=("fd",))
    assert of_data["labels"] is None
    with pytest.raises(SparringError, match="only a generator can be given classes: leave --labels out"):
        evaluate_pair(imbalanced(), imbalanced(), labels="data", extractor=Levels())
    with pytest.raises(SparringError, match="labels must be data or uniform, got 'even'"):
        evaluate_pair(run, imbalanced(), labels="even", extractor=Levels())


def test_accuracies_have_them_too(run, monkeypatch):
    monkeypatch.setattr("sparring.run.data.load_data", lambda data, note, given=None: imbalanced())
    generated = [r for r in run_accuracies(run, n=40) if r["of"] == "generated"]
    assert generated and {r["labels"] for r in generated} == {"data"}
    records = evaluate_run(run, {}, {"metrics": "accuracies", "labels": "uniform", "n": 40})
    assert {r["labels"] for r in records if r["of"] == "generated"} == {"uniform"}
