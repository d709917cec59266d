"""Reference statistics on disk: kept where their key tells all that they depend on, done without where they cannot be."""

import sys
from pathlib import Path
from pydoc import locate

import torch
from torch import nn

import sparring
from sparring.data.packed import PackedImages
from sparring.evaluation import engine as evaluate
from sparring.evaluation import evaluate_images
from sparring.evaluation.extractors.base import Features, NetworkExtractor
from sparring.evaluation.extractors.classifier import ClassifierExtractor
from sparring.evaluation.extractors.module import ModuleExtractor
from sparring.evaluation.extractors.registry import EXTRACTORS
from sparring.files import cache_folder

sys.path.insert(0, str(Path(__file__).parent))
from two_sets import FAKES, REALS, Corners


class Scaled(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale  # no parameter and no buffer: nothing in the state

    def forward(self, images):
        return images.flatten(1)[:, :4] * self.scale


def measure(extractor, **options):
    def generate(start, count):
        return FAKES.images[start : start + count]

    (record,) = evaluate_images(generate, REALS, extractor=extractor, n=31, metrics=("fd",), **options)
    return record


def test_a_module_from_python_gets_no_others_statistics():
    values = [measure(ModuleExtractor(Scaled(s), REALS.images))["value"] for s in (1.0, 3.0, 1.0)]
    assert abs(values[1] / values[0] - 9) < 1e-4 and values[2] == values[0]
    assert not (cache_folder() / "reference").exists()
    torchscript = ModuleExtractor(Scaled(1.0), REALS.images, weights_sha256="of the file")
    assert measure(torchscript)["value"] == values[0]
    assert len(list((cache_folder() / "reference").iterdir())) == 1


class Foreign:
    """An object of a user's, that says the same of itself whatever its code does."""

    name, weights_sha256, resize, dimensions, class_names = "mine", "x", "none", 4, None

    def __init__(self, scale):
        self.scale = scale

    def __call__(self, images):
        return Features(images.float().flatten(1)[:, :4] * self.scale)


def test_an_object_from_python_gets_no_others_statistics_unless_it_says_that_its_hash_tells_all():
    values = [measure(Foreign(s))["value"] for s in (1.0, 3.0, 1.0)]
    assert abs(values[1] / values[0] - 9) < 1e-4 and values[2] == values[0]
    assert not (cache_folder() / "reference").exists()
    sure = Foreign(1.0)
    sure.cacheable = True
    assert measure(sure)["value"] == values[0]
    assert len(list((cache_folder() / "reference").iterdir())) == 1


def test_statistics_through_the_librarys_own_extractors_are_kept():
    classes = [locate(place.replace(":", ".")) for place in EXTRACTORS.values()]
    assert all(each.cacheable for each in [*classes, ClassifierExtractor])
    assert not ModuleExtractor(Scaled(1.0), REALS.images).cacheable and not NetworkExtractor.cacheable


def test_another_version_of_the_package_measures_anew(monkeypatch):
    measure(Corners())
    monkeypatch.setattr(evaluate, "__version__", "0.0.0")
    measure(Corners())
    assert len(list((cache_folder() / "reference").iterdir())) == 2


def test_a_cache_that_cannot_be_written_costs_no_measurement(tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("no folder")
    said = []
    record = measure(Corners(), cache=in_the_way / "reference", note=said.append)
    assert record["value"] == measure(Corners(), cache=tmp_path / "kept")["value"]
    assert len(said) == 1 and "statistics of the real images are not cached" in said[0]
    (again,) = sparring.evaluate(
        PackedImages(FAKES.images), real=REALS, extractor=Corners(), metrics=("fd",), n=31, note=said.append
    )
    assert torch.tensor(again["value"]).isclose(torch.tensor(record["value"]))
