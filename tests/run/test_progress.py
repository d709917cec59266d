"""Where somebody watches a run, and what is shown there."""

from __future__ import annotations

import base64
import io
import re
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import sparring
from sparring.messages import note_or_default, watched
from sparring.run.progress import NotebookProgress, RichProgress, no_progress, progress_or_default
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


@pytest.fixture
def notebook(monkeypatch):
    """What a notebook shows below a cell, one entry for each change."""
    shown = []

    def display(bundle, raw, display_id):
        shown.append(bundle)
        return SimpleNamespace(update=lambda bundle, raw: shown.append(bundle))

    kernel = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: kernel))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    return shown


def test_a_notebook_has_one_bar_that_changes_a_few_times_a_second(notebook):
    assert progress_or_default(None) is NotebookProgress
    with NotebookProgress(0, 2000) as progress:
        for step in range(1, 2001):
            progress.step(step)
            if step == 1000:
                progress.values({"discriminator/<hinge>": 1.25})
    assert 2 <= len(notebook) <= 8  # in far less than two seconds
    first, last = notebook[0], notebook[-1]
    assert '<progress value="0" max="2000"' in first["text/html"] and "training 0/2,000" in first["text/plain"]
    assert '<progress value="2000" max="2000"' in last["text/html"] and "D <hinge> 1.25" in last["text/plain"]
    assert "D &lt;hinge&gt; 1.25" in last["text/html"]


@pytest.mark.usefixtures("without_reports")
def test_a_run_is_a_bar_a_table_and_its_latest_picture_in_a_notebook(tmp_path):
    recipe = tiny_recipe(name="<cats>", steps=4, samples_every=2)
    run = sparring.train(recipe, data=tiny_images(), out=tmp_path / "run", progress=False)
    html = run._repr_html_()
    assert '<progress value="4" max="4"' in html and "&lt;cats&gt;" in html and "<cats>" not in html
    (encoded,) = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    with (
        Image.open(io.BytesIO(base64.b64decode(encoded))) as shown,
        Image.open(run.folder / "samples/step-000004.png") as last,
    ):
        scale = last.width // shown.width
        enlarged = shown.convert("RGB").resize((shown.width * scale, shown.height * scale), Image.Resampling.NEAREST)
        assert np.array_equal(
            np.asarray(enlarged), np.asarray(last.convert("RGB"))[: enlarged.height, : enlarged.width]
        )
    shutil.rmtree(run.folder)
    assert run._repr_html_() is None and repr(run) == f"Run('{run.folder}')"


@pytest.mark.usefixtures("without_reports")
def test_a_run_that_nobody_watches_says_nothing(tmp_path, capfd):
    sparring.train(tiny_recipe(steps=2), data=tiny_images(), out=tmp_path / "run")
    assert capfd.readouterr() == ("", "")
