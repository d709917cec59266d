"""The layout of a picture of samples, and what a report shows of it."""

from __future__ import annotations

import html
import json
import subprocess
from shutil import which

import pytest
import torch
from PIL import Image

from sparring.report.html import STYLE, page
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


@pytest.mark.parametrize(("classes", "turned"), [(5, False), (6, True), (16, True), (25, False), (200, True)])
def test_a_narrow_screen_shows_the_whole_picture(tmp_path, classes, turned):
    """A strip may be wider than the page only on a wide screen; names over narrow columns are turned."""
    shown = layout(64, classes)
    said = shown.described([f"a class with a long name {i}" for i in range(classes)])
    image_grid(torch.zeros(64, 1, 8, 8, dtype=torch.uint8), tmp_path / "x.png", columns=shown.columns, classes=said)
    page = strips(tmp_path / "x.png", "samples")
    assert "min-width" not in page and ('class="names many"' in page) == turned
    narrow = STYLE[STYLE.index("@media (max-width: 40rem)") :]
    assert ".strip { min-width: 0 }" in narrow and ".names.many span { writing-mode: vertical-rl" in narrow


@pytest.mark.slow
@pytest.mark.skipif(not which("chromium"), reason="needs chromium")
def test_at_400_pixels_no_picture_is_cut(tmp_path):
    shown = layout(64, 16)
    said = shown.described([f"a class with a long name {i}" for i in range(16)])
    image_grid(torch.zeros(64, 1, 8, 8, dtype=torch.uint8), tmp_path / "x.png", columns=shown.columns, classes=said)
    script = (
        "<script>onload = () => { const right = e => e.getBoundingClientRect().right;"
        "parent.document.body.className = Math.max(...[...document.querySelectorAll('*')].map(right)) }</script>"
    )
    inner = html.escape(page("x", [strips(tmp_path / "x.png", "samples"), script]))
    (tmp_path / "x.html").write_text(f'<body><iframe width="400" height="900" srcdoc="{inner}"></iframe></body>')
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom"]
    done = subprocess.run(["chromium", *options, tmp_path / "x.html"], capture_output=True, text=True, timeout=100)
    assert 300 < float(done.stdout.split('<body class="')[1].split('"')[0]) <= 400


def test_a_picture_without_class_information_is_shown_whole(tmp_path):
    image_grid(torch.zeros(64, 1, 8, 8, dtype=torch.uint8), path := tmp_path / "plain.png")
    assert strips(path, "samples").count("<img") == 1 and "names" not in strips(path, "samples")
