"""Files of samples: pictures, films, folders and arrays of seeds, latents and classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import sparring
from sparring.errors import SparringError
from tiny_generators import written


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("generators") / "cats", conditioning="concat")


def test_a_folder_has_a_file_for_each_seed(folder: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    images = sparring.sample(folder, seeds="7,2", labels="bee", out=tmp_path / "out", note=notes.append)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["seed-2.png", "seed-7.png"] and not notes
    with Image.open(tmp_path / "out" / "seed-2.png") as stored:
        assert np.array_equal(np.asarray(stored), images[1].permute(1, 2, 0).numpy())
    first = sparring.sample(folder, seeds="7,2", note=notes.append)
    assert torch.equal(first[:1], sparring.sample(folder, 1, seed=7)) and "class 'ant'" in notes[0]


def test_a_film_shows_the_images_in_turn(folder: Path, tmp_path: Path) -> None:
    images = sparring.sample(folder, 5, labels="cat,ant", out=tmp_path / "all.gif")
    assert torch.equal(images, sparring.load(folder).sample(5, labels=[2, 0, 2, 0, 2]))
    with Image.open(tmp_path / "all.gif") as film:
        assert film.n_frames == 5 and film.size == (256, 256)
        for i in range(5):
            film.seek(i)
            shown = np.asarray(film.convert("RGB"), float)[::8, ::8]
            assert np.abs(shown - images[i].permute(1, 2, 0).numpy()).mean() < 12, i  # in 224 colours


@pytest.mark.parametrize("which", [{"n": 3, "seed": 4}, {"seeds": "9,4", "truncation": 0.5}])
def test_arrays_are_drawn_again_from_their_latents(which: dict, folder: Path, tmp_path: Path) -> None:
    images = sparring.sample(folder, **which, labels="bee", out=tmp_path / "z.npz", note=lambda line: None)
    stored = np.load(tmp_path / "z.npz")
    assert np.array_equal(stored["images"], images) and (stored["labels"] == 1).all()
    assert float(abs(stored["latents"]).max()) <= which.get("truncation", 9)
    assert torch.equal(sparring.sample(folder, latents=tmp_path / "z.npz", out=tmp_path / "a.png"), images)
    other = sparring.sample(folder, latents=tmp_path / "z.npz", labels="cat")
    assert torch.equal(other, sparring.load(folder)(stored["latents"], [2] * len(images)))


def test_labels_for_a_generator_without_classes_are_one_line(folder: Path, tmp_path: Path) -> None:
    plain = written(tmp_path / "plain")
    sparring.sample(folder, 2, out=tmp_path / "z.npz")
    for given in ({"latents": tmp_path / "z.npz"}, {"labels": "ant"}, {"seeds": "1", "labels": 0}):
        with pytest.raises(SparringError, match="is unconditional: it takes no labels"):
            sparring.sample(plain, **given)
    assert sparring.sample(plain, seeds="1,2").shape == (2, 3, 32, 32)
