"""`sparring suggest`: what it sees, what it chooses, what it refuses, and that the recipe trains as it stands."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import sparring
from sparring import suggestion
from sparring.cli.main import app
from sparring.data.packed import PackedImages
from sparring.errors import SparringError
from sparring.recipe.gan import Recipe
from sparring.suggestion import measure
from sparring.suggestion.choose import Choice, choose
from sparring.suggestion.look import Seen, _asymmetry, look_at
from sparring.suggestion.measure import Cost
from sparring.suggestion.write import as_yaml


def write_pictures(folder: Path, count: int, size: tuple[int, int], *, mode: str = "RGB", seed: int = 0) -> None:
    folder.mkdir(parents=True)
    numbers = np.random.default_rng(seed)
    for i in range(count):
        shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
        Image.fromarray(numbers.integers(0, 256, shape, dtype=np.uint8), mode).save(folder / f"{i}.png")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two classes of 20 and 12 pictures of 40 x 20 pixels, one of them broken, one twice."""
    folder = tmp_path / "pictures"
    write_pictures(folder / "cats", 20, (40, 20))
    write_pictures(folder / "dogs", 12, (40, 20), seed=1)
    (folder / "cats" / "3.png").write_bytes(b"no picture")
    (folder / "dogs" / "copy.png").write_bytes((folder / "dogs" / "5.png").read_bytes())
    return folder


def costs(seconds: dict[int, float]) -> Callable[[dict[str, Any], int], Cost]:
    return lambda values, size: Cost(seconds[size], 2 * seconds[size])


def chosen(seen: Seen, seconds: float = 600, **steps: float) -> Choice:
    by_size = {32: 0.05, 64: 0.2, 128: 0.8} | {int(name[1:]): cost for name, cost in steps.items()}
    return choose("pictures", seen, seconds, costs(by_size), ("efficientnet-lite0", Cost(0.01, 0.02)))


def seen_of(images: PackedImages, **changes: Any) -> Seen:
    facts: dict[str, Any] = {"sides": (32, 32, 32), "ratio": 1.0, "unreadable": 0, "copies": 0, "asymmetry": 0.0}
    return Seen(images, **{**facts, **changes})


def plain(count: int, classes: int = 0, channels: int = 3) -> PackedImages:
    pixels = np.zeros((count, channels, 32, 32), np.uint8)
    labels = torch.arange(count) % classes if classes else None
    return PackedImages(torch.from_numpy(pixels), labels)


def test_what_is_seen(pictures: Path) -> None:
    seen = look_at(pictures)
    assert len(seen.images) == 32 and seen.per_class == [13, 19]
    assert (seen.sides, seen.ratio, seen.unreadable, seen.copies) == ((20, 20, 20), 2.0, 1, 1)
    said = "; ".join(seen.lines())
    for words in (
        "32 images, colour, PNG",
        "20 pixels",
        "2.00 times",
        "2 classes of 13 to 19",
        "1 file cannot",
        "1 image equal",
    ):
        assert words in said


def test_asymmetry_is_that_of_the_mean_image() -> None:
    numbers = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 200, (400, 1, 32, 32), generator=numbers, dtype=torch.uint8)
    right = noise.clone()
    right[..., 16:] += 50
    assert _asymmetry(PackedImages(noise)) < 0.1
    values = right.double()
    mean, spread = values.mean(0), values.std(0)
    by_hand = ((mean - mean.flip(-1)) ** 2).mean() ** 0.5 / (spread**2).mean() ** 0.5
    assert _asymmetry(PackedImages(right)) == pytest.approx(float(by_hand)) and by_hand > 0.5


@pytest.mark.parametrize(
    ("count", "size", "said"),
    [
        (4, (30, 30), "4 images cannot teach"),
        (20, (1, 40), "at most 1 pixel wide or high"),
        (20, (40, 3), "at most 3 pixels wide or high"),
    ],
)
def test_images_that_teach_nothing_are_refused(tmp_path: Path, count: int, size: tuple[int, int], said: str) -> None:
    write_pictures(tmp_path / "few", count, size, mode="L")
    with pytest.raises(SparringError, match=said):
        look_at(tmp_path / "few")


def test_copies_of_a_few_images_are_refused(tmp_path: Path) -> None:
    write_pictures(tmp_path / "few", 3, (30, 30), mode="L")
    for path in list((tmp_path / "few").iterdir()):
        for i in range(9):
            shutil.copy(path, path.with_name(f"{path.stem}-copy{i}{path.suffix}"))
    with pytest.raises(SparringError, match=r"^only 3 of the 30 images differ from each other: give at least 16"):
        look_at(tmp_path / "few")


@pytest.mark.parametrize("name", ["0.PNG", "mine.yaml"])
def test_a_file_that_holds_no_images_is_not_called_a_damaged_zip(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(SparringError, match=r"is neither a folder, .* put single images into a folder$"):
        look_at(tmp_path / name)


def test_classes_of_one_size_are_said_in_one_number() -> None:
    assert "3 classes of 20 images each" in seen_of(plain(60, 3)).lines()


def test_the_time_decides_size_and_steps() -> None:
    seen = seen_of(plain(50_000), sides=(64, 200, 300))
    short, long = chosen(seen, 600), chosen(seen, 8 * 3600)
    assert short.values["data"]["size"] == 32 and "64 would need" in short.why["data.size"]
    assert long.values["data"]["size"] == 128 and "not tuned" in long.why["data.size"]
    measured = (
        5_000 + 2 * 2_000
    ) * 0.01  # the real images once, generated ones as often as a seventh of the time allows
    assert short.values["steps"] == (600 - 15 - measured) / 0.05 // 100 * 100
    assert short.seconds == pytest.approx(15 + measured + short.values["steps"] * 0.05) and short.seconds <= 600
    assert short.cpu_seconds == pytest.approx(15 + 2 * measured + short.values["steps"] * 0.1)
    assert chosen(seen_of(plain(50_000), sides=(40, 50, 60)), 8 * 3600).values["data"]["size"] == 32


def test_a_size_that_most_images_lack_is_not_chosen() -> None:
    assert chosen(seen_of(plain(100), sides=(10, 20, 400)), 8 * 3600).values["data"]["size"] == 32


def test_classes_are_learned_apart_if_they_are_large_enough() -> None:
    apart = chosen(seen_of(plain(60, classes=3))).values
    assert (apart["discriminator"]["conditioning"], apart["data"]["num_classes"]) == ("projection", 3)
    together = chosen(seen_of(plain(60, classes=12)))
    assert together.values["discriminator"]["conditioning"] == "none" and "num_classes" not in together.values["data"]
    assert "smallest class has 5 images" in together.why["discriminator.conditioning"]


def test_few_images_are_augmented_and_symmetric_ones_mirrored() -> None:
    few, many = chosen(seen_of(plain(60))).values, chosen(seen_of(plain(10_000), asymmetry=0.5)).values
    assert few["augment"] == {"kind": "diffaugment"} and few["data"]["flip"]
    assert "augment" not in many and not many["data"]["flip"]
    assert chosen(seen_of(plain(20))).values["batch_size"] == 20


def test_measuring_takes_a_share_of_the_time() -> None:
    seen = seen_of(plain(50_000))
    for seconds in (600, 3600, 8 * 3600):
        evaluation = chosen(seen, seconds).values["evaluation"]
        steps = chosen(seen, seconds).values["steps"]
        images = evaluation["n_real"] + evaluation["n"] * -(-steps // evaluation["every"])
        assert images * 0.01 <= 0.15 * seconds
    without = choose("pictures", seen, 600, costs({32: 0.05}), None)
    assert without.values["evaluation"] is None and "sparring[offline]" in without.why["evaluation"]


def test_the_file_says_what_was_chosen() -> None:
    choice = chosen(seen_of(plain(60, classes=3), unreadable=2))
    text = as_yaml(choice.values, choice.why, ["a head"])
    assert yaml.safe_load(text) == choice.values and text.startswith("# a head\n")
    assert all(f"# {reason}" in text for reason in choice.why.values())
    assert Recipe.load(choice.values).data.skip_unreadable


def test_the_recipe_trains_as_it_stands(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried: list[Recipe] = []

    def cost(recipe: Recipe, images: PackedImages, device: str | None) -> Cost:
        tried.append(recipe)
        assert images.size == recipe.data.size
        return Cost(0.05, 0.05)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(suggestion, "cost_of_a_step", cost)
    monkeypatch.setattr(suggestion, "usable_extractors", lambda images: [])
    app(["suggest", "pictures", "--minutes", "2"], standalone_mode=False)
    assert "train it  sparring train mine.yaml" in capsys.readouterr().out and len(tried) == 1
    small = {"steps": 2, "generator.network.width": 2, "discriminator.network.width": 2}
    run = sparring.train("mine.yaml", small, out="run", report=False)
    assert run.recipe.data.skip_unreadable and run.recipe.data.num_classes == 2
    with pytest.raises(SparringError, match=r"mine\.yaml' exists already"):
        app(["suggest", "pictures"], standalone_mode=False)


def test_what_is_measured_is_a_step_of_the_recipe(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "SECONDS", 0.0)
    recipe = Recipe.load(
        chosen(look_at(pictures)).values, {"generator.network.width": 2, "discriminator.network.width": 2}
    )
    cost = measure.cost_of_a_step(recipe, look_at(pictures).images)
    assert 0 < cost.seconds < 60 and 0 < cost.cpu_seconds < 60


@pytest.mark.parametrize(
    "given", [{"minutes": 5, "hours": 1}, {"minutes": 0.1}, {"hours": 9999}, {"minutes": float("nan")}]
)
def test_a_time_that_makes_no_sense_is_refused(given: dict[str, float]) -> None:
    with pytest.raises(SparringError, match=r"minutes"):
        suggestion.suggest("pictures", **given)
