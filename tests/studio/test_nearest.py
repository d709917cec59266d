"""The nearest training images: written out, and found in a run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import sparring
from sparring.data.arrays import write_npz
from sparring.data.packed import PackedImages, to_float
from sparring.errors import SparringError
from sparring.studio import nearest as module
from sparring.studio.nearest import _among_all
from tiny import tiny_images, tiny_recipe
from tiny_generators import written


def test_all_training_images_are_searched_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Written out: the root of the mean squared difference, over every image."""
    monkeypatch.setattr(module, "AT_ONCE", 7)
    real, queries = tiny_images(40), tiny_images(5, seed=1).images
    found = _among_all(to_float(queries), real, to_float)
    for i, query in enumerate(to_float(queries)):
        distances = [float((query - each).square().mean().sqrt()) for each in to_float(real.images)]
        assert int(found.index[i]) == distances.index(min(distances))
        assert abs(float(found.distance[i]) - min(distances)) < 1e-6


def test_a_copy_of_a_training_image_is_found(tmp_path: Path, without_reports: None) -> None:
    data = tiny_images(30)
    write_npz(tmp_path / "images.npz", data)
    run = sparring.train(tiny_recipe(data=str(tmp_path / "images.npz"), steps=1), out=tmp_path / "run")
    sample = sparring.load(run).sample(seeds=[4])
    changed = data.images.clone()
    changed[23] = sample[0]
    copies = PackedImages(changed, data.labels, data.class_names, name="copies")
    found = sparring.nearest(run.folder, seeds="4,5", data=copies, out=tmp_path / "near.png", note=lambda line: None)
    (pixels,) = found["spaces"]
    assert found["samples"] == ["seed 4", "seed 5"] and found["n_train"] == 30
    assert pixels["index"][0] == 23 and pixels["distance"][0] == 0 and pixels["distance"][1] > 0
    assert pixels["typical"] is None and (tmp_path / "near.png").read_bytes()[:4] == b"\x89PNG"
    cases: list[tuple[Path, dict[str, Any], str]] = [
        (run.folder, {"seeds": "1-33"}, "at most 32 samples fit into the picture, got 33"),
        (run.folder, {"seeds": "1", "out": "x.gif"}, "cannot write to 'x.gif': give a .png"),
        (run.folder, {}, "say which images"),
        (written(tmp_path / "lone"), {"seeds": "1"}, "does not say what it was trained on"),
    ]
    for folder, given, said in cases:
        with pytest.raises(SparringError, match=re.escape(said)):
            sparring.nearest(folder, **given)
