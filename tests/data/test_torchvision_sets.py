"""torchvision's data sets by name, from tiny files in their official layout. Nothing is downloaded."""

from __future__ import annotations

import hashlib
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import colour, encoded, write_folder

from sparring.data import load, sources, torchvision_sets
from sparring.errors import SparringError

datasets = pytest.importorskip("torchvision.datasets")

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def planes(level: int) -> np.ndarray:
    """A row of a CIFAR batch: 1,024 red, then green, then blue values. The first red pixel identifies the image."""
    row = np.repeat(np.array([10, 20, 30], np.uint8), 1024)
    row[0] = level
    return row


def write_pickle(path: Path, content: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content))
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """CIFAR-10 with two images in each of five train batches and three test images."""
    folder = tmp_path / "cifar-10-batches-py"
    train, test = [], []
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        count = 3 if name == "test_batch" else 2
        first = 100 if name == "test_batch" else 2 * int(name[-1]) - 2
        batch = {
            "data": np.stack([planes(first + i) for i in range(count)]),
            "labels": [(first + i) % 10 for i in range(count)],
        }
        (test if name == "test_batch" else train).append([name, write_pickle(folder / name, batch)])
    monkeypatch.setattr(datasets.CIFAR10, "train_list", train)
    monkeypatch.setattr(datasets.CIFAR10, "test_list", test)
    meta = {**datasets.CIFAR10.meta, "md5": write_pickle(folder / "batches.meta", {"label_names": NAMES})}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    return tmp_path


@pytest.mark.parametrize("name", ["cifar10", "CIFAR10", "torchvision:CIFAR10", "torchvision:cifar10"])
def test_cifar10_is_taken_from_its_official_files(cifar, notes, name):
    data = load(name, root=cifar, note=notes.append)
    assert data.images[:, 0, 0, 0].tolist() == list(range(10)) and data.labels.tolist() == list(range(10))
    assert data.images.shape == (10, 3, 32, 32) and data.images[3, :, 5, 6].tolist() == [10, 20, 30]
    assert (data.class_names, data.name, data.split) == (tuple(NAMES), "CIFAR10", "train")
    assert notes == ["torchvision's CIFAR10 has splits: taking 'train'"]


def test_cifar10s_test_split_and_options(cifar, notes):
    assert load("cifar10", root=cifar, split="test").images[:, 0, 0, 0].tolist() == [100, 101, 102]
    data = load("cifar10", root=cifar, split="test", classes="bird", size=16, channels=1, note=notes.append)
    assert data.images.shape == (1, 1, 16, 16) and data.labels.tolist() == [0] and notes == []
    with pytest.raises(SparringError, match="torchvision's CIFAR10 has no split 'val', only train, test"):
        load("cifar10", root=cifar, split="val")


def test_svhn_is_taken_from_its_official_files(tmp_path, monkeypatch):
    io = pytest.importorskip("scipy.io")
    pixels = np.zeros((32, 32, 3, 4), np.uint8)  # MATLAB's layout: images last
    pixels[0, 1, 2] = [5, 6, 7, 8]
    splits = {}
    for split in ("train", "test", "extra"):
        path = tmp_path / f"{split}_32x32.mat"
        io.savemat(path, {"X": pixels, "y": np.array([[1], [10], [9], [10]], np.uint8)})
        splits[split] = ["", path.name, hashlib.md5(path.read_bytes()).hexdigest()]
    monkeypatch.setattr(datasets.SVHN, "split_list", splits)
    data = load("svhn", root=tmp_path)
    assert data.images.shape == (4, 3, 32, 32) and data.images[:, 2, 0, 1].tolist() == [5, 6, 7, 8]
    assert (data.labels.tolist(), data.class_names, data.num_classes) == ([1, 0, 9, 0], (), 10)
    assert load("svhn", root=tmp_path, split="extra").split == "extra"
    with pytest.raises(SparringError, match=r"torchvision refuses SVHN with split 'val': .*'train', 'test', 'extra'"):
        load("svhn", root=tmp_path, split="val")


def test_a_set_without_an_array_is_read_image_by_image(tmp_path):
    write_folder(
        tmp_path, {"a/0.png": colour(1, 2, 3), "b/0.png": colour(4, 5, 6), "b/1.jpg": encoded(colour(9, 9, 9))}
    )
    data = load("torchvision:ImageFolder", root=tmp_path)
    assert data.images[:, 0, 0, 0].tolist() == [1, 4, 9]
    assert (data.labels.tolist(), data.class_names) == ([0, 1, 1], ("a", "b"))
    with pytest.raises(SparringError, match=r"torchvision's ImageFolder has no splits, so no 'test': leave split out"):
        load("torchvision:ImageFolder", root=tmp_path, split="test")


def test_nothing_is_downloaded_unless_requested(cifar, monkeypatch):
    fetched: list[str] = []
    monkeypatch.setattr(datasets.CIFAR10, "download", lambda self: fetched.append(self.root))
    load("cifar10", root=cifar)
    assert fetched == []
    load("cifar10", root=cifar, download=True)
    assert fetched == [str(cifar)]


def test_the_error_for_missing_files_names_both_solutions(tmp_path):
    with pytest.raises(SparringError) as caught:
        load("cifar10", root=tmp_path)
    message = str(caught.value)
    assert message.startswith(f"torchvision finds no CIFAR10 under '{tmp_path}' (Dataset not found or corrupted.")
    assert "set SPARRING_DATA to the folder" in message and "download=True" in message and "\n" not in message


def test_the_root_is_the_users(cifar, monkeypatch, tmp_path):
    monkeypatch.setenv("SPARRING_DATA", str(cifar))
    assert len(load("cifar10")) == 10
    monkeypatch.delenv("SPARRING_DATA")
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path / "cache"))
    assert torchvision_sets.default_root() == tmp_path / "cache" / "torchvision"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CIFAR", r"torchvision has no data set 'CIFAR': did you mean 'CIFAR10+'\?"),
        ("wrap_dataset_for_transforms_v2", "torchvision has no data set 'wrap"),
        ("VOCDetection", "torchvision finds no VOCDetection"),
        ("FakeData", "torchvision refuses FakeData with split 'train'"),
    ],
)
def test_sets_that_are_unknown_or_need_other_packages(name, message, tmp_path):
    with pytest.raises(SparringError, match=message):
        load(f"torchvision:{name}", root=tmp_path)


def test_without_torchvision_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    with pytest.raises(SparringError, match=r"need torchvision: pip install 'sparring\[torchvision\]'"):
        load("cifar10")


def test_a_package_that_torchvision_needs_is_named(monkeypatch, tmp_path):
    def reading(*_: Any, **__: Any) -> None:
        raise ModuleNotFoundError("No module named 'scipy'", name="scipy")

    monkeypatch.setattr(datasets.SVHN, "__init__", reading)
    with pytest.raises(SparringError, match="torchvision's SVHN needs scipy: pip install scipy"):
        load("svhn", root=tmp_path)


def test_every_bare_name_is_one_of_torchvisions():
    assert all(hasattr(datasets, name) for name in torchvision_sets.BARE_NAMES.values())
    assert sources.embedded.NAME not in torchvision_sets.BARE_NAMES
