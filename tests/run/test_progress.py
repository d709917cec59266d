"""Where somebody watches a run, and what is shown there."""

from __future__ import annotations

import io
import sys

import pytest

import sparring
from sparring.messages import note_or_default, watched
from sparring.run.progress import RichProgress, no_progress, progress_or_default
from tiny import tiny_images, tiny_recipe


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nobody_watches_a_file_or_a_pipe(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not watched() and progress_or_default(None) is no_progress
    note_or_default(None)("lost")
    assert sys.stderr.getvalue() == ""
    monkeypatch.setattr(sys, "stderr", Terminal())
    note_or_default(None)("seen")
    assert watched() and progress_or_default(None) is RichProgress and sys.stderr.getvalue() == "seen\n"


def test_what_is_asked_for_goes_before_what_is_seen(monkeypatch):
    own = lambda start, total: no_progress(start, total)  # noqa: E731
    for stream in (io.StringIO(), Terminal()):
        monkeypatch.setattr(sys, "stderr", stream)
        assert progress_or_default(own) is own
        assert progress_or_default(True) is RichProgress and progress_or_default(False) is no_progress
        notes: list[str] = []
        note_or_default(notes.append)("kept")
        assert notes == ["kept"] and stream.getvalue() == ""


@pytest.mark.usefixtures("without_reports")
def test_a_run_that_nobody_watches_says_nothing(tmp_path, capfd):
    sparring.train(tiny_recipe(steps=2), data=tiny_images(), out=tmp_path / "run")
    assert capfd.readouterr() == ("", "")
