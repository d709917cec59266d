"""Tiny images, tiny classifiers, one thread."""

import sys
from pathlib import Path

import pytest
import torch

from sparring.classify.recipe import ClassifierRecipe
from sparring.classify.run import train_classifier

sys.path.insert(0, str(Path(__file__).parent))
from tiny_classifiers import CHANGES, TINY, given, pictures


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def positives():
    return pictures(20)


@pytest.fixture
def tested():
    return pictures(8, seed=1, split="test")


@pytest.fixture
def negatives():
    return pictures(24, ("bottom",), seed=2)


@pytest.fixture
def recipe():
    """recipe(key=value, ...): the tiny recipe with some keys changed."""
    return lambda **changes: ClassifierRecipe.load(TINY, changes)


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A tiny run, trained once for all tests that read it."""
    torch.set_num_threads(1)
    return train_classifier(TINY, CHANGES, out=tmp_path_factory.mktemp("runs") / "tiny", **given())


@pytest.fixture
def without_report(monkeypatch):
    """Drawing a report takes longer than all else that a tiny run does."""
    monkeypatch.setattr("sparring.classify.run.write_classifier_report", lambda *arguments: None)


@pytest.fixture(scope="session")
def pixels():
    return pictures(2, seed=7).images
