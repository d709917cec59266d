"""`load` and `pack`: names, options, and errors for missing sources."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import levels, pixels, write_folder, write_zip

from sparring.data import load, pack, splits_of
from sparring.errors import SparringError

SPLITS = {"train/a/0.png": 1, "train/b/0.png": 2, "test/a/0.png": 3}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("gone/set", r"there is no file or folder 'gone/set': check source"),
        ("gone.zip", r"there is no file or folder 'gone\.zip': check source"),
        (Path("gone"), "there is no file or folder 'gone', nor a data set of that name"),
        ("cifar", r"nor a data set of that name: did you mean 'cifar10+'\?"),
        ("fashion-mnist-10", r"did you mean 'fashion-mnist-10k'\?"),
        ("noise:norml", r"there is no noise 'noise:norml': did you mean 'normal'\?"),
        ("noise:normal:many", "'noise:normal:many' does not end in a number of images: write 'noise:normal:10000'"),
        ("noise:normal:0", "does not end in a number of images"),
        ("", "the name of the images is empty: give a folder, a file or a data set"),
        (" ", "the name of the images is empty"),
        ("noise:normal", r"'noise:normal' needs a size: set size, e\.g\. size=32"),
    ],
)
def test_a_missing_source(source, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SparringError, match=message) as caught:
        load(source)
    assert "\n" not in str(caught.value)


def test_a_single_file_is_not_a_source(tmp_path):
    write_folder(tmp_path, {"0.png": 1, "0.txt": b""})
    for name in ("0.png", "0.txt"):
        with pytest.raises(
            SparringError,
            match=r"is neither a folder, a \.zip, an \.npz nor a \.csv of paths: put single images into a folder",
        ):
            load(tmp_path / name)


@pytest.mark.parametrize("size", [0, -1, 1.5, "32", True])
def test_an_impossible_size(size):
    with pytest.raises(SparringError, match=r"size is the side of the images in pixels, from 1 to 16384, got"):
        load("noise:normal", size=size)


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_impossible_channels(channels):
    with pytest.raises(SparringError, match=rf"channels is 1 \(grey\) or 3 \(colour\), got {channels}"):
        load("noise:normal", size=8, channels=channels)


def test_a_file_takes_precedence_over_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "cifar10", {"0.png": 5})
    assert levels(load("cifar10")) == [5]


def test_the_home_folder_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_zip(tmp_path / "a.ZIP", {"0.png": 5})
    assert levels(load("~/a.ZIP")) == [5]


def test_noise_by_name():
    data = load("noise:uniform:7", size=4, channels=1)
    assert data.images.shape == (7, 1, 4, 4) and data.name == "noise:uniform" and data.labels is None
    assert load("noise:normal", size=2).images.shape == (10_000, 3, 2, 2)


@pytest.mark.parametrize("kind", ["", ".zip", ".npz"])
def test_a_named_folder_is_in_the_users_data_folder(tmp_path, monkeypatch, notes, kind):
    monkeypatch.setenv("SPARRING_DATA", str(tmp_path / "here"))
    (tmp_path / "here").mkdir()
    place = tmp_path / "here" / f"faces{kind}"
    if kind == "":
        write_folder(place, SPLITS)
    elif kind == ".zip":
        write_zip(place, SPLITS)
    else:
        np.savez(place, images=np.stack([pixels([1]), pixels([2])]))
    assert levels(load("folder:faces", note=notes.append)) == [1, 2]
    assert load("folder:faces").name == "faces"
    if kind != ".npz":
        assert levels(load("folder:faces", split="test")) == [3] and splits_of("folder:faces") == ("test", "train")
    assert levels(load("folder:faces", root=tmp_path / "here")) == [1, 2]
    monkeypatch.delenv("SPARRING_DATA")
    with pytest.raises(SparringError, match=r"called 'faces' in '.*torchvision'"):
        load("folder:faces")


def test_a_missing_named_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARRING_DATA", str(tmp_path))
    for name in ("faces", ""):
        with pytest.raises(
            SparringError, match=rf"images called '{name}' in '{tmp_path}' \(SPARRING_DATA.*source='PATH'"
        ):
            load(f"folder:{name}")


def test_splits_of_a_source_without_splits(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((1, 2, 2), np.uint8))
    for source in (tmp_path / "a.npz", tmp_path / "gone", "cifar10", torch.zeros(1)):
        assert splits_of(source) == ()
    assert splits_of(write_folder(tmp_path / "flat", {"0.png": 1})) == ()
    (tmp_path / "empty").mkdir()
    assert splits_of(tmp_path / "empty") == ()
    assert splits_of("fashion-mnist-10k") == ("train", "test")


def test_pack_writes_one_file_that_loads_the_same(source_of, tmp_path, notes):
    source = source_of({**SPLITS, "train/b/1.png": b"bad"})
    path = pack(source, tmp_path / "out.npz", classes="b", size=4, channels=3, skip_unreadable=True, note=notes.append)
    assert path == tmp_path / "out.npz" and len(notes) == 2
    data = load(path)
    assert (levels(data), data.class_names, data.split, data.images.shape) == ([2], ("b",), "train", (1, 3, 4, 4))
    assert [name for name in os.listdir(tmp_path) if name.startswith(".")] == []


def test_pack_finds_a_name(source_of, tmp_path, monkeypatch):
    source = source_of(SPLITS)
    monkeypatch.chdir(tmp_path)
    assert pack(source) == Path("images-train.npz")
    assert pack(source, split="test") == Path("images-test.npz")
    assert levels(load("images-test.npz")) == [3]
    assert pack("noise:uniform:2", size=2) == Path("noise-uniform.npz")
    umask = os.umask(0)
    os.umask(umask)
    assert Path("images-train.npz").stat().st_mode & 0o777 == 0o666 & ~umask


def test_pack_overwrites_nothing(source_of, tmp_path):
    source = source_of(SPLITS)
    (tmp_path / "out.npz").write_text("precious")
    with pytest.raises(SparringError, match=r"out\.npz' exists already: remove it, or choose another name with --out"):
        pack(source, tmp_path / "out.npz")
    assert (tmp_path / "out.npz").read_text() == "precious"
    with pytest.raises(SparringError, match=r"packed files end in \.npz, got '.*out\.zip'"):
        pack(source, tmp_path / "out.zip")
    with pytest.raises(SparringError, match=r"there is no folder '.*gone' for 'out\.npz': make it first"):
        pack(source, tmp_path / "gone" / "out.npz")


def test_a_full_disk_leaves_no_half_packed_file(source_of, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    source = source_of(SPLITS)
    monkeypatch.setattr(os, "fsync", full)
    (tmp_path / "out").mkdir()
    with pytest.raises(SparringError, match=r"cannot write .*out\.npz: No space left on device; "):
        pack(source, tmp_path / "out" / "out.npz", cache=False)
    assert os.listdir(tmp_path / "out") == []
