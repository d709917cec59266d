"""Real archives of tens of thousands of images, if they are in ../shared/data, next to the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparring.data import load, splits_of

SHARED = Path(__file__).parents[3] / "shared" / "data"


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"../shared/data/{name} is not here")
    return path


def test_cifar10_as_jpeg(notes):
    path = shared("cifar10.zip")
    data = load(path, split="test", classes="ship", note=notes.append)
    assert (len(data), data.images.shape[1:], data.class_names) == (1_000, (3, 32, 32), ("ship",))
    assert data.labels.tolist() == [0] * 1_000 and notes == []
    assert 100 < data.images.float().mean() < 140 and data.images.float().std() > 50
    again = load(path, split="test", classes="ship", note=notes.append)
    assert again.fingerprint == data.fingerprint


def test_tiny_imagenet_in_its_own_order():
    path, order = shared("tiny-imagenet-32.zip"), shared("tiny-imagenet-classes.tsv")
    data = load(path, split="val", class_order=order, classes="0:3")  # some are grey
    lines = [line.split("\t") for line in order.read_text(encoding="utf-8").splitlines()]
    assert data.class_names == tuple(readable for _, readable in lines[:3])
    assert data.labels.bincount().tolist() == [50] * 3 and data.images.shape == (150, 3, 32, 32)


def test_fashion_mnist_in_full():
    folder = Path("/usr/share/datasets/fashion-mnist")
    if not folder.is_dir():
        pytest.skip("Debian's dataset-fashion-mnist is not installed")
    assert splits_of(folder) == ("train", "test")
    data = load(folder, split="test")
    assert data.images.shape == (10_000, 1, 28, 28) and data.labels.bincount().tolist() == [1_000] * 10
