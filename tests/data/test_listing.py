"""Layouts: classes, splits, dataset.json, enclosing folders, junk. Each is tested as a folder and as a zip file."""

from __future__ import annotations

import json

import pytest
from pictures import levels, write_folder, write_zip

from sparring.data import load, splits_of
from sparring.errors import SparringError

SPLITS = {
    "train/cat/0.png": 1,
    "train/dog/0.png": 2,
    "train/dog/1.png": 3,
    "val/cat/0.png": 4,
    "test/dog/0.png": 5,
    "test/cat/0.png": 6,
}


def labels_file(*entries: object) -> bytes:
    return json.dumps({"labels": list(entries)}).encode()


def test_flat_images_have_no_labels(source_of):
    data = load(source_of({"b.png": 2, "a.png": 1, "c.PNG": 3}))
    assert levels(data) == [1, 2, 3]
    assert (data.labels, data.class_names, data.num_classes, data.split, data.name) == (None, (), 0, None, "images")


def test_folders_are_classes_in_alphabetical_order(source_of):
    data = load(source_of({"dog/0.png": 1, "cat/1.png": 2, "cat/0.png": 3, "ape/deep/er/0.png": 4}))
    assert (levels(data), data.labels.tolist()) == ([4, 3, 2, 1], [0, 1, 1, 2])
    assert data.class_names == ("ape", "cat", "dog")


def test_an_empty_class_keeps_its_number_and_is_mentioned(source_of, notes):
    source = source_of({"a/0.png": 1, "b": None, "c/0.png": 2})
    data = load(source, note=notes.append)
    assert (data.labels.tolist(), data.class_names) == ([0, 2], ("a", "b", "c"))
    assert notes == [f"'{source}': class folders without images: b"]


def test_train_is_the_default_and_a_note_says_so(source_of, notes):
    source = source_of(SPLITS)
    data = load(source, note=notes.append)
    assert (levels(data), data.labels.tolist(), data.split) == ([1, 2, 3], [0, 1, 1], "train")
    assert notes == [f"'{source}' has splits: taking 'train' (it also has test, val)"]
    assert splits_of(source) == ("test", "train", "val")


@pytest.mark.parametrize(
    ("split", "expected", "named"),
    [
        ("train", [1, 2, 3], "train"),
        ("val", [4], "val"),
        ("validation", [4], "val"),
        ("valid", [4], "val"),
        ("test", [6, 5], "test"),
        ("TEST", [6, 5], "test"),
    ],
)
def test_a_requested_split_is_used_without_a_note(source_of, notes, split, expected, named):
    data = load(source_of(SPLITS), split=split, note=notes.append)
    assert (levels(data), data.split, notes) == (expected, named, [])


def test_a_missing_split_names_those_that_exist(source_of):
    source = source_of({name: level for name, level in SPLITS.items() if not name.startswith("val")})
    with pytest.raises(SparringError, match=rf"'{source}' has no split 'val', only test, train"):
        load(source, split="val")


def test_without_train_the_user_chooses(source_of):
    source = source_of({"val/a/0.png": 1, "test/a/0.png": 2})
    with pytest.raises(SparringError, match=r"has no split 'train', only test, val: choose one, e\.g\. split='test'"):
        load(source)
    assert levels(load(source, split="val")) == [1]


def test_the_classes_of_every_split_are_those_of_train(source_of):
    data = load(source_of({"train/a/0.png": 1, "train/b/0.png": 2, "test/b/0.png": 3}), split="test")
    assert (data.labels.tolist(), data.class_names) == ([1], ("a", "b"))


def test_a_class_that_train_lacks_is_an_error(source_of):
    source = source_of({"train/cat/0.png": 1, "test/cta/0.png": 3})
    with pytest.raises(
        SparringError, match=r"split 'test' of .* has a class 'cta' that 'train' lacks: did you mean 'cat'"
    ):
        load(source, split="test")


def test_flat_splits_have_no_labels(source_of):
    data = load(source_of({"train/0.png": 1, "test/0.png": 2}), split="test")
    assert (levels(data), data.labels) == ([2], None)


def test_a_source_without_splits_is_all_train(source_of):
    source = source_of({"a/0.png": 1, "b/0.png": 2})
    assert levels(load(source, split="train")) == [1, 2] and splits_of(source) == ()
    with pytest.raises(SparringError, match=r"has no splits, so no 'test': leave split out"):
        load(source, split="test")


def test_a_class_may_be_called_train(source_of):
    assert load(source_of({"train/0.png": 1, "plane/0.png": 2})).class_names == ("plane", "train")


def test_an_empty_split_is_an_error(source_of):
    with pytest.raises(SparringError, match=r"split 'train' of .* holds no images"):
        load(source_of({"train": None, "test/0.png": 1}))


def test_folders_beside_splits_are_mentioned(source_of, notes):
    source = source_of({**SPLITS, "extra/0.png": 9})
    assert levels(load(source, note=notes.append)) == [1, 2, 3]
    assert notes[-1] == f"'{source}': folders beside its splits are left out: extra"


@pytest.mark.parametrize("files", [SPLITS, {"cat/0.png": 1, "dog/0.png": 2, "dog/1.png": 3}])
def test_one_enclosing_folder_is_entered(source_of, files):
    source = source_of({f"set/{name}": level for name, level in files.items()})
    data = load(source)
    assert (levels(data), data.labels.tolist(), data.class_names) == ([1, 2, 3], [0, 1, 1], ("cat", "dog"))


def test_a_single_split_is_a_split(source_of):
    source = source_of({"train/a/0.png": 1, "train/b/0.png": 2})
    data = load(source)
    assert (data.split, data.class_names) == ("train", ("a", "b"))
    with pytest.raises(SparringError, match="has no split 'test', only train"):
        load(source, split="test")


def test_a_single_folder_is_a_class_in_a_folder_but_enclosing_in_a_zip(tmp_path):
    files = {"a/0.png": 1, "a/1.png": 2}
    assert load(write_folder(tmp_path / "set", files)).class_names == ("a",)
    assert load(write_zip(tmp_path / "set.zip", files)).labels is None


def test_junk_is_ignored(source_of, notes):
    junk = {
        "__MACOSX/cat/._0.png": 7,
        "__MACOSX/._cat": b"x",
        ".DS_Store": b"x",
        "cat/.DS_Store": b"x",
        "cat/.hidden.png": 8,
        ".git/0.png": 9,
        "dog/Thumbs.db": b"x",
        "desktop.ini": b"x",
    }
    data = load(source_of({**junk, "cat/0.png": 1, "dog/0.png": 2, "dog/..png": 3}), note=notes.append)
    assert (levels(data), data.class_names, notes) == ([1, 2], ("cat", "dog"), [])


def test_other_files_are_mentioned(source_of, notes):
    source = source_of({"a/0.png": 1, "README.txt": b"", "a/0.json": b"{}"})
    assert levels(load(source, note=notes.append)) == [1]
    assert len(notes) == 1 and notes[0].startswith(f"'{source}': 2 files are not images and are left out, e.g. ")


def test_images_beside_class_folders_are_an_error(source_of):
    with pytest.raises(SparringError, match=r"has images beside its class folders, e\.g\. 'loose\.png' \(1 in all\)"):
        load(source_of({"a/0.png": 1, "loose.png": 2}))


@pytest.mark.parametrize("files", [{"readme.txt": b"x"}, {"sub": None}, {"._0.png": 1, "__MACOSX/0.png": 1}])
def test_no_images_is_an_error(source_of, files):
    with pytest.raises(SparringError, match=r"no images in '.*': looked for \.png, \.jpg"):
        load(source_of(files))


STYLEGAN = {"00000/img00000000.png": 1, "00000/img00000001.png": 2, "00001/img00001000.png": 3}


@pytest.mark.parametrize("root", ["", "set/"])
def test_labels_in_dataset_json_take_precedence_over_folders(source_of, root):
    entries = labels_file(["00001/img00001000.png", 0], ["00000/img00000000.png", 6], ["00000/img00000001.png", 2])
    files = {root + name: level for name, level in STYLEGAN.items()}
    data = load(source_of({**files, f"{root}dataset.json": entries}))
    assert (levels(data), data.labels.tolist(), data.class_names, data.num_classes) == ([1, 2, 3], [6, 2, 0], (), 7)


def test_dataset_json_without_labels(source_of):
    data = load(source_of({**STYLEGAN, "dataset.json": b'{"labels": null}'}))
    assert (levels(data), data.labels) == ([1, 2, 3], None)


def test_dataset_json_of_all_splits(source_of):
    files = {"train/x/0.png": 1, "test/x/0.png": 2}
    entries = labels_file(["train/x/0.png", 4], ["test/x/0.png", 5])
    assert load(source_of({**files, "dataset.json": entries}), split="test").labels.tolist() == [5]


def test_classes_of_dataset_json_have_numbers(source_of):
    entries = labels_file(*([name, label] for name, label in zip(STYLEGAN, (6, 2, 0), strict=True)))
    source = source_of({**STYLEGAN, "dataset.json": entries})
    data = load(source, classes="2,6")
    assert (levels(data), data.labels.tolist()) == ([1, 2], [1, 0])
    with pytest.raises(SparringError, match=r"classes '5' of .* hold no images"):
        load(source, classes="5")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not of the form"),
        (b"{}", "is not of the form"),
        (b"\xff", "is not of the form"),
        (labels_file(["00000/img00000000.png", 1.5]), r'each label is \["name.png", number from 0\], .* got \[.00000'),
        (labels_file(["00000/img00000000.png", -1]), "each label is"),
        (labels_file(["00000/img00000000.png", True]), "each label is"),
        (labels_file(["00000/img00000000.png", [0, 1]]), "each label is"),
        (b'{"labels": 3}', "each label is"),
        (labels_file(["00000/img00000000.png", 1]), r"no label for '00000/img00000001\.png': label all images, or set"),
        (labels_file(*([name, 0] for name in (*STYLEGAN, "gone.png"))), r"names 'gone\.png', which does not exist"),
    ],
)
def test_a_dataset_json_that_does_not_fit(source_of, content, message):
    with pytest.raises(SparringError, match=message) as caught:
        load(source_of({**STYLEGAN, "dataset.json": content}))
    assert "dataset.json' of '" in str(caught.value)


@pytest.mark.parametrize("classes", [["dog", "ape"], "2,0", [2, "ape"]])
def test_only_chosen_classes_are_decoded(source_of, classes):
    source = source_of({"ape/0.png": 1, "cat/0.png": b"not an image", "dog/0.png": 3, "dog/1.png": 4})
    data = load(source, classes=classes)
    assert (levels(data), data.labels.tolist(), data.class_names) == ([1, 3, 4], [1, 0, 0], ("dog", "ape"))


def test_chosen_classes_that_do_not_exist(source_of):
    source = source_of({"ape/0.png": 1, "cat/0.png": 2, "empty": None})
    with pytest.raises(SparringError, match=r"has no class 'cta': did you mean 'cat'\?"):
        load(source, classes="cta")
    with pytest.raises(SparringError, match=r"classes 'empty' of .* hold no images"):
        load(source, classes="empty")


def test_classes_of_flat_images(source_of):
    with pytest.raises(
        SparringError, match="has no classes to choose 'cat' from: put the images of each class in a folder"
    ):
        load(source_of({"0.png": 1}), classes="cat")


def test_class_order_numbers_and_names_the_classes(source_of, tmp_path):
    source = source_of({"n01/0.png": 1, "n02/0.png": 2, "n03/0.png": 3})
    order = tmp_path / "order.tsv"
    order.write_text("n03\tfrog\nn01\tox\n\nn02\tbee\nn09\telk\n")
    data = load(source, class_order=order)
    assert (levels(data), data.labels.tolist(), data.class_names) == (
        [1, 2, 3],
        [1, 2, 0],
        ("frog", "ox", "bee", "elk"),
    )
    assert load(source, class_order=["n02", "n01", "n03"]).labels.tolist() == [1, 0, 2]
    assert load(source, class_order=order, classes="bee").labels.tolist() == [0]
    with pytest.raises(SparringError, match="the class order lacks class 'n02'"):
        load(source, class_order=["n01", "n03"])
    with pytest.raises(SparringError, match=r"cannot read .*: No such file"):
        load(source, class_order=tmp_path / "none.tsv")


def test_folders_named_by_whole_numbers_are_sorted_numerically(source_of):
    source = source_of({f"{name}/0.png": int(name) for name in ("0", "1", "10", "2")})
    data = load(source)
    assert (
        data.class_names == ("0", "1", "2", "10")
        and levels(data) == [0, 1, 10, 2]
        and data.labels.tolist() == [0, 1, 3, 2]
    )
    assert load(source, class_order=[10, 2, 1, 0]).labels.tolist() == [3, 2, 0, 1]
    with pytest.raises(SparringError, match="the class order has class '2' twice"):
        load(source, class_order=[10, 2, 2, 1, 0])


def test_classes_without_images_can_be_left_out(source_of):
    source = source_of({"a/0.png": 1, "b": None, "c/0.png": 3})
    data = load(source, renumber=True)
    assert data.class_names == ("a", "c") and data.labels.tolist() == [0, 1]
    with pytest.raises(SparringError, match=r"renumber=True takes all classes that have images, and classes"):
        load(source, renumber=True, classes="a")
