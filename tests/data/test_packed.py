"""The packed array: exact levels in both directions, rows gathered by index, classes chosen and renumbered."""

from __future__ import annotations

import pytest
import torch

from sparring.data import PackedImages, to_float, to_uint8
from sparring.errors import SparringError


def numbered(count: int = 6, channels: int = 3, height: int = 2, width: int = 3) -> torch.Tensor:
    """uint8 [count, channels, height, width] with consecutive values."""
    return torch.arange(count * channels * height * width, dtype=torch.uint8).view(count, channels, height, width)


def packed(**changes: object) -> PackedImages:
    values = {"images": numbered(), "labels": torch.tensor([0, 1, 2, 2, -1, 0]), "class_names": ("a", "b", "c")}
    return PackedImages(**(values | changes))  # type: ignore[arg-type]


def test_levels_become_the_numbers_worked_by_hand():
    levels = torch.tensor([0, 51, 102, 128, 255], dtype=torch.uint8)
    expected = torch.tensor([-1.0, -0.6, -0.2, 0.5 / 127.5, 1.0])
    torch.testing.assert_close(to_float(levels), expected, rtol=0, atol=1e-7)
    assert to_float(levels)[[0, 4]].tolist() == [-1.0, 1.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_level_survives_the_round_trip(dtype):
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_float(levels).to(dtype)), levels)


def test_floats_go_to_the_nearest_level_and_stay_in_range():
    level = lambda x: x / 127.5 - 1  # noqa: E731
    values = torch.tensor([level(10.4), level(10.6), level(254.6), -1.7, 1.01, 40.0, float("inf"), -float("inf")])
    before = values.clone()
    assert to_uint8(values).tolist() == [10, 11, 255, 0, 255, 255, 255, 0]
    assert torch.equal(values, before)  # the caller's tensor is not touched
    # 0 lies exactly between levels 127 and 128: halves round to even
    assert to_uint8(torch.zeros(1)).tolist() == [128]


def test_each_conversion_refuses_the_other_type():
    with pytest.raises(SparringError, match=r"to_uint8 takes float images in \[-1, 1\], got torch\.int64"):
        to_uint8(torch.zeros(1, dtype=torch.int64))
    with pytest.raises(SparringError, match=r"to_float takes uint8 images, got torch\.float32"):
        to_float(torch.zeros(1))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_holds_the_requested_rows_in_order(channels):
    images = numbered(channels=channels)
    data = packed(images=images)
    index = torch.tensor([4, 0, 0, 3])
    batch, labels = data.batch(index)
    expected = torch.stack([images[i] for i in (4, 0, 0, 3)]).double() / 127.5 - 1
    torch.testing.assert_close(batch.double(), expected, rtol=0, atol=2e-7)
    assert labels.tolist() == [-1, 0, 0, 2]
    assert batch.dtype == torch.float32 and batch.is_contiguous(memory_format=torch.channels_last)
    raw, _ = data.uint8_batch(index)
    assert torch.equal(raw, images[index]) and raw.is_contiguous(memory_format=torch.channels_last)
    batch.zero_()
    raw.zero_()
    assert torch.equal(data.images, images)  # a batch is a copy


def test_without_labels_there_are_none_in_a_batch():
    data = packed(labels=None)
    assert data.batch(torch.tensor([0]))[1] is None
    with pytest.raises(
        SparringError, match=r"the margin needs labels, but 'images' has none: put each class in its own fold"
    ):
        data.require_labels("the margin")


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_any_memory_layout_is_the_same_data(layout):
    assert torch.equal(packed(images=numbered().to(memory_format=layout)).images, numbered())
    assert packed(images=numbered().to(memory_format=layout)).fingerprint == packed().fingerprint


def test_shape_and_classes():
    data = packed()
    assert (len(data), data.channels, data.height, data.width, data.num_classes) == (6, 3, 2, 3, 3)
    assert packed(class_names=()).num_classes == 3
    assert packed(class_names=("a", "b", "c", "never seen")).num_classes == 4
    assert packed(labels=None, class_names=()).num_classes == 0
    assert packed(labels=torch.full((6,), -1), class_names=()).num_classes == 0
    with pytest.raises(SparringError, match=r"images of 2x3 pixels, not square: crop them with data\.size"):
        _ = data.size
    assert packed(images=numbered(height=3)).size == 3


def test_the_fingerprint_depends_on_pixels_labels_names_and_shape_alone():
    base = packed().fingerprint
    assert base == packed(name="other", split="test").fingerprint == packed(images=numbered().clone()).fingerprint
    one_pixel = numbered()
    one_pixel[5, 2, 1, 2] += 1
    others = [
        packed(images=one_pixel),
        packed(images=numbered().flip(0)),
        packed(images=numbered().reshape(6, 3, 3, 2)),
        packed(labels=torch.tensor([0, 1, 2, 2, 0, 0])),
        packed(labels=None),
        packed(labels=torch.zeros(6, dtype=torch.int64)),
        packed(class_names=("a", "c", "b")),
        packed(class_names=()),
    ]
    assert len({base, *(other.fingerprint for other in others)}) == 9


def test_a_fingerprint_of_several_chunks_sees_each_of_them(monkeypatch):
    monkeypatch.setattr("sparring.data.packed._HASH_CHUNK", 7)
    images = [numbered() for _ in range(4)]
    for image, place in zip(images[1:], (0, 50, 107), strict=True):
        image.view(-1)[place] ^= 1
    assert len({packed(images=image).fingerprint for image in images}) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": torch.zeros(6, 3, 2, 2)}, r"uint8 \[N, C, H, W\] with C 1 or 3, got torch\.float32 \[6, 3, 2, 2\]"),
        ({"images": numbered(channels=2)}, r"with C 1 or 3, got torch\.uint8 \[6, 2, 2, 3\]"),
        ({"images": numbered()[0]}, r"got torch\.uint8 \[3, 2, 3\]"),
        ({"labels": torch.zeros(5, dtype=torch.int64)}, r"labels of 'images' must be integers \[6\], .* got .* \[5\]"),
        ({"labels": torch.zeros(6)}, r"got torch\.float32 \[6\]"),
        ({"labels": torch.zeros(6, 3, dtype=torch.int64)}, "take their argmax"),
        ({"class_names": ("a", "b")}, "label 2 of 'images' has no name: 2 class names allow labels up to 1"),
        ({"class_names": ("a", "b", "a")}, "class 'a' is named twice in 'images'"),
    ],
)
def test_inconsistent_parts_are_refused(changes, message):
    with pytest.raises(SparringError, match=message):
        packed(**changes)


def test_rows_are_taken_with_their_labels():
    data = packed(name="set", split="test").take(torch.tensor([5, 2]))
    assert torch.equal(data.images, numbered()[[5, 2]])
    assert data.labels.tolist() == [0, 2]
    assert (data.class_names, data.name, data.split) == (("a", "b", "c"), "set", "test")


@pytest.mark.parametrize(
    ("classes", "rows", "labels", "names"),
    [
        (["c", "a"], [0, 2, 3, 5], [1, 0, 0, 1], ("c", "a")),
        ("c", [2, 3], [0, 0], ("c",)),
        (2, [2, 3], [0, 0], ("c",)),
        ("1-2", [1, 2, 3], [0, 1, 1], ("b", "c")),
        (":2", [0, 1, 5], [0, 1, 0], ("a", "b")),
        ("b, 0", [0, 1, 5], [1, 0, 1], ("b", "a")),
    ],
)
def test_chosen_classes_are_numbered_in_the_order_given(classes, rows, labels, names):
    chosen = packed().select_classes(classes)
    assert torch.equal(chosen.images, numbered()[rows])
    assert (chosen.labels.tolist(), chosen.class_names, chosen.num_classes) == (labels, names, len(names))


def test_classes_can_be_chosen_by_number_without_names():
    chosen = packed(class_names=()).select_classes("1:")
    assert (chosen.labels.tolist(), chosen.class_names) == ([0, 1, 1], ())
    with pytest.raises(SparringError, match="a choice of classes needs labels"):
        packed(labels=None).select_classes("a")


def test_moving_to_another_device_keeps_the_data():
    data = packed(class_names=(), name="set", split="test").to("meta")  # a device that every machine has
    assert data.images.device.type == "meta" and data.labels.device.type == "meta"
    assert (len(data), data.name, data.split) == (6, "set", "test")
    assert packed().to("cpu").fingerprint == packed().fingerprint
    images, labels = packed().batch(torch.tensor([1]), "meta")
    assert images.device.type == labels.device.type == "meta"
