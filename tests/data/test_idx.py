"""MNIST's idx format, byte by byte."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from sparring.data import load, read_idx, splits_of
from sparring.errors import SparringError

IMAGES = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2, 2, 3) + bytes(range(12))
ZIPPED = gzip.compress(IMAGES, mtime=0)  # without the time, so that the tests have the same names in every process


def write_official(folder: Path, *, splits: tuple[str, ...] = ("train", "t10k"), gz: bool = False) -> Path:
    """The official files. Images of the train split have levels 0 to 11, those of the test split 100 to 111."""
    folder.mkdir()
    for split in splits:
        first = {"train": 0, "t10k": 100}[split]
        images = IMAGES[:16] + bytes(range(first, first + 12))
        labels = bytes([0, 0, 8, 1]) + struct.pack(">I", 2) + bytes([7, first // 50])
        for name, data in ((f"{split}-images-idx3-ubyte", images), (f"{split}-labels-idx1-ubyte", labels)):
            (folder / f"{name}{'.gz' if gz else ''}").write_bytes(gzip.compress(data) if gz else data)
    return folder


@pytest.mark.parametrize("encode", [bytes, gzip.compress])
def test_values_and_shape(tmp_path, encode):
    (tmp_path / "images").write_bytes(encode(IMAGES))
    found = read_idx(tmp_path / "images")
    assert found.dtype == np.uint8 and found.tolist() == [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]
    found += 1  # the caller owns the array
    (tmp_path / "labels").write_bytes(encode(bytes([0, 0, 8, 1, 0, 0, 1, 2]) + bytes(258)))
    assert read_idx(str(tmp_path / "labels")).shape == (258,)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"is not an idx file of bytes: it starts with , not 00 00 08 0n"),
        (b"text of a kind", "it starts with 74 65 78 74"),
        (bytes([0, 0, 13, 1]) + IMAGES[4:], "it starts with 00 00 0d 01"),  # floats
        (bytes([0, 0, 8, 0]), "it starts with 00 00 08 00"),
        (bytes([0, 0, 8, 9]), "it starts with 00 00 08 09"),
        (IMAGES[:-1], r"is damaged: 11 values for shape \[2, 2, 3\]"),
        (IMAGES + b"\0", r"is damaged: more than 12 values for shape \[2, 2, 3\]"),
        (IMAGES[:10], "is damaged"),
        (ZIPPED[:-9], "cannot read idx file"),
        (ZIPPED[:15] + b"\xff\xff\xff" + ZIPPED[18:], "cannot read idx file"),
    ],
)
def test_other_files_are_refused(tmp_path, data, message):
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(SparringError, match=message):
        read_idx(tmp_path / "a")


def test_a_missing_file(tmp_path):
    with pytest.raises(SparringError, match=r"cannot read idx file '.*gone': .*No such file"):
        read_idx(tmp_path / "gone")


@pytest.mark.parametrize("gz", [False, True])
def test_a_folder_of_the_official_files_is_a_source(tmp_path, notes, gz):
    folder = write_official(tmp_path / "digits", gz=gz)
    data = load(folder, note=notes.append)
    assert data.images.flatten().tolist() == list(range(12)) and data.images.shape == (2, 1, 2, 3)
    assert (data.labels.tolist(), data.split, data.name) == ([7, 0], "train", "digits")
    assert notes == [f"'{folder}' has splits: taking 'train' (it also has test)"]
    test = load(folder, split="test", note=notes.append)
    assert (test.images.flatten().tolist(), test.labels.tolist()) == (list(range(100, 112)), [7, 2])
    assert splits_of(folder) == ("train", "test") and len(notes) == 1
    assert load(folder, split="test", classes="7", size=2, channels=3).images.shape == (1, 3, 2, 2)
    with pytest.raises(SparringError, match=r"has no split 'val', only train, test"):
        load(folder, split="val")


def test_a_folder_with_one_split(tmp_path):
    folder = write_official(tmp_path / "digits", splits=("t10k",))
    with pytest.raises(SparringError, match=r"has no split 'train', only test: choose one, e\.g\. split='test'"):
        load(folder)
    assert load(folder, split="test").labels.tolist() == [7, 2]


def test_images_and_labels_that_do_not_match(tmp_path):
    folder = write_official(tmp_path / "digits")
    (folder / "train-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3]))
    with pytest.raises(
        SparringError, match=r"labels of 'digits' must be integers \[2\], one for each image, got .* \[3\]"
    ):
        load(folder)
