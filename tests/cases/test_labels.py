"""Labels, class names and class shares: numbers and pictures that used to be of another class than requested."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import sparring
from sparring import cli
from tiny import tiny_images, tiny_recipe

pytestmark = pytest.mark.usefixtures("without_reports")
Result = tuple[int, str, str]


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Result]:
    """`command("train", ...)` runs in this process and returns (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*words: Any) -> Result:
        monkeypatch.setattr(sys, "argv", ["sparring", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return run


def folders(root: Path, counts: dict[str, int], side: int = 8, mode: str = "L") -> Path:
    """Class folders with the given numbers of noise images, whose grey level identifies the class by its position."""
    rng = np.random.default_rng(0)
    for place, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for i in range(count):
            shape = (side, side) if mode == "L" else (side, side, 3)
            pixels = (20 * place + rng.integers(0, 20, shape)).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


def conditional(**changes: Any) -> dict[str, Any]:
    recipe = tiny_recipe(steps=1, **changes)
    recipe["generator"]["network"]["conditioning"] = "conditional_batch_norm"
    recipe["discriminator"]["conditioning"] = "projection"
    return recipe


def refused(result: Result, *parts: str) -> None:
    code, out, err = result
    line = err.splitlines()[-1]  # notes may precede it
    assert code == 2 and out == "" and line.startswith("sparring: ") and "Traceback" not in err, err
    for part in parts:
        assert part in line, err


# --- 7: one rule for names and numbers ---
def test_case_07_a_label_that_is_a_class_name_is_that_class(tmp_path: Path, command: Callable[..., Result]) -> None:
    names = {"0": 4, "1": 4, "10": 4, "2": 4}
    source = folders(tmp_path / "numbers", names)
    assert sparring.load_images(source).class_names == ("0", "1", "2", "10")
    two = sparring.load_images(source, classes="2")
    assert two.class_names == ("2",) and (two.images >= 60).all()  # the fourth folder in this list
    assert torch.equal(sparring.load_images(source, classes=[2]).images, two.images)
    assert sparring.load_images(source, classes="10,0").class_names == ("10", "0")

    run = sparring.train(conditional(data=str(source)), out=tmp_path / "run")
    by_position = run.sample(3, labels=torch.tensor([2, 2, 2]))
    for label in ("2", 2, ["2", 2, "2"]):
        assert torch.equal(run.sample(3, labels=label), by_position), label
    assert torch.equal(run.sample(3, labels=np.array(["2", "2", "2"])), by_position)
    assert torch.equal(run.sample(3, labels=np.array([2, 2, 2])), by_position)
    for label in (np.array(["two"] * 3), b"2", [b"2"] * 3, True, [2.0] * 3, np.array([2.0] * 3)):
        with pytest.raises(sparring.SparringError):
            run.sample(3, labels=label)
    assert torch.equal(run.sample(3, labels=10), run.sample(3, labels="10"))
    assert not torch.equal(run.sample(3, labels=10), by_position)
    assert command("sample", run.folder, "--label", "10", "--n", 3, "--out", "ten.npz")[0] == 0
    assert np.array_equal(np.load(tmp_path / "ten.npz")["images"], run.sample(3, labels="10").numpy())
    refused(command("sample", run.folder, "--label", "4", "--out", "four.npz"), "no class 4", "0 to 3")


def test_case_07_numbers_are_positions_only_if_they_equal_no_name(tmp_path: Path) -> None:
    source = folders(tmp_path / "from-one", {"1": 3, "2": 3, "3": 3})
    assert sparring.load_images(source, classes=1).class_names == ("1",)
    assert sparring.load_images(source, classes="1-2").class_names == ("1", "2")
    assert sparring.load_images(source, classes=0).class_names == ("1",)  # no class is called 0
    padded = folders(tmp_path / "padded", {"01": 3, "02": 3, "10": 3})
    command_line_values = ["data.classes=[02, 01]"]
    from sparring import Recipe

    recipe = Recipe.load(tiny_recipe(data={"source": str(padded)}), command_line_values)
    assert recipe.data.classes == ["02", "01"]
    assert Recipe.load(tiny_recipe(data={"source": str(padded)}), ["data.classes=10"]).data.classes in (10, "10")


# --- 9: classes without images ---
@pytest.mark.parametrize("labels", [[0, 50, 100], [1, 2, 3]])
def test_case_09_a_gan_refuses_classes_without_images(
    labels: list[int], tmp_path: Path, command: Callable[..., Result], recipe_file: Callable[..., Path]
) -> None:
    images = tiny_images(30).images.permute(0, 2, 3, 1).numpy()
    np.savez(tmp_path / "gaps.npz", images=images, labels=np.resize(labels, 30))
    recipe = recipe_file(values=conditional())
    refused(command("train", recipe, "data=gaps.npz", "--out", "a"), "no image", "data.renumber=true")
    assert not (tmp_path / "a").exists()
    assert command("train", recipe, "data=gaps.npz", "data.renumber=true", "--out", "b")[0] == 0
    described = json.loads((tmp_path / "b" / "generator.json").read_text())
    assert described["num_classes"] == 3 and described["class_names"] == [str(label) for label in labels]
    refused(command("sample", "b", "--label", "7", "--out", "x.npz"), "no class 7")
    assert command("sample", "b", "--label", labels[-1], "--n", 2, "--out", "x.npz")[0] == 0


def test_case_09_an_empty_class_folder_is_not_a_class(
    tmp_path: Path, command: Callable[..., Result], recipe_file: Callable[..., Path]
) -> None:
    source = folders(tmp_path / "pets", {"cat": 9, "cow": 0, "dog": 9})
    recipe = recipe_file(values=conditional())
    refused(command("train", recipe, f"data={source}", "--out", "a"), "1 of the 3 classes", "cow", "data.renumber=true")
    assert command("train", recipe, f"data={source}", "data.renumber=true", "--out", "b")[0] == 0
    assert json.loads((tmp_path / "b" / "generator.json").read_text())["class_names"] == ["cat", "dog"]


def test_case_09_declared_classes_without_images_from_python(tmp_path: Path) -> None:
    class Subset:
        classes = ("ant", "bee", "cow", "dog")

        def __len__(self) -> int:
            return 20

        def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
            return np.full((8, 8), i, np.uint8), 3 * (i % 2)

    with pytest.raises(sparring.SparringError, match=r"2 of the 4 classes of .* \(bee, cow\).*data\.renumber=true"):
        sparring.train(conditional(), out=tmp_path / "a", data=Subset())
    run = sparring.train(conditional(data={"source": "x", "renumber": True}), out=tmp_path / "b", data=Subset())
    assert sparring.load(run).class_names == ("ant", "dog")


# --- 10: names that are not text ---
def test_case_10_class_folders_named_in_latin_1(
    tmp_path: Path, command: Callable[..., Result], recipe_file: Callable[..., Path]
) -> None:
    source = folders(tmp_path / "drinks", {"caf\udce9": 6, "tea": 6})
    try:
        os.stat(os.fsencode(source) + b"/caf\xe9/0.png")
    except OSError:
        pytest.skip("this file system takes no such names")
    recipe = recipe_file(values=conditional())
    code, _, err = command("train", recipe, f"data={source}", "data.classes=[tea, 'caf\\xe9']", "--out", "run")
    assert code == 0, err
    described = json.loads((tmp_path / "run" / "generator.json").read_text())
    assert described["class_names"] == ["tea", "caf\\xe9"]
    assert command("sample", "run", "--label", "caf\\xe9", "--n", 2, "--out", "cafe.png")[0] == 0
    assert command("pack", source, "--out", "drinks.npz", "--json")[0] == 0
    assert sparring.load_images(tmp_path / "drinks.npz").class_names == ("caf\\xe9", "tea")
    (source / "caf\\xe9").mkdir()
    refused(command("pack", source, "--out", "again.npz"), "shown as 'caf\\xe9'", "rename")


# --- 8: class shares ---
PER_CLASS = [800] + [40] * 9  # training images of each class
HELD_OUT = [200] + [10] * 9


class DrawsRealImages(torch.nn.Module):
    """A perfect conditional generator: it returns a held-out real image of the requested class."""

    conditioning = "stub"

    def __init__(self, *, image_size: int, num_classes: int) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))
        test = sparring.load_images("fashion-mnist-10k", split="test")
        assert test.labels is not None
        index = torch.stack([(test.labels == k).nonzero()[:, 0] for k in range(num_classes)])  # [K, 200]
        self.register_buffer("images", test.batch(index.flatten())[0].view(num_classes, -1, 1, 32, 32))

    def forward(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        which = (z[:, 0].double() * 1e6).long() % self.images.shape[1]
        return self.images[labels, which] * self.scale


def shares_of(split: str, counts: list[int], draw: int = 0) -> Any:
    """A random subset of a split of the fashion images, with the given number per class."""
    whole = sparring.load_images("fashion-mnist-10k", split=split)
    assert whole.labels is not None
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(draw))
    rows = [order[whole.labels[order] == k][:count] for k, count in enumerate(counts)]
    return whole.take(torch.cat(rows))


def fashion_fd(images: Any, real: Any, **options: Any) -> dict[str, Any]:
    (record,) = sparring.evaluate(images, real=real, metrics="fd", extractor="fashion", **options)
    return record


@pytest.fixture(scope="module")
def perfect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A run of the stub on the imbalanced data set, evaluated at its end."""
    recipe = tiny_recipe(steps=1, batch_size=4, data={"source": "python:imbalanced"})
    recipe["evaluation"] = {"n": 290, "metrics": ["fd"], "extractor": "fashion"}
    recipe["generator"] = {"network": f"{__name__}:DrawsRealImages", "latent_size": 2, "optimizer": {"lr": 0.0}}

    folder = tmp_path_factory.mktemp("perfect") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARRING_ALLOW_CODE", "1")  # the stub is in this file
        yield sparring.train(recipe, out=folder, data=shares_of("train", PER_CLASS))


def test_case_08_a_perfect_conditional_generator_is_as_close_as_real_images(perfect: Any) -> None:
    imbalanced, n = shares_of("train", PER_CLASS), sum(HELD_OUT)
    reals = [fashion_fd(shares_of("test", HELD_OUT, draw), imbalanced)["value"] for draw in (0, 1, 2)]
    measured = [fashion_fd(perfect.folder, imbalanced, n=n, seed=seed) for seed in (0, 1, 2)]
    values = [record["value"] for record in measured]
    noise = max(max(each) - min(each) for each in (reals, values))
    assert abs(sum(values) - sum(reals)) / 3 < 2 * noise < 0.5, (reals, values)
    at_the_end = perfect.metrics[-1]
    assert at_the_end["value"] < 2 * max(reals)
    assert {record["labels"] for record in [*measured, at_the_end]} == {"data"}


def test_case_08_uniform_labels_are_available_on_request(perfect: Any, command: Callable[..., Result]) -> None:
    imbalanced = shares_of("train", PER_CLASS)
    uniform = fashion_fd(perfect.folder, imbalanced, n=290, labels="uniform")
    assert uniform["labels"] == "uniform" and uniform["value"] > 15
    refused(command("evaluate", perfect.folder, "--real", "fashion-mnist-10k", "--labels", "even"), "data or uniform")


# --- 11: a user's images in one command ---
def photos(root: Path, sizes: list[tuple[int, int]], mode: str = "RGB") -> Path:
    root.mkdir(parents=True)
    rng = np.random.default_rng(1)
    for i, (width, height) in enumerate(sizes):
        shape = (height, width, 3) if mode == "RGB" else (height, width)
        Image.fromarray(rng.integers(0, 256, shape).astype(np.uint8)).save(root / f"{i}.png")
    return root


SMALL = ("generator.network.width=4", "discriminator.network.width=4", "steps=1", "batch_size=8", "evaluation=null")


def test_case_11_a_flat_folder_of_photos_trains_an_unconditional_gan(
    tmp_path: Path, command: Callable[..., Result]
) -> None:
    photos(tmp_path / "mine", [(40, 30), (33, 50)] * 6)
    words = ("train", "quickstart", "data=mine", *SMALL, "--out", "run")
    code, _, err = command(*words)
    assert code == 0, err
    assert "no classes: an unconditional GAN is trained" in err and "resized to 32x32" in err
    assert sparring.load(tmp_path / "run").sample(2).shape == (2, 3, 32, 32)
    recorded = json.loads((tmp_path / "run" / "recipe.json").read_text())["recipe"]
    assert recorded["discriminator"]["conditioning"] == recorded["generator"]["network"]["conditioning"] == "none"
    # the same command again, with more steps
    code, _, err = command(*words[:-2], "--out", "run", "--resume", "steps=2")
    assert code == 0 and "resuming" in err, err
    assert command("sample", "run", "--n", 2, "--out", "two.png")[0] == 0
    code, out, err = command("show", "quickstart", "data=mine", "batch_size=8", "--json")
    assert code == 0 and json.loads(out)["images"] == {"size": 32, "channels": 3, "num_classes": 0}


def test_case_11_class_folders_need_only_their_path(tmp_path: Path, command: Callable[..., Result]) -> None:
    folders(tmp_path / "pets", {"cat": 6, "cow": 6, "dog": 6}, side=20, mode="RGB")
    code, _, err = command("train", "quickstart", "data=pets", *SMALL, "--out", "run")
    assert code == 0, err
    saved = sparring.load(tmp_path / "run")
    assert saved.class_names == ("cat", "cow", "dog") and saved.sample(1).shape == (1, 3, 32, 32)


@pytest.mark.parametrize("term", ["multi_hinge", "nat_gan", "am_gan"])
def test_case_11_the_error_for_a_term_that_needs_classes_says_what_to_do(
    term: str, tmp_path: Path, command: Callable[..., Result]
) -> None:
    photos(tmp_path / "mine", [(8, 8)] * 9)
    changes = [f"objective.{term}={{}}", *(["objective.hinge=null"] if term != "multi_hinge" else [])]
    words = ("train", "quickstart", "data=mine", *changes, *SMALL)
    refused(command(*words, "--out", "a"), f"objective.{term} needs class labels", f"objective.{term}=null")
    assert command(*words, f"objective.{term}=null", "objective.hinge={}", "--out", "b")[0] == 0


# --- 17: formats ---
def test_case_17_compression_of_one_set_is_noted(tmp_path: Path, command: Callable[..., Result]) -> None:
    test = sparring.load_images("fashion-mnist-10k", split="test").images[:200, 0].numpy()
    (tmp_path / "png").mkdir()
    for quality in (50, 90):
        (tmp_path / f"jpeg{quality}").mkdir()
        for i, pixels in enumerate(test):
            Image.fromarray(pixels).save(tmp_path / f"jpeg{quality}" / f"{i}.jpg", quality=quality)
    for i, pixels in enumerate(test):
        Image.fromarray(pixels).save(tmp_path / "png" / f"{i}.png")
    assert command("pack", "jpeg50", "--out", "packed.npz")[0] == 0

    def record(images: str, real: str) -> dict[str, Any]:
        words = ("evaluate", images, "--real", real, "--extractor", "fashion", "--metrics", "fd", "--json")
        code, out, err = command(*words)
        assert code == 0, err
        return dict(json.loads(out)[0])

    for images in ("jpeg50", "packed.npz"):
        found = record(images, "png")
        assert found["value"] > 1 and (found["stored_fake"], found["stored_real"]) == ("JPEG of quality 50", "PNG")
        assert any("compression alone sets them apart" in note for note in found["notes"])
    assert any("JPEG of quality 90" in note for note in record("jpeg50", "jpeg90")["notes"])
    same = record("jpeg50", "jpeg50")
    assert not any("compression" in note for note in same["notes"])
