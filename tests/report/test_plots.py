"""Plots: every pixel of a grid is in its place, and figures have labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sparring.errors import SparringError
from sparring.report.plots import (
    COLOURS,
    GUTTER,
    bars,
    curves,
    from_zero,
    image_grid,
    kept_png,
    picture_rows,
    render,
    shrunk,
)

IMAGES = torch.randint(0, 256, (5, 3, 4, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_shows_every_pixel_enlarged_with_gutters(channels: int, tmp_path: Path) -> None:
    images = IMAGES[:, :channels]
    image_grid(images, tmp_path / "grid.png", columns=3, scale=2)
    grid = np.asarray(Image.open(tmp_path / "grid.png"))
    assert grid.shape[:2] == ((2 * 5 - 1) * 2, (3 * 7 - 1) * 2)
    for i in range(5):
        top, left = i // 3 * 5 * 2, i % 3 * 7 * 2
        for h in range(4):
            for w in range(6):
                square = grid[top + 2 * h : top + 2 * h + 2, left + 2 * w : left + 2 * w + 2]
                pixel = images[i, :, h, w].numpy()
                assert (square == (pixel if channels == 3 else pixel[0])).all()
    assert (grid[8:10] == GUTTER).all() and (
        grid[10:, 28:] == GUTTER
    ).all()  # a gutter between images, and no sixth image


def test_shrunk_undoes_the_enlargement_and_leaves_other_pictures_alone(tmp_path: Path) -> None:
    image_grid(IMAGES, tmp_path / "a.png", columns=5, scale=7)
    image_grid(IMAGES, tmp_path / "b.png", columns=5, scale=1)
    Image.fromarray(IMAGES[0].permute(1, 2, 0).numpy()).save(tmp_path / "c.png")

    def pixels(png: bytes) -> np.ndarray:
        (tmp_path / "x.png").write_bytes(png)
        return np.asarray(Image.open(tmp_path / "x.png"))

    small = shrunk((tmp_path / "a.png").read_bytes())
    assert (pixels(small) == np.asarray(Image.open(tmp_path / "b.png"))).all()
    assert shrunk((tmp_path / "c.png").read_bytes()) == (tmp_path / "c.png").read_bytes()


@pytest.mark.parametrize("images", [IMAGES.float(), IMAGES[:0], IMAGES[0], IMAGES[:, :2]])
def test_input_that_is_not_a_batch_of_images_is_refused(images: torch.Tensor) -> None:
    with pytest.raises(SparringError, match=r"uint8 images \[N, C, H, W\]"):
        image_grid(images)


def test_curves_are_drawn_at_their_points_and_labelled() -> None:
    figure = curves({"hinge": ([1, 2, 3], [0.5, float("nan"), 0.25])}, title="losses", ylabel="value")
    (axes,) = figure.axes
    (line,) = axes.get_lines()
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(line.get_ydata(), [0.5, np.nan, 0.25])
    assert axes.get_xlabel() == "step" and axes.get_ylabel() == "value" and axes.get_title(loc="left") == "losses"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["hinge"]


def test_a_long_curve_has_a_running_mean() -> None:
    values = np.sin(np.arange(500) / 3)
    raw, mean = curves({"x": (np.arange(500), values)}).axes[0].get_lines()
    np.testing.assert_allclose(raw.get_ydata(), values)
    np.testing.assert_allclose(mean.get_ydata()[100], values[90:111].mean())
    np.testing.assert_allclose(mean.get_ydata()[0], values[:11].mean())


def test_a_figure_is_the_same_bytes_each_time() -> None:
    def svg() -> bytes:
        return render(curves({"a": ([0, 1], [1, 2])}), "svg")

    assert svg() == svg() and b"<text" in svg()
    with pytest.raises(SparringError, match="png or"):
        render(curves({"a": ([0, 1], [1, 2])}), "gif")


def test_bars_stand_at_their_values_side_by_side() -> None:
    figure = bars(["a", "b"], {"one": [0.5, 0.25], "two": [1.0, 0.75]}, ylabel="share")
    axes = figure.axes[0]
    assert [bar.get_height() for bar in axes.patches] == [0.5, 0.25, 1.0, 0.75]
    centres = [bar.get_x() + bar.get_width() / 2 for bar in axes.patches]
    assert centres == pytest.approx([-0.2, 0.8, 0.2, 1.2]) and axes.get_ylabel() == "share"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b"]


def test_rows_of_pictures_show_their_pixels_under_their_names() -> None:
    colour = torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).view(2, 3, 4, 4)
    figure = picture_rows({"images": colour, "maps": torch.rand(2, 4, 4)}, {"images": ["0.9", "0.1"]})
    shown = [axes.images[0].get_array() for axes in figure.axes]
    assert len(shown) == 4 and (torch.tensor(shown[1].data) == colour[1].permute(1, 2, 0)).all()
    words = [text.get_text() for text in figure.texts]
    assert {"images", "maps", "0.9", "0.1"} <= set(words)


def test_an_axis_is_logarithmic_on_request() -> None:
    axes = curves({"": ([1, 10], [1.0, 100.0])}, logarithmic="y").axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "log")


def test_an_axis_from_zero_has_room_for_the_highest_value() -> None:
    assert from_zero(curves({"": ([0, 1], [2.0, 5.0])})).axes[0].get_ylim() == (0, pytest.approx(5.3))


# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency", 2009,
# at full severity; on linear RGB
EYES = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def _linear(colour: str) -> np.ndarray:
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def _lab(linear: np.ndarray) -> np.ndarray:
    """CIE L*a*b* under D65."""
    share = TO_XYZ @ linear.clip(0, 1) / [0.95047, 1.0, 1.08883]
    x, y, z = np.where(share > (6 / 29) ** 3, np.cbrt(share), share / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eyes", EYES)
def test_colour_blind_readers_can_tell_colours_apart(eyes: str) -> None:
    assert _lab(np.array([1.0, 0.0, 0.0])) == pytest.approx([53.24, 80.09, 67.20], abs=0.02)  # known values for red
    seen = [_lab(np.array(EYES[eyes]) @ _linear(colour)) for colour in COLOURS]
    for i, a in enumerate(seen):
        for j, b in enumerate(seen[:i]):
            assert np.linalg.norm(a - b) > 15, (COLOURS[j], COLOURS[i])  # CIE76


def test_colours_are_readable_on_white_and_on_near_black() -> None:
    for colour in COLOURS:
        light, dark = TO_XYZ[1] @ _linear(colour) + 0.05, TO_XYZ[1] @ _linear("#111418") + 0.05
        assert 1.05 / light > 2.8 and light / dark > 2.8, colour


def test_all_curves_differ_and_the_fifth_by_more_than_its_colour() -> None:
    lines = curves({str(i): ([0, 1, 2], [0, 1, i]) for i in range(18)}).axes[0].lines
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 18
    assert [line.get_linestyle() for line in lines[:9]] == ["-"] * 4 + ["--"] * 4 + [":"]


def test_a_kept_figure_is_drawn_anew_for_other_facts_and_stays_if_it_cannot_be(tmp_path: Path) -> None:
    drawn = []

    def draw() -> tuple[object, object]:
        if len(drawn) == 2:
            raise SparringError("the runs are gone")
        drawn.append(1)
        return curves({"": ([0, 1], [0, len(drawn)])}), {"last": len(drawn)}

    first, path = kept_png(tmp_path / "a.png", {"seeds": [0]}, draw), tmp_path / "a.png"  # type: ignore[arg-type]
    assert kept_png(path, {"seeds": [0]}, draw) == first == path.read_bytes() and len(drawn) == 1  # type: ignore[arg-type]
    second = kept_png(path, {"seeds": [0, 1]}, draw)  # type: ignore[arg-type]
    assert second != first and kept_png(path, {"seeds": [0, 1, 2]}, draw) == second  # type: ignore[arg-type]
    assert path.with_suffix(".json").read_text().count('"last": 2') == 1
    with pytest.raises(SparringError, match="the runs are gone"):
        kept_png(tmp_path / "b.png", {}, draw)  # type: ignore[arg-type]
