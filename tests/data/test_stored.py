"""How the files of a source are stored, read from their headers."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import encoded
from PIL import Image, features

from sparring.data.arrays import write_npz
from sparring.data.sources import load
from sparring.data.stored import Stored, look_at_files, stored_notes
from sparring.errors import SparringError


def photo(mode="RGB", side=16):
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3)).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def looked_at(*files):
    return look_at_files([str(i) for i in range(len(files))], lambda path: files[int(path)])


@pytest.mark.parametrize("quality", [1, 10, 50, 75, 90, 100])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_quality_is_recovered(quality, mode):
    found = looked_at(encoded(photo(mode), "jpeg", quality=quality))
    assert found.quality == quality and found.lossy == 1 and str(found) == f"JPEG of quality {quality}"


def test_formats_differ_by_their_effect_on_pixels():
    png, grey = encoded(photo()), encoded(photo("L"))
    assert str(looked_at(png, grey)) == "PNG" and looked_at(png).lossy == 0
    assert looked_at(encoded(photo(), "bmp"), encoded(photo(), "tiff")).lossy == 0
    assert str(looked_at(encoded(photo("P"), "gif"))) == "GIF, palette"
    mixed = looked_at(png, png, png, encoded(photo(), "jpeg", quality=30))
    assert str(mixed) == "75% PNG, 25% JPEG of quality 30" and mixed.lossy == 0.25
    if features.check("webp"):
        assert str(looked_at(encoded(photo(), "webp"))) == "WebP, lossy"
        assert str(looked_at(encoded(photo(), "webp", lossless=True))) == "WebP, lossless"
    assert looked_at(b"no image") is None and looked_at(b"no image", png).looked_at == 1
    assert looked_at(png, encoded(photo(side=8))).size is None and looked_at(png, png).size == "16x16"
    assert look_at_files([str(i) for i in range(1000)], lambda path: png).looked_at == 64


def test_only_differences_between_two_sets_are_noted():
    png, bmp, gif = (looked_at(encoded(photo(mode), kind)) for mode, kind in (("L", "png"), ("L", "bmp"), ("P", "gif")))
    jpeg = {quality: looked_at(encoded(photo(), "jpeg", quality=quality)) for quality in (50, 53, 90)}
    for a, b in ((png, bmp), (jpeg[50], jpeg[53]), (png, None), (None, jpeg[50])):
        assert stored_notes(a, b) == [], (a, b)
    for a, b in ((png, jpeg[90]), (jpeg[50], jpeg[90]), (gif, png), (gif, jpeg[50])):
        assert len(stored_notes(a, b)) == 1, (a, b)


def test_the_cache_and_packed_files_keep_it(tmp_path):
    (tmp_path / "images").mkdir()
    for i in range(3):
        photo().save(tmp_path / "images" / f"{i}.jpg", quality=40)
    first, again = load(tmp_path / "images"), load(tmp_path / "images")
    assert first.stored == again.stored and str(first.stored) == "JPEG of quality 40"
    write_npz(tmp_path / "packed.npz", first)
    assert load(tmp_path / "packed.npz").stored == first.stored
    assert load(tmp_path / "packed.npz", size=8).stored == first.stored
    assert load(first.images).stored is None
    bad = {"images": np.zeros((2, 4, 4), np.uint8), "stored": np.array('{"formats": 3}')}
    np.savez(tmp_path / "bad.npz", **bad)
    with pytest.raises(SparringError, match="damaged"):
        load(tmp_path / "bad.npz")
    with pytest.raises(ValueError, match="does not describe how images are stored"):
        Stored({"PNG": "x"}, 0.0, None, 1)
