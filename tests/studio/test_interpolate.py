"""Films between images: the path, the pace, and the places that it passes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import sparring
from sparring.errors import SparringError
from sparring.report.film import find_ffmpeg
from sparring.run.saved_generator import SavedGenerator
from sparring.studio.interpolate import _shares, between, great_circle
from sparring.studio.keys import Keys, keys_of
from tiny_generators import saved, written

QUIET = {"note": lambda line: None}


def film(generator: SavedGenerator, frames: int | None = 60, loop: bool = False, **which: Any) -> Tensor:
    given = {"seeds": None, "latents": None, "labels": None, "truncation": None} | which
    return between(generator, keys_of(generator, **given, **QUIET), frames=frames, loop=loop, **QUIET)


def jumps(images: Tensor) -> Tensor:
    return (images[1:].double() - images[:-1].double()).flatten(1).norm(dim=1)


def test_a_great_circle_turns_evenly_and_grows_evenly() -> None:
    """By hand: a quarter of a circle, from length 1 to length 2."""
    a, b = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 2.0, 0.0])
    found = great_circle(a, b, torch.tensor([0, 1 / 3, 0.5, 1]))
    cos, sin = 3**0.5 / 2, 0.5
    expected = [[1, 0, 0], [cos * 4 / 3, sin * 4 / 3, 0], [1.5 / 2**0.5, 1.5 / 2**0.5, 0], [0, 2, 0]]
    torch.testing.assert_close(found, torch.tensor(expected))
    half = torch.tensor([0.5])
    torch.testing.assert_close(great_circle(a, 3 * a, half), 2 * a[None])  # on one line
    torch.testing.assert_close(great_circle(a, -a, half), torch.zeros(1, 3))
    near = torch.tensor([1.0, 1e-2, 0.0])
    torch.testing.assert_close(great_circle(a, near, half).norm(), (1 + near.norm()) / 2)


@pytest.mark.parametrize(
    ("conditioning", "labels"),
    [("none", None), ("concat", None), ("concat", "cat,ant,bee"), ("conditional_batch_norm", "cat,ant,bee")],
)
def test_the_image_changes_at_an_even_pace(conditioning: str, labels: str | None) -> None:
    generator = saved("dcgan", width=4, conditioning=conditioning)
    images = film(generator, seeds="1,5,9", labels=labels)
    found = jumps(images)
    assert len(images) == 60 and float(found.max()) < 1.5 * float(found.median()) and float(found.min()) > 0
    ends = generator.sample(seeds=[1, 5, 9], labels=None if labels is None else ["cat", "ant", "bee"])
    at = [int((images.double() - end.double()).flatten(1).norm(dim=1).argmin()) for end in ends]
    assert at[0] == 0 and at[2] == 59 and 5 < at[1] < 54
    assert int((images[at].int() - ends.int()).abs().max()) <= 1  # weights of one class add zeros of the others


class Steep(nn.Module):
    """Grey images that change only around one place."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(8.0), requires_grad=False)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return torch.tanh(self.slope * z[:, 0]).view(-1, 1, 1, 1).expand(-1, 3, 4, 4)


def test_frames_are_dense_where_the_image_changes_fast() -> None:
    generator = SavedGenerator(Steep(), {"latent_size": 2, "num_classes": 0, "class_names": []})
    ends = torch.tensor([[-1.0, 1.0], [1.0, 1.0]])
    found = jumps(between(generator, Keys(ends, None, ("a", "b")), frames=60, loop=False, **QUIET))
    assert float(found.max()) < 1.5 * float(found.median())  # 4 or 5 levels of 255
    even = jumps(generator(great_circle(ends[0], ends[1], torch.linspace(0, 1, 60))))
    assert float(even.max()) > 20 * float(even.median())


def test_a_loop_returns_and_one_seed_passes_through_classes() -> None:
    generator = saved("dcgan", width=4, conditioning="concat")
    images = film(generator, 30, loop=True, seeds="7", labels="ant,bee,cat")
    found = jumps(torch.cat([images, images[:1]]))
    assert len(images) == 30 and float(found.max()) < 2 * float(found.median())
    assert int((images[0].int() - generator.sample(seeds=[7], labels="ant")[0].int()).abs().max()) <= 1
    assert len(film(generator, None, seeds="1-3")) == 120 and len(film(generator, 2, seeds="1-2")) == 2


def test_a_class_that_is_not_blended_changes_half_way() -> None:
    generator = saved("dcgan", width=4, conditioning="concat")
    generator.module.blends_labels = False
    notes: list[str] = []
    keys = keys_of(generator, seeds="1,5", latents=None, labels="ant,cat", truncation=None, **QUIET)
    images = between(generator, keys, frames=60, loop=False, note=notes.append)
    assert "the class changes half-way" in notes[0]
    found = jumps(images)
    switch = int(found.argmax())
    assert float(found[switch]) > 3 * float(found.median())
    others = torch.cat([found[:switch], found[switch + 1 :]])
    assert float(others.max()) < 2 * float(others.median())


def test_stretches_share_the_frames_by_their_length() -> None:
    assert _shares([torch.tensor(1.0), torch.tensor(3.0)], 40) == [10, 30]
    assert _shares([torch.tensor(0.0), torch.tensor(3.0), torch.tensor(0.0)], 5) == [1, 3, 1]
    assert _shares([torch.tensor(0.0), torch.tensor(0.0)], 7) in ([3, 4], [4, 3])
    assert sum(_shares([torch.tensor(float(i)) for i in range(9)], 11)) == 11


def test_films_and_folders_are_written(tmp_path: Path) -> None:
    run = written(tmp_path / "run", conditioning="concat")
    for name in ("film.gif", "frames", "film.png", *(["film.mp4"] if find_ffmpeg() else [])):
        images = sparring.interpolate(run, seeds="1,2", labels="bee", frames=7, out=tmp_path / name, **QUIET)
        assert images.shape == (7, 3, 32, 32) and (tmp_path / name).exists()
    assert len(list((tmp_path / "frames").iterdir())) == 7
    with Image.open(tmp_path / "film.gif") as shown:
        assert shown.n_frames == 7 and shown.info["duration"] in (30, 33)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "say which images: give seeds, such as 1,5,9"),
        ({"seeds": "1"}, "a film needs two images to pass between"),
        ({"seeds": "1,2", "labels": "ant,bee,cat"}, "3 labels for 2 images"),
        ({"seeds": "1,2", "labels": "ant,bea"}, "did you mean 'bee'"),
        ({"seeds": "1,2", "frames": 1}, "frames is a whole number from 2"),
        ({"seeds": "1,2", "frames": 10**6}, "to 20,000, got 1000000"),
        ({"seeds": "1,2", "out": "film.avi"}, "cannot write to 'film.avi': give a .png, a .gif, a .mp4 or a folder"),
        ({"seeds": "1,2", "truncation": -1}, "truncation is a threshold"),
    ],
)
def test_mistakes_are_one_line(given: dict[str, Any], said: str, tmp_path: Path) -> None:
    run = written(tmp_path / "run", conditioning="concat")
    with pytest.raises(SparringError, match=re.escape(said)):
        sparring.interpolate(run, **given, **QUIET)
