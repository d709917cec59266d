"""Fixtures that make small image files, as folders and as zip files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from pictures import Content, write_folder, write_zip


@pytest.fixture(params=["folder", "zip"])
def source_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Content], Path]:
    """`source_of({path: content})` makes a folder and, in a second run of the test, a zip file; both are named `images`."""

    def write(files: Content) -> Path:
        if request.param == "folder":
            return write_folder(tmp_path / "images", files)
        return write_zip(tmp_path / "images.zip", files)

    return write


@pytest.fixture
def notes() -> list[str]:
    """A list that collects the notes of `load(..., note=notes.append)`."""
    return []
