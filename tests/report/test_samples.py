"""The layout of a picture of samples, and what a report shows of it."""

from __future__ import annotations

import json

import pytest
import torch
from PIL import Image

from sparring.report.plots import image_grid
from sparring.report.samples import layout, strips


@pytest.mark.parametrize("classes", range(0, 130))
def test_each_block_holds_its_class_and_the_picture_is_not_a_strip(classes):
    shown = layout(64, classes)
    assert len(set(shown.cells)) == len(shown.cells) and set(shown.cells) <= set(range(64))
    rows = -(-len(shown.cells) // shown.columns)
    assert 0.5 <= shown.columns / rows <= 4 and shown.columns <= 16 and rows <= 8
    assert len(shown.cells) >= 32
    across = shown.columns // shown.width
    for place, cell in enumerate(shown.cells if classes else ()):
        row, column = divmod(place, shown.columns)
        block = column // shown.width + (row * across if classes > 16 else 0)
        assert shown.classes[block] == cell % classes, (place, cell)


@pytest.mark.parametrize("classes", [0, 1, 2, 3, 10, 16, 17, 200])
@pytest.mark.parametrize("count", [1, 4, 9, 25, 64, 65])
def test_all_requested_samples_are_in_the_picture(count, classes):
    shown = layout(count, classes, rows=None)
    assert sorted(cell for cell in shown.cells if cell >= 0) == list(range(count))
    assert len(shown.cells) < count + shown.columns


def test_names_are_above_their_columns_and_many_classes_wrap_into_strips(tmp_path):
    images = torch.arange(64, dtype=torch.uint8)[:, None, None, None].expand(64, 1, 8, 8)
    names = [f"<kind {i}>" for i in range(25)]
    for classes, pictures in ((3, 1), (25, 5)):
        shown = layout(64, classes)
        path = tmp_path / f"{classes}.png"
        said = shown.described(names[:classes])
        image_grid(images, path, columns=shown.columns, cells=shown.cells, classes=said)
        page = strips(path, "samples")
        assert page.count("<img") == page.count('class="names"') == pictures
        assert [page.index(f">&lt;kind {i}&gt;<") for i in range(classes)] == sorted(
            page.index(f">&lt;kind {i}&gt;<") for i in range(classes)
        )
        with Image.open(path) as picture:
            assert picture.getpixel((0, 0)) == shown.cells[0]
            assert json.loads(picture.text["sparring:classes"])["width"] == shown.width
    assert "first" not in page and "class 1" in layout(64, 3).described([])


def test_a_picture_without_class_information_is_shown_whole(tmp_path):
    image_grid(torch.zeros(64, 1, 8, 8, dtype=torch.uint8), path := tmp_path / "plain.png")
    assert strips(path, "samples").count("<img") == 1 and "names" not in strips(path, "samples")
