"""The cache: images are decoded once, and again if the source, the options or the entry have changed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import as_bytes, grey, levels, write_folder, write_zip

from sparring.data import PackedImages, cache, load, packing
from sparring.files import cache_folder

FILES = {"train/a/0.png": 1, "train/b/0.png": 2, "test/a/0.png": 3}


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of images in each decoding."""
    times: list[int] = []
    decode = packing._decode_listing

    def counting(tree, listing, *rest):
        times.append(len(listing.paths))
        return decode(tree, listing, *rest)

    monkeypatch.setattr(packing, "_decode_listing", counting)
    return times


def same(one: PackedImages, other: PackedImages) -> bool:
    labels = one.labels is other.labels is None or torch.equal(one.labels, other.labels)  # type: ignore[arg-type]
    facts = [(data.class_names, data.name, data.split, data.images.stride()) for data in (one, other)]
    return torch.equal(one.images, other.images) and labels and facts[0] == facts[1]


def entry_of(folder: Path, suffix: str) -> Path:
    (path,) = folder.glob(f"*{suffix}")
    return path


def test_the_second_time_is_the_first_again(source_of, tmp_path, decodings, notes):
    source = source_of(FILES)
    without = load(source, cache=False, note=notes.append)
    for _ in range(3):
        data = load(source, cache=tmp_path / "cache", note=notes.append)
        assert same(data, without) and data.fingerprint == without.fingerprint
        data.images.zero_()  # changes to the array must not reach the cache
    assert decodings == [2, 2]  # without cache, and once with it
    assert len(notes) == 4 and len(set(notes)) == 1  # the note about `train` appears every time


def test_images_without_labels_are_kept_too(source_of, tmp_path, decodings):
    source = source_of({"0.png": grey(1, (3, 2)), "1.png": grey(2, (3, 2))})
    assert same(load(source, cache=tmp_path / "cache"), load(source, cache=tmp_path / "cache"))
    assert decodings == [2]


def test_every_option_has_its_own_entry(source_of, tmp_path, decodings):
    source = source_of({**FILES, "train/b/1.png": b""})
    options = [
        {"skip_unreadable": True},
        {"split": "test"},
        {"split": "test", "size": 4},
        {"split": "test", "channels": 3},
        {"split": "test", "classes": "a"},
        {"split": "test", "class_order": ["b", "a"]},
        {"split": "test", "class_order": ["a", "b"]},
    ]
    for _ in range(2):
        found = [load(source, cache=tmp_path / "cache", **each) for each in options]
        assert [len(data) for data in found] == [2, 1, 1, 1, 1, 1, 1]
        assert [tuple(data.images.shape[1:]) for data in found[1:4]] == [(1, 2, 2), (1, 4, 4), (3, 2, 2)]
        assert [data.class_names for data in found[4:]] == [("a",), ("b", "a"), ("a", "b")]
    assert len(decodings) == len(options)


def test_a_changed_folder_is_decoded_again(tmp_path, decodings):
    source = write_folder(tmp_path / "set", {"a/0.png": 1, "b/0.png": 2})
    load(source)
    times = (source / "b/0.png").stat()
    (source / "b/0.png").write_bytes(as_bytes(3))  # as many bytes
    os.utime(source / "b/0.png", ns=(times.st_atime_ns, times.st_mtime_ns))  # and the old time
    assert len(as_bytes(2)) == len(as_bytes(3)) and levels(load(source)) == [1, 3]
    write_folder(source, {"b/1.png": 4})
    assert levels(load(source)) == [1, 3, 4]
    (source / "a" / "0.png").unlink()
    assert load(source).labels.tolist() == [1, 1]  # class a is empty now
    (source / "a").rmdir()
    assert load(source).labels.tolist() == [0, 0]
    write_folder(source, {"dataset.json": b'{"labels": [["b/0.png", 5], ["b/1.png", 6]]}'})
    assert load(source).labels.tolist() == [5, 6]
    assert len(decodings) == 6


def test_a_changed_zip_is_decoded_again(tmp_path, decodings):
    path = write_zip(tmp_path / "a.zip", {"0.png": 1})
    assert levels(load(path)) == [1]
    status = path.stat()
    write_zip(path, {"0.png": 2})
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size and levels(load(path)) == [2]
    assert decodings == [1, 1]


def test_a_changed_zip_with_the_old_time_is_detected_by_its_table_of_contents(tmp_path, monkeypatch, decodings):
    path = write_zip(tmp_path / "a.zip", {"0.png": 1})
    status = path.stat()
    assert levels(load(path)) == [1]
    write_zip(path, {"0.png": 2})
    stat = Path.stat
    monkeypatch.setattr(Path, "stat", lambda self, **options: status if self == path else stat(self, **options))
    assert levels(load(path)) == [2] and decodings == [1, 1]


def test_sources_with_the_same_name_do_not_collide(tmp_path):
    for level in (1, 2):
        (tmp_path / str(level)).mkdir()
        write_zip(tmp_path / str(level) / "set.zip", {"0.png": level})
    found = [load(tmp_path / str(level) / "set.zip", cache=tmp_path / "cache") for level in (1, 2, 1)]
    assert list(map(levels, found)) == [[1], [2], [1]]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes().rstrip()[:-1])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def flip(position: int):
    def damage(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[position] ^= 1
        path.write_bytes(data)

    return damage


def edit(**changes: object):
    def damage(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return damage


def without(field: str):
    def damage(path: Path) -> None:
        path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != field}))

    return damage


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        (".bin", cut),
        (".bin", lengthen),
        (".bin", flip(0)),
        (".bin", flip(7)),  # the last pixel
        (".bin", flip(8)),  # the first label
        (".bin", flip(-1)),
        (".bin", Path.unlink),
        (".json", Path.unlink),
        (".json", cut),
        (".json", lambda path: path.write_bytes(b"\xff\xfe")),
        (".json", lambda path: path.write_text("[]")),
        (".json", edit(shape=[2, 2, 2])),
        (".json", edit(shape=[2, -2, -2, 1])),
        (".json", edit(shape=[1, 2, 2, 2])),
        (".json", edit(shape="2,2")),
        (".json", edit(labelled=False)),
        (".json", edit(class_names=["b", "a"])),
        (".json", edit(class_names=None)),
        (".json", edit(fingerprint="0" * 32)),
        (".json", edit(format=1)),
        (".json", edit(key="0" * 32)),
        (".json", without("notes")),
    ],
)
def test_a_damaged_entry_is_rebuilt(tmp_path, decodings, suffix, damage):
    source, folder = write_folder(tmp_path / "set", {"a/0.png": 1, "b/0.png": 2}), tmp_path / "cache"
    expected = load(source, cache=folder)
    damage(entry_of(folder, suffix))
    for _ in range(2):
        assert same(load(source, cache=folder), expected)
    assert decodings == [2, 2]  # rebuilt once, then found


def test_large_arrays_are_mapped_and_give_the_same_batches(tmp_path, monkeypatch, decodings):
    source = write_folder(tmp_path / "set", {f"{i % 3}/{i}.png": i for i in range(20)})
    expected = load(source, cache=False)
    monkeypatch.setattr(cache, "MAP_ABOVE", 10)
    mapped: list[Path] = []
    map_file = cache.map_file
    monkeypatch.setattr(cache, "map_file", lambda path, *rest: (mapped.append(path), map_file(path, *rest))[1])
    for _ in range(2):
        data = load(source, cache=tmp_path / "cache")
        index = torch.tensor([19, 0, 7])
        assert same(data, expected) and torch.equal(data.batch(index)[0], expected.batch(index)[0])
    assert mapped == [entry_of(tmp_path / "cache", ".bin")] * 2 and decodings == [20, 20]


def test_memory_replaces_scratch_space_if_the_disk_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "MAP_ABOVE", 10)
    array = cache.scratch_array(tmp_path, (2, 3, 4))
    assert isinstance(array, np.memmap) and array.shape == (2, 3, 4) and not list(tmp_path.iterdir())
    array[:] = 7
    assert array.sum() == 7 * 24

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert not isinstance(cache.scratch_array(tmp_path, (2, 3, 4)), np.memmap)
    (tmp_path / "file").write_text("")
    assert not isinstance(cache.scratch_array(tmp_path / "file", (2, 3, 4)), np.memmap)


def test_a_cache_that_cannot_be_written_is_not_used(source_of, tmp_path, notes):
    (tmp_path / "file").write_text("")
    source = source_of({"0.png": 1})
    data = load(source, cache=tmp_path / "file", note=notes.append)
    assert levels(data) == [1]
    assert len(notes) == 1 and "cannot cache the decoded images in" in notes[0] and "going on without" in notes[0]


def test_a_killed_writer_leaves_no_valid_entry(tmp_path, monkeypatch, decodings):
    source = write_folder(tmp_path / "set", {"0.png": 1})
    load(source, cache=tmp_path / "cache")
    (source / "0.png").write_bytes(as_bytes(2))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cache, "write_json", killed)  # the pixels are written, their description is not
    with pytest.raises(KeyboardInterrupt):
        load(source, cache=tmp_path / "cache")
    monkeypatch.undo()
    assert levels(load(source, cache=tmp_path / "cache")) == [2]


def test_the_default_folder_is_the_users(tmp_path, source_of):
    shutil.rmtree(cache_folder() / "images", ignore_errors=True)
    load(source_of({"0.png": 1}))
    assert (
        len(list((cache_folder() / "images").glob("*.bin"))) == 1
        and cache.default_folder() == cache_folder() / "images"
    )
