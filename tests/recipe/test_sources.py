"""Where recipes find data that no program can fetch, and what they say when it is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from sparring.data.arrays import write_npz
from sparring.data.packed import PackedImages
from sparring.data.sources import load
from sparring.errors import SparringError
from sparring.evaluation.protocol import check_evaluation, reference_images
from sparring.recipe.gan import Evaluation, Recipe
from sparring.run.data import RunData, load_run_data


def save(folder: Path, names: list[str], level: int = 0) -> None:
    folder.mkdir(parents=True)
    for i, name in enumerate(names):
        Image.new("RGB", (8, 8), (level, i, 0)).save(folder / name)


def test_a_named_folder_lies_below_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARRING_DATA", str(tmp_path))
    save(tmp_path / "celeba", ["a.png", "b.png", "c.png"])
    assert len(load("folder:celeba", size=4)) == 3
    write_npz(tmp_path / "faces.npz", PackedImages(torch.zeros(5, 3, 4, 4, dtype=torch.uint8), None, (), name="faces"))
    assert len(load("folder:faces")) == 5


def test_a_missing_one_says_in_one_line_what_to_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARRING_DATA", str(tmp_path))
    with pytest.raises(SparringError) as raised:
        load_run_data(Recipe.load("mhgan/mhgan-imagenet128"), print)
    message = str(raised.value)
    assert "imagenet" in message and str(tmp_path) in message and "data.source=PATH" in message and "\n" not in message
    with pytest.raises(SparringError, match="called ''"):
        load("folder:")


def test_missing_cifar_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torchvision")
    monkeypatch.setenv("SPARRING_DATA", str(tmp_path))
    with pytest.raises(SparringError, match=r"SPARRING_DATA .*data\.download=true") as raised:
        load_run_data(Recipe.load("nat-gan/nat-gan-3-cifar10"), print)
    assert "\n" not in str(raised.value)
    with pytest.raises(SparringError, match="has no data set 'CIFAR1'"):
        load("torchvision:CIFAR1")


def test_held_out_classes_are_the_negatives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Tiny ImageNet's: positives and negatives from one folder, labels in the order that the recipe lists."""
    monkeypatch.setenv("SPARRING_DATA", str(tmp_path))
    recipe = Recipe.load("nat-gan/nat-gan-3-tiny-imagenet")
    assert isinstance(recipe.data.classes, list) and recipe.negatives and isinstance(recipe.negatives.classes, list)
    for level, wnid in enumerate([*recipe.data.classes, *recipe.negatives.classes]):
        save(tmp_path / "tiny-imagenet-200" / "train" / str(wnid) / "images", ["0.png"], level)
    save(tmp_path / "tiny-imagenet-200" / "train" / "n99999999" / "images", ["0.png"])
    data = load_run_data(recipe, print)
    assert data.real.num_classes == 100 and data.negatives is not None and len(data.negatives) == 20
    assert data.real.images[:, 0, 0, 0][data.real.labels.argsort()].tolist() == list(range(100))  # type: ignore[union-attr]
    assert sorted(data.negatives.images[:, 0, 0, 0].tolist()) == list(range(100, 120))
    assert data.real.images.shape[2:] == data.negatives.images.shape[2:] == (32, 32)


def test_the_reference_is_as_many_images_as_the_protocol_says() -> None:
    images = PackedImages(torch.arange(12, dtype=torch.uint8).view(12, 1, 1, 1), None, (), name="numbers")
    data = RunData(images)

    def pixels(**evaluation: int) -> list[int]:
        found = reference_images(data, Evaluation(**evaluation))
        assert found.seed == (evaluation.get("seed", 0) if "n_real" in evaluation else None)
        return found.take(0, found.n).flatten().tolist()

    assert pixels() == images.images.flatten().tolist()
    drawn = pixels(n_real=5)
    assert len(set(drawn)) == 5 and drawn == pixels(n_real=5) != pixels(n_real=5, seed=1)
    with pytest.raises(SparringError, match="n_real is 13, but numbers has 12"):
        reference_images(data, Evaluation(n_real=13))


def test_few_labels_to_train_on_and_all_to_measure_with() -> None:
    packed = PackedImages(
        torch.arange(40, dtype=torch.uint8).view(40, 1, 1, 1), torch.arange(40) % 2, ("a", "b"), name="few"
    )
    recipe = Recipe.load(
        "quickstart",
        ["data.labelled=0.1", "data.split=null", "data.size=null", "data.channels=null", "data.num_classes=2"],
    )
    data = load_run_data(recipe, print, data=packed)
    assert len(data.real) == 4 and data.unlabelled is not None and len(data.unlabelled) == 40
    assert data.unlabelled.labels is None
    assert torch.equal(data.reference(None).labels, packed.labels)
    check_evaluation(data, Evaluation(metrics=["intra"]), torch.nn.Identity())
