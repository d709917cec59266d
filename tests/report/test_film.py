"""Films by ffmpeg and by Pillow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sparring.errors import SparringError
from sparring.report.film import HOLD, film_kind, find_ffmpeg, write_film


def _frames(count: int) -> list[Image.Image]:
    return [Image.new("RGB", (31, 20), (20 * i, 200, 255 - 20 * i)) for i in range(count)]


@pytest.mark.parametrize(("kind", "ending"), [("gif", ".gif"), ("apng", ".png")])
def test_a_film_from_pillow_has_every_frame_and_holds_the_last(kind: str, ending: str, tmp_path: Path) -> None:
    path = write_film(_frames(5), tmp_path / "film", kind, rate=10)
    assert path.suffix == ending
    with Image.open(path) as film:
        assert film.n_frames == 5 and film.size == (31, 20)  # type: ignore[attr-defined]
        film.seek(4)
        film.load()
        assert film.info["duration"] == 100 * HOLD
        shade = film.convert("RGB").getpixel((3, 3))
        assert np.abs(np.array(shade) - [80, 200, 175]).max() <= 6


@pytest.mark.skipif(find_ffmpeg() is None, reason="no ffmpeg here, and no imageio-ffmpeg")
def test_browsers_can_play_the_mp4(tmp_path: Path) -> None:
    path = write_film(_frames(5), tmp_path / "film", "mp4")
    content = path.read_bytes()
    assert content[4:8] == b"ftyp" and b"avc1" in content and content.index(b"moov") < content.index(b"mdat")


def test_without_ffmpeg_a_film_is_a_gif(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparring.report.film.find_ffmpeg", lambda: None)
    assert film_kind("auto") == "gif"
    with pytest.raises(SparringError, match=r"sparring\[film\]"):
        film_kind("mp4")
    with pytest.raises(SparringError, match="got 'avi'"):
        film_kind("avi")
