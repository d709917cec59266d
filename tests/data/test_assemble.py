"""Assembling images into one array: unreadable images, mixed sizes, grey and colour together."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from pictures import colour, encoded, grey, levels

from sparring.data import load
from sparring.data.assemble import Assembly
from sparring.data.decode import UnreadableImageError
from sparring.errors import SparringError
from sparring.messages import in_recipe, on_command_line, spelling

BAD = encoded(grey(1, (40, 40)))[:60]


def test_one_unreadable_image_is_named(source_of):
    with pytest.raises(
        SparringError, match=r"'b/bad\.png': .*; replace it, or leave such images of .* out with skip_unreadable=True"
    ):
        load(source_of({"a/0.png": 1, "b/bad.png": BAD, "b/ok.png": 3}))


def test_unreadable_images_are_counted_and_skipped_with_and_without_cache(source_of, notes):
    files = {"a/0.png": b"", "a/1.png": 1, "b/0.png": BAD, "b/1.png": 3, "b/2.png": b"x", "b/3.png": BAD, "b/4.png": 4}
    source = source_of(files)
    line = f"left out 4 of 7 images of '{source}', unreadable: 'a/0.png', 'b/0.png', 'b/2.png', ..."
    for times in (1, 2):  # the second time from the cache
        data = load(source, skip_unreadable=True, note=notes.append)
        assert (levels(data), data.labels.tolist()) == ([1, 3, 4], [0, 1, 1])
        assert notes == [line] * times
    with pytest.raises(SparringError, match=r"cannot read image 'a/0\.png'"):
        load(source)


def test_nothing_readable(source_of):
    source = source_of({"0.png": BAD, "1.png": b""})
    with pytest.raises(SparringError, match=f"none of the 2 images of '{source}' can be read"):
        load(source, skip_unreadable=True)


def test_the_error_for_mixed_sizes_says_what_to_do(source_of):
    source = source_of({"0.png": grey(1, (6, 4)), "1.png": grey(2, (6, 4)), "2.png": grey(3, (5, 8))})
    with pytest.raises(SparringError) as caught:
        load(source)
    assert str(caught.value) == (
        f"images of '{source}' differ in size: '0.png' is 6x4 and '2.png' is 5x8; set one size for all of them, "
        "e.g. size=4"
    )
    data = load(source, size=4)
    assert (levels(data), data.images.shape) == ([1, 2, 3], (3, 1, 4, 4))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("how", "skip", "size"),
    [
        (in_recipe("negatives"), "negatives.skip_unreadable=true", "negatives.size=2"),
        (on_command_line(), "--skip-unreadable", "--size 2"),
        (on_command_line(size="--side"), "--skip-unreadable", "--side"),
    ],
)
def test_errors_spell_options_like_the_caller_in_every_thread(how, skip, size, threads):
    def read(i):
        if i == 1:
            raise UnreadableImageError("bad")
        return np.zeros((2, 2 + (i == 150), 3), np.uint8), False

    def assembled(**changes):
        return Assembly("here", 200, read, str, threads=threads, **changes).run()

    with spelling(how):
        with pytest.raises(UnreadableImageError, match=f"leave such images of 'here' out with {re.escape(skip)}$"):
            assembled()
        with pytest.raises(SparringError, match=rf"'150' is 3x2; .* e\.g\. {re.escape(size)}$"):
            assembled(skip_unreadable=True)


def test_images_of_one_size_need_not_be_square(source_of):
    assert load(source_of({"0.png": grey(1, (6, 4)), "1.png": grey(2, (6, 4))})).images.shape == (2, 1, 4, 6)


def test_one_colour_image_makes_all_of_them_colour(source_of):
    data = load(source_of({"0.png": grey(9), "1.png": colour(10, 20, 30)}))
    assert data.images[:, :, 0, 0].tolist() == [[9, 9, 9], [10, 20, 30]]
    assert data.images.shape == (2, 3, 2, 2)


def test_one_colour_image_counts_at_any_position():
    for at in (0, 199):
        assembly = Assembly("set", 200, lambda i, at=at: (np.full((1, 1, 3), i, np.uint8), i == at), str)
        assert assembly.run()[0].shape == (200, 1, 1, 3)


@pytest.mark.parametrize(("channels", "expected"), [(1, [[9], [18]]), (3, [[9, 9, 9], [10, 20, 30]])])
def test_channels_can_be_asked_for(source_of, channels, expected):
    # luma of (10, 20, 30): 2.99 + 11.74 + 3.42 = 18.15
    data = load(source_of({"0.png": grey(9), "1.png": colour(10, 20, 30)}), channels=channels)
    assert data.images[:, :, 0, 0].tolist() == expected


def test_grey_images_have_one_channel(source_of):
    assert load(source_of({"0.png": grey(9), "1.png": 4})).channels == 1


@pytest.mark.parametrize("threads", [1, 3])
def test_order_and_progress_do_not_depend_on_threads(threads):
    def read(i):
        if i in (0, 70, 199):
            raise UnreadableImageError("bad")
        return torch.full((1, 2, 3), i, dtype=torch.uint8).numpy(), True

    seen: list[tuple[int, int]] = []
    assembly = Assembly("set", 200, read, str, threads=threads, skip_unreadable=True)
    assembly.progress = lambda done, total: seen.append((done, total))
    pixels, kept = assembly.run()
    expected = [i for i in range(200) if i not in (0, 70, 199)]
    assert kept.tolist() == expected and pixels[:, 0, 1, 2].tolist() == expected
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (200, 200) and len(seen) > 2


def test_a_failure_stops_the_other_threads():
    read: list[int] = []

    def fail(i):
        read.append(i)
        if i == 64:
            raise UnreadableImageError(f"image {i}")
        return torch.zeros(1, 1, 3, dtype=torch.uint8).numpy(), True

    with pytest.raises(UnreadableImageError, match="image 64"):
        Assembly("set", 50_000, fail, str, threads=2).run()
    assert len(read) < 25_000


def test_damaged_exif_does_not_warn(source_of):
    data = encoded(grey(90, (16, 8)), "jpeg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05junk")
    assert load(source_of({"0.jpg": data})).images.shape == (1, 1, 8, 16)
