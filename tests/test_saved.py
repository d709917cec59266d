"""Files saved by an earlier commit can be loaded, resumed and sampled. tests/saved/make.py wrote them."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import sparring
from sparring.classify.run import ClassifierRun
from sparring.files import read_rows
from sparring.run.checkpoint import CheckpointFolder
from sparring.training.run import Run
from tiny import without_times

SAVED = Path(__file__).parent / "saved"
LABELS = [0, 1, 2, 0, 1, 2]


@pytest.fixture(scope="module")
def expected():
    with np.load(SAVED / "expected.npz") as arrays:
        return dict(arrays)


@pytest.fixture
def saved(tmp_path, monkeypatch, without_reports):
    """Put the runs and their images into the current folder."""
    with zipfile.ZipFile(SAVED / "runs.zip") as archive:
        archive.extractall(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sparring.classify.run.write_classifier_report", lambda *_: None)  # for speed, too


def same_images(images, expected):
    """Compare up to one level, because other processors add in another order."""
    assert images.shape == expected.shape and images.dtype == torch.uint8
    assert np.abs(images.numpy().astype(int) - expected.astype(int)).max() <= 1


def same_logits(folder, expected):
    with np.load("images.npz") as arrays:
        pixels = torch.from_numpy(arrays["images"]).reshape(30, 1, 8, 8)
    logits = sparring.load_classifier(folder).logits(pixels).numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_the_expected_outputs_change_when_runs_continue(expected):
    """Otherwise a run that was not resumed at all would pass."""
    assert np.abs(expected["sample 3"].astype(int) - expected["sample 5"]).max() > 5
    assert np.abs(expected["logits 3"] - expected["logits 5"]).max() > 1e-2


def test_a_generator_is_loaded_and_sampled(saved, expected):
    same_images(Run("gan").sample(6, labels=LABELS), expected["sample 3"])
    Path("alone").mkdir()
    for name in ("generator.safetensors", "generator.json"):
        shutil.copy(f"gan/{name}", "alone")
    alone = sparring.load("alone/generator.safetensors")
    same_images(alone.sample(6, labels=LABELS), expected["sample 3"])
    assert (alone.num_classes, alone.class_names) == (3, ("a", "b", "c"))


def test_a_gans_run_is_shown_and_resumes_exactly(saved, expected):
    assert Run("gan").recipe.step is None and Run("gan").recipe.objective.terms.keys() == {"hinge", "lecam", "sdp"}
    assert sparring.show("gan")["name"] == "saved-gan"
    before = without_times(Path("gan/log.jsonl"))
    run = sparring.train("gan", {"steps": 5}, resume=True)
    assert without_times(Path("gan/log.jsonl"))[:3] == before and [row["step"] for row in run.log] == [1, 2, 3, 4, 5]
    assert CheckpointFolder(Path("gan/checkpoints")).steps() == [3, 5]
    same_images(run.sample(6, labels=LABELS), expected["sample 5"])


def test_a_classifier_is_loaded_and_its_results_are_read(saved, expected):
    run = ClassifierRun("classifier")
    same_logits(run, expected["logits 3"])
    assert run.recipe.name == "saved-classifier" and run.recipe.negatives.range == (1, 2)
    assert set(run.results) == {"nat"} and sparring.show(run)["recipe"]["steps"] == 3
    assert run.classifier.threshold == run.results["nat"]["threshold"] > 0


def test_a_killed_classifiers_run_resumes_exactly(saved, expected):
    run = sparring.train_classifier("killed", resume=True)
    assert [row["step"] for row in read_rows(Path("killed/log.jsonl"))] == [1, 2, 3, 4, 5]
    same_logits(run, expected["logits 5"])


def test_a_run_starts_from_a_saved_one(saved):
    run = sparring.train("gan", {"name": "next"}, start_from="gan", out="next")
    assert run.recipe.start_from == "gan" and [row["step"] for row in run.log] == [1, 2, 3]
