"""The images that ship with the package never change, nor does their split."""

from __future__ import annotations

import gzip
import runpy
import shutil
import sys
from pathlib import Path

import pytest
import torch

from sparring.data import embedded, load, read_idx
from sparring.errors import SparringError

FINGERPRINTS = {
    "train": "f2dec146c6486dc0c9e2c85b66961398",
    "test": "d0acaa4c8249e14ec6b8946b0bd82ab3",
}  # recorded by every run on this data; a change would make earlier numbers incomparable


@pytest.mark.parametrize(("split", "per_class"), [("train", 800), ("test", 200)])
def test_the_content_of_each_split(split, per_class):
    data = load("fashion-mnist-10k", split=split)
    assert data.fingerprint == FINGERPRINTS[split] == embedded.FINGERPRINTS[split]
    assert data.images.shape == (10 * per_class, 1, 32, 32)
    assert data.labels.bincount().tolist() == [per_class] * 10
    assert data.class_names == embedded.CLASS_NAMES and data.class_names[9] == "ankle boot"
    assert (data.name, data.split) == ("fashion-mnist-10k", split)


def test_the_splits_share_no_image_and_leave_none_out():
    labels = torch.from_numpy(read_idx(Path(embedded.__file__).parent / "t10k-labels-idx1-ubyte.gz")).long()
    rows = embedded.split_rows(labels)
    assert torch.cat(list(rows.values())).sort().values.tolist() == list(range(10_000))
    assert all(part.tolist() == sorted(part.tolist()) for part in rows.values())


def test_two_black_pixels_are_added_on_each_side():
    original = read_idx(Path(embedded.__file__).parent / "t10k-images-idx3-ubyte.gz")[:50]
    padded = embedded.pad_to_32(original)
    assert torch.equal(padded[:, 0, 2:30, 2:30], torch.from_numpy(original))
    assert padded.sum() == original.sum()


def test_train_is_the_default_and_a_note_says_so(notes):
    assert len(load("fashion-mnist-10k", note=notes.append, classes="bag, sandal")) == 1600
    assert notes == ["'fashion-mnist-10k' has splits: taking 'train' (it also has test)"]
    with pytest.raises(SparringError, match="'fashion-mnist-10k' has no split 'val', only train, test"):
        load("fashion-mnist-10k", split="val")


def test_other_sizes_and_channels():
    data = load("fashion-mnist-10k", split="test", classes=[0], size=16, channels=3)
    assert data.images.shape == (200, 3, 16, 16) and torch.equal(data.images[:, 0], data.images[:, 2])


def test_the_licence_ships_with_the_package():
    notice = (Path(__file__).parents[2] / "THIRD_PARTY.md").read_text()
    for sentence in ("2017, Zalando SE", "Permission is hereby granted, free of charge", 'PROVIDED "AS IS"'):
        assert sentence in notice


def run_script(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    script = Path(__file__).parents[2] / "scripts" / "make_embedded_data.py"
    monkeypatch.setattr(sys, "argv", [str(script), *map(str, words)])
    runpy.run_path(str(script), run_name="__main__")


def test_the_script_copies_files_with_the_right_content(tmp_path, monkeypatch):
    run_script(monkeypatch, "--data", embedded.FOLDER, "--out", tmp_path / "out")
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        assert (tmp_path / "out" / name).read_bytes() == (embedded.FOLDER / name).read_bytes()


def test_the_script_refuses_other_images(tmp_path, monkeypatch, capsys):
    images = read_idx(embedded.FOLDER / "t10k-images-idx3-ubyte.gz")
    images[9_999, 0, 0] ^= 1
    header = bytes([0, 0, 8, 3, 0, 0, 39, 16, 0, 0, 0, 28, 0, 0, 0, 28])
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + images.tobytes(), 1))
    shutil.copy(embedded.FOLDER / "t10k-labels-idx1-ubyte.gz", tmp_path)
    with pytest.raises(SystemExit, match="2"):
        run_script(monkeypatch, "--data", tmp_path, "--out", tmp_path / "out")
    assert "wrong images" in capsys.readouterr().err and not (tmp_path / "out").exists()
