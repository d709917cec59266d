"""What the board opens: plain files below the given folder, and nothing that a link or a pipe leads to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparring.errors import SparringError
from sparring.web.board.opening import Place


def test_plain_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "run" / "samples").mkdir(parents=True)
    (tmp_path / "run" / "samples" / "a.png").write_bytes(b"picture")
    place = Place(tmp_path) / "run"
    assert place.listing() == {"samples": True} and place.listing("samples") == {"a.png": False}
    assert place.read("samples", "a.png", most=7) == b"picture" and place.path == tmp_path / "run"
    with pytest.raises(SparringError, match="too large"):
        place.read("samples", "a.png", most=6)
    before = place.signature("samples", "a.png")
    (tmp_path / "run" / "samples" / "a.png").write_bytes(b"another picture")
    assert before is not None and place.signature("samples", "a.png") != before and place.has("samples")


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").write_text("secret")
    run = tmp_path / "run"
    run.mkdir()
    (run / "file").symlink_to(tmp_path / "elsewhere" / "secret")
    (run / "folder").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(run / "pipe")
    place = Place(run)
    assert place.listing() == {} and place.listing("folder") == {}
    for names in (("file",), ("folder", "secret"), ("pipe",), ("nothing",), ("..", "elsewhere", "secret")[1:]):
        assert not place.has(*names)
        with pytest.raises(SparringError, match="cannot read"):
            place.read(*names, most=100)


def test_a_folder_that_becomes_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "runs" / "a").mkdir(parents=True)
    place = Place(tmp_path / "runs") / "a"
    (tmp_path / "runs" / "a").rmdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "x").write_text("x")
    (tmp_path / "runs" / "a").symlink_to(tmp_path / "secret")
    assert place.listing() == {} and not place.has("x")
