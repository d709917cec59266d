"""Projection: samples are found again, with their class given or searched."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import sparring
from sparring.errors import SparringError
from sparring.run.latents import latent
from sparring.studio import project as module
from sparring.studio.project import LONGEST, _distance, _nearest, project
from tiny_generators import saved, written


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROUNDS", ((12, 30), (4, 60)))


def test_the_distance_is_that_of_every_resolution() -> None:
    """Written out for images of 8x8 pixels: their own size, and means of 2x2."""
    a, b = torch.rand(2, 3, 8, 8), torch.rand(1, 3, 8, 8)
    half = lambda x: x.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))  # noqa: E731
    for i, found in enumerate(_distance(a, b)):
        expected = (a[i] - b[0]).square().mean() + (half(a[i : i + 1]) - half(b)).square().mean()
        torch.testing.assert_close(found, expected)
    assert F.avg_pool2d(b, 8).numel() == 3  # not compared: 4 pixels is the coarsest


@pytest.mark.parametrize("label", [None, "bee"])
def test_a_sample_is_found_again(label: str | None, tmp_path: Path) -> None:
    run = written(tmp_path / "run", conditioning="conditional_batch_norm")
    generator = sparring.load(run)
    sparring.sample(run, seeds=[77], labels="bee", out=tmp_path / "folder", note=lambda line: None)
    starts = generator.floats(torch.stack([latent(6, 0, i) for i in range(60)]), "bee")
    target = generator.floats(generator.latents([77]), "bee")
    found = project(run, tmp_path / "folder" / "seed-77.png", label=label, starts=60, out=tmp_path / "out")
    nearest = float((starts - target).abs().flatten(1).mean(1).min() * 127.5)
    assert found.pixel_error < 0.5 * nearest and found.class_name == "bee" and found.label == 1
    assert float(found.latent.norm()) <= LONGEST * 6**0.5 + 1e-4
    again = sparring.sample(run, latents=tmp_path / "out" / "latent.npz")
    assert torch.equal(again[0], found.image)
    said = json.loads((tmp_path / "out" / "result.json").read_text())
    assert said == found.numbers() and said["feature_distance"] is None and said["starts"] == 60
    difference = np.abs(again[0].numpy().astype(float) - found.target.numpy()).mean()
    assert abs(found.pixel_error - difference) < 1e-9 and (tmp_path / "out" / "side-by-side.png").is_file()


class Reds:
    """An extractor that sees how red an image is, and nothing else."""

    name, weights_sha256, resize, dimensions, class_names = "reds", "0" * 64, "none", 1, None

    def __call__(self, images: torch.Tensor) -> Any:
        from sparring.evaluation.extractors.base import Features

        return Features(images[:, :1].float().mean((2, 3)))


def test_starts_are_chosen_by_pixels_and_by_features() -> None:
    generator = saved("dcgan", width=4)
    latents = torch.stack([latent(6, 0, i) for i in range(40)])
    aim = generator.floats(generator.latents([77]))
    images = generator(latents)
    by_pixels = _distance(generator.floats(latents), aim).argsort()
    red = (images[:, 0].float().mean((1, 2)) - generator(generator.latents([77]))[0, 0].float().mean()).abs()
    assert torch.equal(_nearest(generator, latents, None, aim, 6, None), by_pixels[:6])
    chosen = _nearest(generator, latents, None, aim, 6, Reds()).tolist()
    assert len(set(chosen)) == 6 and set(by_pixels[:3].tolist()) | set(red.argsort()[:3].tolist()) <= set(chosen)
    found = project(generator, generator.sample(1)[0], starts=20, extractor=Reds())
    assert found.extractor == "reds" and found.feature_distance is not None
    expected = abs(float(found.image[0].float().mean() - found.target[0].float().mean()))
    assert abs(found.feature_distance - expected) < 1e-3


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    run = written(tmp_path / "run", conditioning="concat")
    (tmp_path / "broken.png").write_bytes(b"no image")
    Image.new("L", (40, 30)).save(tmp_path / "grey.png")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"image": tmp_path / "none.png"}, "there is no image"),
        ({"image": tmp_path / "broken.png"}, "cannot read image"),
        ({"image": torch.zeros(1, 32, 32, dtype=torch.uint8)}, "the image is uint8 [3, 32, 32], got"),
        ({"image": tmp_path / "grey.png", "label": "bea"}, "did you mean 'bee'"),
        ({"image": tmp_path / "grey.png", "starts": 0}, "starts is a whole number from 1, got 0"),
        ({"image": tmp_path / "grey.png", "extractor": "fashon"}, "unknown extractor 'fashon': did you mean 'fashion'"),
    ]
    for given, said in cases:
        with pytest.raises(SparringError, match=re.escape(said)):
            project(run, **given)
    with pytest.raises(SparringError, match="is unconditional: it takes no labels"):
        project(saved("dcgan", width=4), tmp_path / "grey.png", label=0)
    with pytest.raises(SparringError, match="depend on the others of their batch"):
        project(saved("dcgan", width=4, sampling_statistics="batch"), tmp_path / "grey.png")
