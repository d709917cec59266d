"""Images from arrays, npz files and map-style data sets."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import colour, grey, levels
from torch.utils.data import Dataset

from sparring.data import PackedImages, load, pack, to_float
from sparring.errors import SparringError

RGB = np.arange(4 * 5 * 6 * 3, dtype=np.uint8).reshape(4, 5, 6, 3)  # [N, H, W, C]
FIRST = RGB.transpose(0, 3, 1, 2)  # the same as [N, C, H, W]


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (RGB, FIRST),
        (FIRST, FIRST),
        (torch.tensor(RGB), FIRST),
        (torch.tensor(FIRST), FIRST),
        (RGB[..., 0], FIRST[:, :1]),
        (torch.tensor(RGB[..., 0]), FIRST[:, :1]),
        (RGB[..., :1], FIRST[:, :1]),
        (FIRST[:, :1], FIRST[:, :1]),
        (RGB[::-1], FIRST[::-1]),  # negative strides
        (np.asfortranarray(RGB), FIRST),
    ],
)
def test_shapes(images, expected):
    data = load(images)
    np.testing.assert_array_equal(data.images.numpy(), expected)
    assert (data.labels, data.class_names, data.name) == (None, (), "array")


def test_ambiguous_arrays_are_channels_last_and_tensors_channels_first():
    both = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    assert load(both).images.shape == (2, 3, 3, 4)
    assert load(torch.tensor(both)).images.shape == (2, 3, 4, 3)


def test_rgba_lies_over_white():
    rgba = np.array([[[[100, 0, 200, 51]]], [[[100, 0, 200, 255]]]], dtype=np.uint8)
    for images in (rgba, torch.tensor(rgba.transpose(0, 3, 1, 2))):
        assert load(images).images[:, :, 0, 0].tolist() == [[224, 204, 244], [100, 0, 200]]


def test_read_only_arrays_are_copied():
    images = RGB.copy()
    images.flags.writeable = False
    load(images).images.zero_()
    assert images.any()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 4, 4)), r"images of 'array' must be uint8, got float64: .*sparring\.data\.to_uint8"),
        (torch.zeros(2, 1, 4, 4), "must be uint8, got float32"),
        (np.zeros((2, 4, 4), np.uint16), "must be uint8, got uint16: divide 16-bit levels by 257"),
        (np.zeros((2, 4, 4), np.int64), r"must be uint8, got int64: convert levels 0\.\.255 to uint8"),
        (np.zeros((4, 4), np.uint8), r"images of 'array' have shape \[4, 4\]: allowed are \[N, H, W\]"),
        (np.zeros((2, 5, 4, 5), np.uint8), r"have shape \[2, 5, 4, 5\]"),
        (np.zeros((0, 4, 4), np.uint8), "'array' holds no images"),
        ((RGB, np.zeros(3, np.int64)), r"labels of 'array' must be integers \[4\], one for each image, got .* \[3\]"),
        ((RGB, np.zeros(4)), r"labels of 'array' must be integers \[N\], got float64 \[4\]"),
        ((RGB, np.zeros((4, 10), np.int64)), "for one-hot rows take their argmax"),
        ((RGB, ["a", "b", "c", "d"]), "labels of 'array' must be integers"),
    ],
)
def test_ambiguous_input_is_refused(images, message):
    with pytest.raises(SparringError, match=message):
        load(images)


@pytest.mark.parametrize("labels", [[3, 0, 1, 3], np.array([[3], [0], [1], [3]], np.uint8), torch.tensor([3, 0, 1, 3])])
def test_a_pair_has_labels(labels):
    data = load((RGB, labels))
    assert (data.labels.tolist(), data.labels.dtype, data.num_classes) == ([3, 0, 1, 3], torch.int64, 4)


def test_size_channels_and_classes_apply_to_arrays():
    stripes = np.tile(np.array([10, 20, 20, 40, 50], np.uint8), (3, 2, 1))
    data = load((stripes, [0, 1, 2]), size=4, channels=3, classes=[2, 0])
    assert data.images.shape == (2, 3, 4, 4) and data.images.unique().tolist() == [20]
    assert data.labels.tolist() == [1, 0]


class Items(Dataset):
    """A data set of the given items. Items that are exceptions are raised."""

    def __init__(self, *items: object, **attributes: object):
        self.items = items
        self.__dict__.update(attributes)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> object:
        if isinstance(self.items[i], Exception):
            raise self.items[i]  # type: ignore[misc]
        return self.items[i]


@pytest.mark.parametrize(
    "image",
    [
        colour(1, 2, 3, size=(5, 4)),
        np.tile(np.array([1, 2, 3], np.uint8), (4, 5, 1)),
        torch.tensor([1, 2, 3], dtype=torch.uint8)[:, None, None].expand(3, 4, 5),
    ],
)
def test_a_data_set_of_images(image):
    data = load(Items(image, image))
    assert data.images.shape == (2, 3, 4, 5) and data.images[1, :, 3, 4].tolist() == [1, 2, 3]
    assert (data.labels, data.name, data.split) == (None, "Items", None)


def test_a_data_set_of_pairs_with_class_names(notes):
    items = [(grey(7), 1), (torch.tensor([[8, 8], [8, 8]], dtype=torch.uint8), torch.tensor(0)), (grey(9), np.int64(1))]
    seen: list[tuple[int, int]] = []
    data = load(Items(*items, classes=["cat", "dog"]), progress=lambda *done: seen.append(done))
    assert (levels(data), data.labels.tolist(), data.class_names) == ([7, 8, 9], [1, 0, 1], ("cat", "dog"))
    assert data.channels == 1 and seen[-1] == (3, 3)
    assert load(Items(*items, classes=["cat", "dog"]), classes="dog").labels.tolist() == [0, 0]


def test_a_list_is_a_data_set():
    assert levels(load([grey(7), grey(8)])) == [7, 8]


def test_an_item_that_cannot_be_read(notes):
    source = Items((grey(7), 0), OSError("gone"), (grey(9), 1))
    with pytest.raises(SparringError, match=r"cannot read image 'Items\[1\]': gone;"):
        load(source)
    data = load(source, skip_unreadable=True, note=notes.append)
    assert (levels(data), data.labels.tolist()) == ([7, 9], [0, 1])
    assert notes == ["left out 1 of 3 images of 'Items', unreadable: 'Items[1]'"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Items(), "'Items' holds no images"),
        (iter([grey(1)]), "data of type list_iterator cannot be loaded: give a path, a name, a map-style data set"),
        ({"images": RGB}, "data of type dict cannot be loaded"),
        (3, "data of type int cannot be loaded"),
        (None, "data of type NoneType cannot be loaded"),
        (Items((grey(1), 0, 0)), r"item 0 of 'Items' has 3 parts: return an image, or \(image, label\)"),
        (Items((grey(1), 0), grey(1)), "item 1 of 'Items' has no label, but others have"),
        (Items((grey(1), "cat")), r"labels of 'Items\[0\]' must be integers"),
        (Items((grey(1), torch.zeros(40, dtype=torch.int64))), r"labels of 'Items\[0\]' must be integers"),
        (Items(torch.zeros(3, 4, 4)), r"images of 'Items\[0\]' must be uint8, got float32: .*ToTensor\(\)"),
        (Items(grey(1), grey(1, (3, 3))), r"'Items\[0\]' is 2x2 and 'Items\[1\]' is 3x3; .*size=2"),
    ],
)
def test_objects_that_are_not_data_sets(source, message):
    with pytest.raises(SparringError, match=message):
        load(source)


def test_a_data_set_without_length():
    class Endless:
        def __getitem__(self, i):
            return grey(1)

    with pytest.raises(SparringError, match=r"'Endless' \(Endless\) has no length: give a map-style data set"):
        load(Endless())


def test_python_objects_have_no_splits():
    with pytest.raises(
        SparringError, match="an array or data set from Python has no split 'test': pass the part you mean"
    ):
        load(RGB, split="test")
    with pytest.raises(SparringError, match="class_order is for folders and zip files"):
        load(RGB, class_order=["a"])


def test_packed_images_pass_and_are_converted():
    data = PackedImages(torch.tensor(FIRST), torch.tensor([0, 1, 0, 1]), ("a", "b"), "set", "test")
    assert load(data) is data and load(data, split="test", size=None, channels=3) is data
    small = load(data, size=2, channels=1, classes="b")
    assert small.images.shape == (2, 1, 2, 2)
    assert (small.labels.tolist(), small.class_names, small.name, small.split) == ([0, 0], ("b",), "set", "test")
    with pytest.raises(SparringError, match="'set' is split 'test', not 'train'"):
        load(data, split="train")


@pytest.mark.parametrize(("images", "labels"), [("images", "labels"), ("x", "y"), ("arr_0", "arr_1")])
@pytest.mark.parametrize("array", [RGB, FIRST])
def test_npz(tmp_path, images, labels, array):
    np.savez_compressed(tmp_path / "set.npz", **{images: array, labels: np.array([1, 0, 2, 2])})
    data = load(tmp_path / "set.npz")
    np.testing.assert_array_equal(data.images.numpy(), FIRST)
    assert (data.labels.tolist(), data.name, data.class_names) == ([1, 0, 2, 2], "set", ())
    np.savez(tmp_path / "bare.npz", **{images: array})
    assert load(tmp_path / "bare.npz").labels is None
    assert load(tmp_path / "set.npz", classes="2").labels.tolist() == [0, 0]


def test_npz_never_unpickles(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.write_text, (tmp_path / "sprung", ""))

    for key in ("images", "labels", "class_names"):
        arrays = {"images": RGB} | {key: np.array([Trap()], dtype=object)}
        np.savez(tmp_path / "trap.npz", **arrays)
        with pytest.raises(SparringError, match=r"trap\.npz': '.*' holds Python objects, which are never loaded"):
            load(tmp_path / "trap.npz")
    assert not (tmp_path / "sprung").exists()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("content", [b"", b"text", npy(RGB), b"PK\x03\x04" + b"\0" * 40])
def test_a_file_that_is_not_an_npz(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(SparringError, match=r"cannot read '.*a\.npz': damaged"):
        load(tmp_path / "a.npz")


def test_an_npz_without_images(tmp_path):
    np.savez(tmp_path / "a.npz", pictures=RGB, labels=np.zeros(4))
    with pytest.raises(
        SparringError, match=r"a\.npz' has no array 'images' \(nor 'x', 'arr_0'\), only pictures, labels"
    ):
        load(tmp_path / "a.npz")


def test_a_damaged_npz(tmp_path):
    np.savez(tmp_path / "a.npz", images=RGB)
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[200] ^= 1
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(SparringError, match=r"damaged\? \(Bad CRC-32"):
        load(tmp_path / "a.npz")


def test_an_npz_of_floats(tmp_path):
    np.savez(tmp_path / "a.npz", images=RGB / 255.0)
    with pytest.raises(SparringError, match=r"images of 'a' must be uint8, got float64: .*\[0, 1\] \(images \* 255\)"):
        load(tmp_path / "a.npz")


@pytest.mark.parametrize("labels", [None, [0, 1, -1, 1]])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_packed_loads_identically(tmp_path, labels, channels):
    pixels = torch.randint(0, 256, (4, channels, 3, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    names = ("käse", "b") if labels else ()
    data = PackedImages(pixels, None if labels is None else torch.tensor(labels), names, "set", "test")
    path = pack(data, tmp_path / "out.npz")
    again = load(path)
    assert again.fingerprint == data.fingerprint and torch.equal(again.images, pixels)
    assert (again.class_names, again.name, again.split) == (names, "set", "test")
    assert load(path, split="test").fingerprint == data.fingerprint
    with pytest.raises(SparringError, match=r"out\.npz' holds test, not 'train': leave split out"):
        load(path, split="train")
    with zipfile.ZipFile(path) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    images, _ = again.batch(torch.tensor([2]))
    assert torch.equal(images, to_float(pixels[2:3]))


def test_a_packed_file_with_replaced_content(tmp_path):
    path = pack(load((RGB, [0, 1, 0, 1])), tmp_path / "a.npz")
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **(arrays | {"labels": np.array([1, 1, 0, 1])}))
    with pytest.raises(SparringError, match=r"a\.npz' is damaged: its content does not match its fingerprint"):
        load(path)


def test_a_packed_file_can_be_resized(tmp_path):
    path = pack(load(RGB), tmp_path / "a.npz")
    assert load(path, size=2, channels=1).images.shape == (4, 1, 2, 2)
