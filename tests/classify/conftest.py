"""Tiny images, tiny classifiers, one thread."""

import sys
from pathlib import Path

import pytest
import torch

from sparring.classify.recipe import ClassifierRecipe

sys.path.insert(0, str(Path(__file__).parent))
from tiny_classifiers import TINY, pictures


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
