"""Damaged, hostile or unusual archives and folders: each error is one line."""

from __future__ import annotations

import os
import zipfile

import pytest
from pictures import as_bytes, levels, write_folder, write_zip

from sparring.data import load
from sparring.data.tree import is_image, is_junk
from sparring.errors import SparringError

FILES = {"a/0.png": 1, "b/0.png": 2}


def test_what_counts_as_an_image_or_as_junk():
    assert all(map(is_image, ("0.png", "a/b.JPEG", "x.Jpg", "c.webp", "d.tiff", "e.ppm")))
    assert not any(map(is_image, ("png", "a.txt", "0.png.txt", "a.npz")))
    assert all(map(is_junk, (".a", "a/.b/c", "__MACOSX/a", "x/__macosx", "a/Thumbs.db", "desktop.INI")))
    assert not any(map(is_junk, ("a.b", "a/b.c", "a.b/c", "my__macosx", "thumbs.db.png", "a.")))


def test_a_truncated_zip(tmp_path):
    path = write_zip(tmp_path / "a.zip", FILES)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(
        SparringError, match=r"a\.zip' is not a complete zip file \(.*\): fetch it again, or give a folder"
    ):
        load(path)
    path.write_bytes(b"")
    with pytest.raises(SparringError, match="is not a complete zip file"):
        load(path)


@pytest.mark.parametrize("skip", [False, True])
def test_a_zip_with_a_damaged_entry_names_it(tmp_path, notes, skip):
    path = write_zip(tmp_path / "a.zip", FILES)
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo("b/0.png").header_offset + 30 + len("b/0.png") + 20
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)
    if skip:
        found = load(path, skip_unreadable=True, note=notes.append)
        assert (levels(found), found.labels.tolist(), found.class_names) == ([1], [0], ("a", "b"))
        assert notes == [f"left out 1 of 2 images of '{path}', unreadable: 'b/0.png'"]
    else:
        with pytest.raises(SparringError, match=r"cannot read image 'b/0\.png': Bad CRC-32 .*skip_unreadable=True"):
            load(path)


@pytest.mark.parametrize("name", ["../0.png", "/etc/0.png", "a/../../0.png", "C:/0.png", "c:0.png"])
def test_a_path_that_leads_outside(tmp_path, name):
    path = write_zip(tmp_path / "a.zip", {**FILES, name: 3})
    with pytest.raises(SparringError, match=r"holds a path that leads outside it, '.*0\.png': it is not a data set"):
        load(path)


def test_odd_but_harmless_paths(tmp_path):
    data = load(write_zip(tmp_path / "a.zip", {"./": b"", "./set/a..b/0.png": 1, "./set/10: d/0.png": 2}))
    assert (levels(data), data.class_names) == ([2, 1], ("10: d", "a..b"))


def test_a_password(tmp_path):
    path = write_zip(tmp_path / "a.zip", FILES)
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # where each entry's flags are
        at = data.find(signature)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(signature, at + 4)
    path.write_bytes(data)
    with pytest.raises(
        SparringError, match=r"is protected by a password \('a/0\.png'\): unpack it and give the folder"
    ):
        load(path)


def test_a_compression_method_that_python_lacks(tmp_path):
    path = write_zip(tmp_path / "a.zip", FILES)
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):  # where the first entry's method is
        data[data.find(signature) + offset] = 97
    path.write_bytes(data)
    with pytest.raises(SparringError, match=r"cannot read image 'a/0\.png': .*compression"):
        load(path)


def test_compressed_zips_are_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.png", as_bytes(5))
    assert levels(load(tmp_path / "a.zip")) == [5]


def test_links_are_followed_and_cycles_end(tmp_path):
    write_folder(tmp_path / "real", {"x/0.png": 1})
    folder = write_folder(tmp_path / "set", {"y/0.png": 2})
    os.symlink(tmp_path / "real" / "x", folder / "x")
    os.symlink(folder, folder / "y" / "round")
    data = load(folder)
    assert (levels(data), data.class_names) == ([1, 2], ("x", "y"))


def test_a_broken_link(tmp_path):
    folder = write_folder(tmp_path / "set", {"0.png": 2})
    os.symlink(tmp_path / "gone.png", folder / "1.png")
    with pytest.raises(SparringError, match=r"cannot read '.*1\.png': No such file or directory \(a broken link\?\)"):
        load(folder)
    (folder / "1.png").unlink()
    os.symlink("1.png", folder / "1.png")
    with pytest.raises(SparringError, match=r"cannot read '.*1\.png': Too many levels of symbolic links"):
        load(folder)


def test_a_folder_or_zip_without_read_permission(tmp_path, monkeypatch):
    folder, path = write_folder(tmp_path / "set", FILES), write_zip(tmp_path / "a.zip", FILES)

    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", forbidden)
    with pytest.raises(SparringError, match=r"cannot read folder '.*set/?': Permission denied"):
        load(folder)
    monkeypatch.setattr("pathlib.Path.open", forbidden)
    with pytest.raises(SparringError, match=r"cannot read '.*a\.zip': Permission denied"):
        load(path)
    monkeypatch.setattr("zipfile.ZipFile", forbidden)
    with pytest.raises(SparringError, match=r"cannot read '.*a\.zip': Permission denied"):
        load(path, cache=False)
