"""A run's report: a single file, made from the files that exist."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from PIL import Image

from sparring.report.html import write_report
from sparring.report.plots import image_grid

RECORD = {
    "extractor": "fashion",
    "weights_sha256": "0123456789abcdef",
    "n_fake": 50,
    "resize": "none",
    "dtype": "float64",
    "version": "0.1.0",
    "n_real": 80,
    "seed": 0,
    "split": "train",
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    facts = {
        "recipe": {"name": "tiny & <b>old", "about": "a <small> run", "steps": 4},
        "versions": {"torch": "2.9"},
        "command": "sparring train tiny",
        "commit": "abc123",
        "hardware": "x86_64, 1 thread",
    }
    (tmp_path / "recipe.json").write_text(json.dumps(facts))
    rows = [
        {
            "step": s,
            "images": 8 * s,
            "discriminator/hinge": 2.0 / s,
            "discriminator/real_score": 0.5,
            "generator/hinge": s,
            "seconds": 30.0 * s,
        }
        for s in (1, 2, 4)
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    metrics = [
        {"step": 2, "metric": "fashion-FD", "value": 9.5, "better": "lower", **RECORD},
        {"step": 4, "metric": "fashion-FD", "value": 7.25, "better": "lower", "notes": ["few samples"], **RECORD},
        {"step": 4, "metric": "fashion-IS", "value": 3.5, "std": 0.125, "better": "higher", **RECORD},
        {"step": 4, "metric": "fashion-class-shares", "value": [0.75, 0.25], "class_names": ["bag", "boot"], **RECORD},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in metrics))
    for step in (0, 2, 4):
        image_grid(
            torch.full((4, 1, 8, 8), 40 * step, dtype=torch.uint8), tmp_path / "samples" / f"step-{step:06d}.png"
        )
    return tmp_path


class Balanced(HTMLParser):
    """Checks that every opened element is closed."""

    VOID = frozenset({"meta", "img", "br", "link", "path", "use"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_report_holds_the_run(run: Path) -> None:
    page = write_report(run).read_text()
    for piece in (
        "7.25",
        "3.5 ± 0.12",
        "few samples",
        "0123456789ab",
        "75.0%",
        "boot",
        "sparring train tiny",
        "abc123",
        "torch 2.9",
        "resize <b>none</b>",
        "precision <b>float64</b>",
        "seed <b>0</b>",
    ):
        assert piece in page, piece
    assert "a &lt;small&gt; run" in page and "a <small> run" not in page
    assert "<h1>tiny &amp; &lt;b&gt;old</h1>" in page and "<b>old" not in page
    assert "4 steps · 32 real images seen" in page and "2.0 minutes" in page
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []


def test_it_is_self_contained_and_its_pictures_are_the_samples(run: Path) -> None:
    page = write_report(run).read_text()
    assert not re.search(r'(src|href)="(?!data:|#)', page) and "<script" not in page and "://" not in page
    pictures = [base64.b64decode(data) for data in re.findall(r"data:image/png;base64,([^\"]+)", page)]
    shades = [Image.open(io.BytesIO(png)).convert("L").getpixel((0, 0)) for png in pictures]
    assert shades == [160, 0, 80]  # the last step first, then the earlier ones
    assert page.count("<svg") == 4  # one figure per term, one for scores, one for the distance over training


def test_missing_files_are_left_out(tmp_path: Path) -> None:
    page = write_report(tmp_path).read_text()
    assert tmp_path.name in page and "<h2>" not in page
    (tmp_path / "log.jsonl").write_text('{"step": 1, "images": 8, "generator/hinge": 1.5}\n{"step": 2, "ima')
    assert "raw value of each term" in write_report(tmp_path).read_text()


def test_the_best_step_is_named_if_it_is_not_the_last(run: Path) -> None:
    assert "at step" not in write_report(run).read_text().split("Samples")[0]
    worse = {"step": 6, "metric": "fashion-FD", "value": 8.0, "better": "lower", **RECORD}
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(worse) + "\n")
    assert "lower is better; 7.25 at step 4" in write_report(run).read_text()


@pytest.mark.parametrize(
    ("saved", "shown"), [(1, []), (3, [0, 1]), (6, [0, 2, 4]), (7, [0, 1, 2, 3, 4, 5]), (30, None)]
)
def test_earlier_samples_fill_whole_rows_and_span_the_run(run: Path, saved: int, shown: list[int] | None) -> None:
    for path in (run / "samples").iterdir():
        path.unlink()
    for step in range(saved):
        image_grid(torch.full((1, 1, 4, 4), step, dtype=torch.uint8), run / "samples" / f"step-{step:06d}.png")
    steps = [int(step) for step in re.findall(r"<figcaption>step (\d+)<", write_report(run).read_text())]
    if shown is None:
        assert len(steps) == 6 and steps[0] == 0 and steps[-1] == saved - 2 and steps == sorted(steps)
    else:
        assert steps == shown
