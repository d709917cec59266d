"""A csv file of paths, classes and splits."""

from __future__ import annotations

from pathlib import Path

import pytest
from pictures import levels, write_folder

from sparring.data import load, splits_of
from sparring.errors import SparringError

FILES = {"a/0.png": 1, "a/1.png": 2, "b/0.png": 3, "b/1.png": 4}


def table(tmp_path: Path, text: str) -> Path:
    write_folder(tmp_path / "data", FILES)
    path = tmp_path / "data" / "labels.csv"
    path.write_text(text)
    return path


def test_paths_and_classes_without_a_header(tmp_path: Path) -> None:
    data = load(table(tmp_path, "b/1.png,dog\na/0.png,cat\n\nb/0.png,dog\n"))
    assert (levels(data), data.labels.tolist(), data.class_names) == ([4, 1, 3], [1, 0, 1], ("cat", "dog"))
    assert (data.split, data.name) == (None, "labels")


@pytest.mark.parametrize("header", ["label,file_name,other", "Class, Path", "category,image"])
def test_a_header_names_the_columns(tmp_path: Path, header: str) -> None:
    data = load(table(tmp_path, f"{header}\n10,a/0.png,x\n9,a/1.png\n"))
    assert (levels(data), data.labels.tolist(), data.class_names) == ([1, 2], [1, 0], ("9", "10"))


def test_without_classes(tmp_path: Path) -> None:
    data = load(table(tmp_path, "\ufefffile_name\na/1.png\nb/0.png\n"))
    assert (levels(data), data.labels, data.class_names) == ([2, 3], None, ())


def test_splits(tmp_path: Path) -> None:
    path = table(tmp_path, "path,label,split\na/0.png,x,train\na/1.png,y,Test\nb/0.png,y,train\n")
    assert splits_of(path) == ("train", "test")
    assert levels(load(path)) == [1, 3] and load(path).labels.tolist() == [0, 1]
    test = load(path, split="test")
    assert (levels(test), test.labels.tolist(), test.class_names, test.split) == ([2], [1], ("x", "y"), "test")
    with pytest.raises(SparringError, match="has no split 'val'"):
        load(path, split="val")


def test_absolute_paths_and_those_beside_the_folder(tmp_path: Path) -> None:
    path = table(tmp_path, f"{tmp_path}/data/a/0.png,x\n../other/0.png,y\n")
    write_folder(tmp_path / "other", {"0.png": 9})
    assert levels(load(path)) == [1, 9]


def test_a_changed_label_is_noticed(tmp_path: Path) -> None:
    path = table(tmp_path, "a/0.png,x\na/1.png,y\n")
    assert load(path).labels.tolist() == [0, 1]
    path.write_text("a/0.png,y\na/1.png,x\n")
    assert load(path).labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no images in"),
        ("name,score\na/0.png,1\n", "neither an image nor a column of paths"),
        ("a/0.png,x\na/9.png,y\n", r"line 2 of .* names 'a/9.png', and there is no such file"),
        ("a/0.png,x\nb,y\n", "line 2 of .* which is not an image"),
        ("a/0.png,x\na/0.png,y\n", "names 'a/0.png' again in line 2"),
        ("a/0.png,x\na/1.png\n", "some images a class and others none"),
        ("path,label\na/0.png\x00.png,x\n", "line"),
        ('a/0.png,"x\n', "not a csv file"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SparringError, match=said) as wrong:
        load(table(tmp_path, text))
    assert "\n" not in str(wrong.value)


def test_no_split_is_there_to_be_asked_for(tmp_path: Path) -> None:
    with pytest.raises(SparringError, match="has no splits"):
        load(table(tmp_path, "a/0.png,x\n"), split="test")
