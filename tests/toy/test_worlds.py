"""What worlds contain, and the errors for wrong files and options."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sparring.errors import SparringError
from sparring.toy.files import points_of_image, read_points
from sparring.toy.gaussians import Mixture
from sparring.toy.worlds import FILE_WORLDS, WORLDS, world


@pytest.mark.parametrize("name", sorted(set(WORLDS) - set(FILE_WORLDS)))
def test_a_world_depends_only_on_its_seed(name: str) -> None:
    torch.manual_seed(1)
    a = world(name, seed=3)
    torch.manual_seed(2)
    b, other = world(name, seed=3), world(name, seed=4)
    assert torch.equal(a.data.points, b.data.points) and not torch.equal(a.data.points, other.data.points)
    assert a.data.points.dtype == torch.float32 and a.dimensions == len(a.view)
    low = torch.tensor([limits[0] for limits in a.view])
    high = torch.tensor([limits[1] for limits in a.view])
    assert ((a.data.points > low) & (a.data.points < high)).all()
    points, labels = a.data.batch(torch.tensor([5, 2]))
    assert torch.equal(points, a.data.points[[5, 2]]) and (labels is None) == (a.data.num_classes == 0)


def test_nat_1d_is_the_papers() -> None:
    nat = world("nat-1d")
    assert nat.negatives is not None
    assert nat.data.points.mean() == pytest.approx(4, abs=0.03)
    assert nat.data.points.std() == pytest.approx(0.5, abs=0.02)  # a standard deviation, not a variance
    right, left = (nat.negatives.points[side] for side in (nat.negatives.points > 4, nat.negatives.points < 4))
    assert right.mean() == pytest.approx(13, abs=0.1) and right.std() == pytest.approx(1, abs=0.05)
    assert left.mean() == pytest.approx(-6, abs=0.1) and left.std() == pytest.approx(2, abs=0.1)
    assert len(right) / len(nat.negatives) == pytest.approx(0.5, abs=0.03)


def test_nat_2d_has_data_between_two_rings_of_negatives() -> None:
    nat = world("nat-2d")
    assert nat.negatives is not None
    radius = nat.data.points.norm(dim=1)
    assert radius.mean() == pytest.approx(4, abs=0.05) and radius.std() == pytest.approx(0.32, abs=0.02)
    negative = nat.negatives.points.norm(dim=1)
    outer, inner = negative[negative > 4], negative[negative < 4]
    assert outer.mean() == pytest.approx(8, abs=0.1) and inner.mean() < 1.1 and len(outer) == len(inner)


def test_ring_and_grid_have_the_right_centres() -> None:
    ring, grid = world("ring-8"), world("grid-25")
    assert ring.modes is not None and grid.modes is not None
    assert torch.allclose(ring.modes.norm(dim=1), torch.full((8,), 2.0))
    assert torch.allclose(ring.modes[2], torch.tensor([0.0, 2.0]), atol=1e-6)
    assert sorted({round(x, 6) for x in grid.modes[:, 0].tolist()}) == [-4, -2, 0, 2, 4] and len(grid.modes) == 25
    assert ring.data.labels is not None
    near = (ring.data.points - ring.modes[ring.data.labels]).norm(dim=1)
    assert near.max() < 0.02 * 6 and near.square().mean().sqrt() == pytest.approx(0.02 * math.sqrt(2), rel=0.03)


def test_the_checkerboard_fills_every_other_square() -> None:
    points = world("checkerboard").data.points
    cells = ((points + 2) // 1).long()
    assert ((cells.sum(1) % 2) == 0).all() and len(cells.unique(dim=0)) == 8


def test_moons_are_two_half_circles() -> None:
    moons = world("moons", {"noise": 1e-6})
    labels, points = moons.data.labels, moons.data.points
    assert labels is not None
    upper = points[labels == 0] + torch.tensor([0.5, 0.25])
    lower = points[labels == 1] + torch.tensor([0.5, 0.25]) - torch.tensor([1.0, 0.5])
    assert torch.allclose(upper.norm(dim=1), torch.ones(len(upper)), atol=1e-4) and (upper[:, 1] > -1e-4).all()
    assert torch.allclose(lower.norm(dim=1), torch.ones(len(lower)), atol=1e-4) and (lower[:, 1] < 1e-4).all()


def test_any_gaussians_on_a_line_or_in_a_plane() -> None:
    line = world("gaussians", {"means": [0, 10], "stds": [1, 2], "weights": [3, 1], "negatives": {"means": [5]}})
    assert line.dimensions == 1 and line.negatives is not None and line.data.num_classes == 2
    assert (line.data.points > 5).float().mean() == pytest.approx(0.25, abs=0.02)
    assert world("gaussians", {"means": [[0, 0], [1, 2]], "stds": 0.1}).dimensions == 2


def test_a_mixtures_density_cdf_and_quantile_agree_with_each_other() -> None:
    mixture = Mixture.of([-1.0, 2.0], [0.5, 1.5], [1, 3])
    x = torch.tensor([-2.0, 0.0, 3.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(mixture.cdf(x).sum(), x)
    assert torch.allclose(slope, mixture.density(x.detach()[:, None]), atol=1e-12)
    (slope,) = torch.autograd.grad(mixture.cdf_integral(x).sum(), x)
    assert torch.allclose(slope, mixture.cdf(x), atol=1e-12)
    u = torch.tensor([1e-6, 0.3, 0.999], dtype=torch.float64)
    assert torch.allclose(mixture.cdf(mixture.quantile(u)), u, rtol=1e-9, atol=0)
    by_hand = 0.25 * math.exp(-0.5) / (0.5 * math.sqrt(2 * math.pi)) + 0.75 * math.exp(-0.5 * (2.5 / 1.5) ** 2) / (
        1.5 * math.sqrt(2 * math.pi)
    )
    assert mixture.density(torch.tensor([[-0.5]])).item() == pytest.approx(by_hand)


def test_a_plane_mixtures_density_by_hand() -> None:
    density = Mixture.of([[0.0, 0.0]], 0.5).density(torch.tensor([[0.3, 0.4]]))
    assert density.item() == pytest.approx(math.exp(-0.5) / (2 * math.pi * 0.25))


def test_points_of_a_file_are_standardised_together(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("x,y\n" + "\n".join(f"{100 + i},{2 * i}" for i in range(20)))
    assert read_points(file)[3].tolist() == [103, 6]
    drawn = world("points", file=file).data.points
    assert torch.allclose(drawn.mean(0), torch.zeros(2), atol=1e-6)
    assert drawn.square().mean().sqrt() == pytest.approx(1)
    assert (drawn[:, 1] / drawn[:, 0]).tolist() == pytest.approx([2.0] * 20, rel=1e-4)  # the shape stays
    np.save(tmp_path / "line.npy", np.arange(30, dtype=np.int16))
    assert world("points", file=tmp_path / "line.npy").dimensions == 1


@pytest.mark.parametrize(
    "text",
    [
        "1,2\n{}",
        "x,y\n1,2\n{}",
        "\n# made on a Monday\n\nx,y\n1,2\n{}",
        "x (a; b),y\n1,2\n{}",
        '"x","y"\n"1","2"\n{}',
        "1 , 2\n# between\n\n{}",
        "x y\n1  2\n{}",
        "x\ty\n1\t2\n{}",
    ],
)
def test_a_table_is_read_below_any_header(text: str, tmp_path: Path) -> None:
    mark = "\t" if "\t" in text else "," if "," in text else " "
    (tmp_path / "mine.csv").write_text(text.format("".join(f"{i}{mark}{i + 0.5}\n" for i in range(10))))
    assert read_points(tmp_path / "mine.csv").tolist() == [[1, 2], *([i, i + 0.5] for i in range(10))]


def test_points_of_a_sorted_file_are_shuffled_by_the_seed(tmp_path: Path) -> None:
    np.save(tmp_path / "sorted.npy", np.arange(4000.0))
    drawn = world("points", file=tmp_path / "sorted.npy").data.points
    assert drawn[:1000].mean().abs() < 0.1 and drawn[:500].std() == pytest.approx(1, abs=0.1)
    again, other = (world("points", file=tmp_path / "sorted.npy", seed=seed).data.points for seed in (0, 1))
    assert torch.equal(again, drawn) and not torch.equal(other, drawn)
    assert torch.equal(other.sort(0).values, drawn.sort(0).values)


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_an_image_of_more_than_8_bits_is_scaled_by_its_darkest_and_lightest_pixel(kind: Any, tmp_path: Path) -> None:
    shades = np.full((10, 20), 900, kind)
    shades[1, 3], shades[8, 15] = 300, 600
    file = tmp_path / ("deep.png" if kind is np.uint16 else "deep.tif")
    Image.fromarray(shades).save(file)
    drawn = points_of_image(file, 3000, seed=0)
    left = drawn[:, 0] < 0
    assert drawn[left].amin(0).tolist() == pytest.approx([(3 - 10) * 0.2, (5 - 2) * 0.2], abs=0.01)
    assert drawn[~left].amin(0).tolist() == pytest.approx([(15 - 10) * 0.2, (5 - 9) * 0.2], abs=0.01)
    assert left.float().mean() == pytest.approx(2 / 3, abs=0.03)  # twice as dark


def test_an_images_dark_pixels_are_where_points_fall(tmp_path: Path) -> None:
    shades = np.full((10, 20), 255, np.uint8)
    shades[1, 3] = 0
    file = tmp_path / "dot.png"
    Image.fromarray(shades).save(file)
    drawn = points_of_image(file, 500, seed=0)
    assert drawn.amin(0).tolist() == pytest.approx([(3 - 10) * 0.2, (5 - 2) * 0.2], abs=0.01)
    assert drawn.amax(0).tolist() == pytest.approx([(4 - 10) * 0.2, (5 - 1) * 0.2], abs=0.01)
    Image.fromarray(255 - shades).save(file)  # light on dark is inverted
    assert torch.equal(drawn, points_of_image(file, 500, seed=0))


def test_the_exif_orientation_of_an_image_is_applied(tmp_path: Path) -> None:
    shades = np.full((10, 20), 255, np.uint8)
    shades[1, 3] = 0
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate clockwise by 90 degrees
    Image.fromarray(shades).save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(np.rot90(shades, -1).copy()).save(tmp_path / "upright.png")
    turned, upright = (points_of_image(tmp_path / name, 50, seed=0) for name in ("turned.png", "upright.png"))
    assert torch.equal(turned, upright)


def _wrong(folder: Path) -> list[tuple[str, str]]:
    (folder / "words.csv").write_text("x,y\n1,2\n3,four\n")
    (folder / "ragged.csv").write_text("\n".join(["1,2"] * 12 + ["3"]))
    (folder / "one.csv").write_text("1,2\n")
    (folder / "wide.csv").write_text("\n".join(["1,2,3"] * 12))
    (folder / "same.csv").write_text("\n".join(["1,2"] * 12))
    (folder / "nan.csv").write_text("\n".join(["1,2"] * 12 + ["nan,3"]))
    (folder / "bytes.csv").write_bytes(b"\xff\xfe\x00\x81")
    (folder / "bad.npy").write_bytes(b"no array")
    np.save(folder / "text.npy", np.array(["a"] * 12))
    (folder / "mine.xlsx").write_bytes(b"PK")
    (folder / "rounding.csv").write_text("\n".join(["0.1,0.3"] * 12))  # whose mean is not exactly 0.1
    (folder / "offset.csv").write_text("\n".join(f"{1e15 + i % 2 * 0.125!r},1e15" for i in range(12)))
    (folder / "huge.csv").write_text("\n".join(f"{i}e200,1" for i in range(12)))
    (folder / "first.csv").write_text("1,2x\n" + "3,4\n5,6\n" * 8)
    (folder / "gap.csv").write_text("x,y\n" + "3,4\n" * 12 + "5,\n")
    (folder / "underscore.csv").write_text("3,4\n" * 12 + "1_05,3\n")
    (folder / "commas.csv").write_text("1,5;2,5\n" * 12)
    (folder / "quote.csv").write_text('x,y\n1,2\n"3,4\n' + "5,6\n" * 12)
    np.save(folder / "tiny.npy", np.arange(12) * 1e-300)
    np.savez(folder / "many.npz", np.zeros((12, 2)))
    (folder / "many.npz").rename(folder / "many.npy")
    (folder / "cut.npy").write_bytes((folder / "many.npy").read_bytes()[:60])
    return [
        ("words.csv", "line 3: 'four' is not a number"),
        ("rounding.csv", "all points are the same"),
        ("offset.csv", "which is rounding"),
        ("huge.csv", "too large: scale them down"),
        ("tiny.npy", "values up to 1.1e-299 are too small: scale them up"),
        ("first.csv", "line 1: '2x' is not a number"),
        ("gap.csv", "line 14: a value is missing"),
        ("underscore.csv", "line 13: '1_05' is not a number"),
        ("commas.csv", "line 1: '1,5' is not a number: write decimals with a point, 1.5"),
        ("quote.csv", "line 3: .* a stray quote"),
        ("many.npy", "an archive of arrays"),
        ("cut.npy", "not a readable .npy"),
        ("ragged.csv", "line 13: 1 numbers"),
        ("one.csv", "1 point"),
        ("wide.csv", r"\[12, 3\]"),
        ("same.csv", "all points are the same"),
        ("nan.csv", "point 13 is"),
        ("bytes.csv", "not valid text"),
        ("bad.npy", "not a readable .npy"),
        ("text.npy", "numbers"),
        ("mine.xlsx", r"\.csv and \.npy"),
        ("missing.csv", "is not a file"),
    ]


def test_wrong_files_of_points_are_named_in_one_line(tmp_path: Path) -> None:
    for name, message in _wrong(tmp_path):
        with pytest.raises(SparringError, match=message) as caught:
            world("points", file=tmp_path / name)
        assert "\n" not in str(caught.value)


def test_wrong_images_are_named_in_one_line(tmp_path: Path) -> None:
    Image.new("L", (8, 8), 200).save(tmp_path / "blank.png")
    (tmp_path / "text.png").write_text("no image")
    Image.new("1", (20_000, 20_000)).save(tmp_path / "vast.png")
    Image.fromarray(np.full((9, 9), np.nan, np.float32)).save(tmp_path / "nan.tif")
    Image.fromarray(np.full((9, 9), 70_000, np.int32)).save(tmp_path / "deep.tif")
    cases = (
        ("vast.png", "too many pixels"),
        ("nan.tif", "not finite"),
        ("deep.tif", "blank"),
        ("blank.png", "blank"),
        ("text.png", "not a readable image"),
        ("missing.png", "there is no image"),
    )
    for name, message in cases:
        with pytest.raises(SparringError, match=message):
            world("image", file=tmp_path / name)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ring8", {}, "did you mean 'ring-8'"),
        ("ring-8", {"sdt": 1}, "did you mean 'std'"),
        ("nat-1d", {"std": 1}, "it has none"),
        ("ring-8", {"std": 0}, "above 0 and up to 1000, got 0"),
        ("ring-8", {"std": "wide"}, "above 0 and up to 1000, got 'wide'"),
        ("ring-8", {"radius": 1e30}, "up to 1000"),
        ("ring-8", {"modes": 2.5}, "whole number"),
        ("ring-8", {"modes": 10**9}, "from 1 to 10000"),
        ("grid-25", {"side": 2000}, "from 1 to 100, got 2000"),
        ("checkerboard", {"side": 2000}, "from 2 to 100"),
        ("gaussians", {"stds": 1e-30}, "stds from 0.001 to 1000; got means up to 3 and stds from 1e-30"),
        ("gaussians", {"means": [1e200, 0]}, "got means up to 1e.200"),
        ("gaussians", {"negatives": {"means": [1e30]}}, "got means up to 1e.30"),
        ("gaussians", {"means": "many"}, "lists of numbers"),
        ("gaussians", {"means": [[1, 2, 3]]}, "pairs"),
        ("gaussians", {"means": []}, "means is a list"),
        ("gaussians", {"stds": [1, 2]}, "each of the 3 means"),
        ("gaussians", {"stds": -1}, "above 0"),
        ("gaussians", {"weights": [1]}, "each of the 3 means"),
        ("gaussians", {"means": [True, False]}, "lists of numbers"),
        ("gaussians", {"means": [[0, 1], [True, 2]]}, "lists of numbers"),
        ("gaussians", {"stds": True}, "lists of numbers"),
        ("gaussians", {"weights": [True, 1, 1]}, "weights is a list of numbers"),
        ("gaussians", {"means": [float("nan")]}, "finite"),
        ("gaussians", {"negatives": {"means": [[0, 0]]}}, "both the same"),
        ("gaussians", {"negatives": [1]}, "negatives is a mapping"),
        ("points", {}, "points FILE"),
    ],
)
def test_wrong_worlds_and_options(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SparringError, match=message):
        world(name, options)
