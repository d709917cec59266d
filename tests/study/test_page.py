"""A study's figures and its page, from results alone."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch
from PIL import Image

from sparring.errors import SparringError
from sparring.microscope.sections import FIGURES
from sparring.report.plots import image_grid
from sparring.study.drawing import KINDS, PICTURES, draw, figures_of, png_of, write_figures
from sparring.study.page import _figures, markdown_page, write_page
from sparring.study.plan import Figure, Plan, slug
from sparring.study.resolve import Study
from sparring.study.results import Result, append
from sparring.study.table import open_study, tabulate

LEVELS = {"DCGAN": 12.0, "AS <1>": 9.0, "noise": 12.2}


@pytest.fixture
def study(tmp_path):
    """A folder with the results of three rows and five seeds; one row's last two runs failed."""
    claims = [
        {"says": said, "row": "AS <1>", "against": "DCGAN", "metric": "fd", "direction": way}
        for said, way in (("it is lower", "lower"), ("it is higher", "higher"))
    ]
    rows = {label: {"recipe": "quickstart", "paper": {"fid": 28.05}} for label in LEVELS}
    plan = Plan.load(
        {"name": "a/b", "about": "AS & others", "paper": {"where": "Figure 4"}, "rows": rows, "claims": claims}
    )
    (tmp_path / "plan.json").write_text(
        json.dumps(
            Study(plan, "full", plan.seeds, {}).to_dict() | {"hash": "0123abcd", "command": "sparring study run a/b"}
        )
    )
    samples = tmp_path / "files" / "noise-0.png"
    image_grid(torch.full((8, 1, 4, 4), 9, dtype=torch.uint8), samples)
    for label, level in LEVELS.items():
        for seed in range(5):
            why = "not finite at step 30" if label == "noise" and seed > 2 else None
            curve = [[step, level + seed / 10 + 60 / step] for step in ((10, 20) if why else (10, 20, 30, 40))]
            values = {} if why else {"fashion-FD": level + seed / 10}
            found = Result(label, seed, "gan", "r", failed=why, values=values, best=values, curve={"fashion-FD": curve})
            files = {"samples": "files/noise-0.png"} if label == "noise" and seed == 0 else {}
            more = {"files": files, "commit": "abc1234", "instructions": "AVX512", "threads": 1, "cpu_seconds": 240.0}
            append(tmp_path / "results.jsonl", Result(**{**found.__dict__, **more}))
    return tmp_path


def test_every_seed_is_a_dot_and_every_failure_a_cross(study):
    axes = draw(open_study(study), Figure(kind="dots")).axes[0]
    shown = {line.get_marker(): [] for line in axes.lines}
    for line in axes.lines:
        shown[line.get_marker()].append(list(line.get_xdata()))
    assert [len(values) for values in shown["o"]] == [5, 5, 3]
    assert [len(values) for values in shown["x"]] == [0, 0, 2]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(LEVELS)
    assert shown["None"][0] == [12.2, 12.2]  # the median


def test_curves_are_thin_for_seeds_and_bold_for_means(study):
    axes = draw(open_study(study), Figure(kind="curves", metric="fd", rows=["DCGAN", "noise"])).axes[0]
    widths = [line.get_linewidth() for line in axes.lines]
    assert widths.count(0.7) == 10 and widths.count(2.2) == 2
    assert [len(line.get_xdata()) for line in axes.lines if line.get_linewidth() == 2.2] == [4, 4]  # not of failed runs
    assert {line.get_linestyle() for line in axes.lines if line.get_linewidth() == 2.2} == {"-", "--"}


def test_bars_and_samples(study):
    table = open_study(study)
    axes = draw(table, Figure(kind="bars", metric="fashion-FD")).axes[0]
    assert [bar.get_height() for bar in axes.patches] == pytest.approx([12.2, 9.2, 12.3])
    assert [part.get_title(loc="left") for part in draw(table, Figure(kind="samples")).axes] == ["noise"]


def test_a_plans_figures_or_the_usual_ones(study):
    table = open_study(study)
    assert [(each.kind, each.rows) for each in figures_of(table)] == [
        ("dots", None),
        ("curves", tuple(LEVELS)),
        ("samples", None),
    ]
    many = [Result(f"row {i}", 0, "gan", "r", values={"m": 1.0}, curve={"m": [[1, 2], [2, 1]]}) for i in range(10)]
    parts = [each.rows for each in figures_of(tabulate(many)) if each.kind == "curves"]
    assert all(len(part) <= 5 and part[0] == "row 0" for part in parts)
    assert {label for part in parts for label in part} == {f"row {i}" for i in range(10)}
    planned = [Figure(kind="dots", metric="fd")] * 2 + [
        Figure(kind="dots", metric="fd", rows=["DCGAN"], name=name) for name in ("one-more", "one")
    ]
    paths = write_figures(replace(table, plan=table.plan.model_copy(update={"figures": planned})), study / "figures")
    assert [path.name for path in paths] == ["dots-fd.png", "dots-fd-2.png", "one-more.png", "one.png"]
    planned_table = replace(table, plan=table.plan.model_copy(update={"figures": planned[1:3]}))
    assert [path.name for path in write_figures(planned_table, study / "named", named=True)] == ["one-more.png"]
    with Image.open(paths[0]) as picture:
        assert picture.width > 500
    with pytest.raises(SparringError, match="no run was measured by 'is'"):
        draw(table, Figure(kind="dots", metric="is"))


def test_what_runs_show_is_drawn_while_they_are_there_and_then_kept(study, monkeypatch):
    facts = json.loads((study / "plan.json").read_text())
    facts["rows"] = {label: {"kind": "gan", "slug": slug(label)} for label in LEVELS}
    table, drawn, notes = replace(open_study(study), facts=facts), [], []

    def over_training(runs, lines):
        drawn.append(runs)
        return {f"{label}, {line}": {0: ([1, 2], [3.0, 4.0])} for label in runs for line in lines}

    monkeypatch.setattr("sparring.study.drawing.over_training", over_training)
    lines = Figure(kind="curves", lines=["gradients.l1", "gradients.l2"], rows=["noise"], name="lines")
    others = [Figure(kind="gradient-maps"), Figure(kind="dots", metric="is"), Figure(kind="dots", metric="fd")]
    table = replace(table, plan=table.plan.model_copy(update={"figures": [lines, *others]}))
    paths = write_figures(table, study / "out", notes.append)
    assert drawn == [{"noise": [study / "runs" / "noise" / str(seed) for seed in (0, 1, 2)]}]  # two have failed
    assert [path.name for path in paths] == ["lines.png", "dots-fd.png"]
    assert [note.partition(":")[0] for note in notes] == ["gradient-maps is not drawn", "dots-is is not drawn"]
    assert "dcgan/0' is not a run" in notes[0]
    kept = json.loads((study / "files" / "lines.json").read_text())
    assert kept["seeds"] == {"noise": [0, 1, 2]} and kept["numbers"]["noise, gradients.l1"]["0"] == [[1, 2], [3.0, 4.0]]
    page = list(_figures(table))
    assert len(page) == 2 and "data:image/png" in page[0] and "<svg" in page[1]
    (study / "plan.json").unlink()  # as where results alone are kept
    alone = replace(open_study(study), plan=table.plan)
    assert png_of(alone, lines) == (study / "files" / "lines.png").read_bytes() and len(drawn) == 1
    with pytest.raises(SparringError, match="not all of these rows have runs here: DCGAN"):
        png_of(alone, Figure(kind="gradient-maps", rows=["DCGAN"]))
    kinds = {kind for part in get_args(Figure.model_fields["kind"].annotation) for kind in get_args(part)}
    assert kinds == {*KINDS, *PICTURES, *FIGURES}


def test_the_page_holds_everything_and_needs_nothing(study):
    text = write_page(study).read_text(encoding="utf-8")
    assert (study / "index.html").is_file()
    order = [
        text.index(word) for word in ("AS &amp; others", "<b>disagrees</b>: it is higher", "<b>agrees</b>: it is lower")
    ]
    order += [text.index(word) for word in ("fashion-FD, lower is better", "<svg", "data:image/png", "How it was made")]
    assert order == sorted(order)
    for part in (
        "AS &lt;1&gt;",
        "28.05",
        "2 of 5",
        "not finite at step 30 (seed 3, 4)",
        "sparring study run a/b",
        "0123abcd",
    ):
        assert part in text, part
    for part in ("abc1234", "AVX512", "CPU time of all runs: 1.0 hours", "not adjusted"):
        assert part in text, part
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", text) and "<1>" not in text
    assert "prefers-color-scheme: dark" in text and "width=device-width" in text
    assert "location.reload" not in text  # it is done


def test_a_study_that_goes_on_has_a_page_too(study):
    lines = (study / "results.jsonl").read_text().splitlines()
    values = json.loads((study / "plan.json").read_text())
    values["plan"]["figures"] = [{"kind": "curves", "metric": "is"}]  # which nothing has measured yet
    values["rows"] = {
        label: {"label": label, "slug": "a", "kind": "gan", "recipe": {}, "hash": "r", "steps": 4, "words": []}
        for label in LEVELS
    }
    (study / "plan.json").write_text(json.dumps(values))
    (study / "results.jsonl").write_text("\n".join(lines[:1]) + "\n")
    text = write_page(study).read_text(encoding="utf-8")
    assert "1 of 15 runs done" in text and "location.reload" in text and "AS &lt;1&gt; has no runs yet" in text


def test_the_same_as_markdown(study):
    text = markdown_page(open_study(study), [Path("figures/dots-fd.png")])
    order = [
        text.index(word)
        for word in ("# AS & others", "**disagrees**", "| DCGAN | 5 |", "![dots fd](figures/dots-fd.png)", "abc1234")
    ]
    assert order == sorted(order)


def test_results_that_are_kept_with_a_plan_or_without_one(study):
    plan = json.loads((study / "plan.json").read_text())["plan"]
    (study / "plan.json").unlink()
    assert open_study(study).plan.rows == {} and open_study(study).findings == []
    (study / "plan.yaml").write_text(json.dumps(plan))  # which is YAML
    assert [each.verdict for each in open_study(study).findings] == ["disagrees", "agrees"]
    with pytest.raises(SparringError, match="neither a study nor a run"):
        open_study(study / "files")


def test_the_verbs(study, capsys, monkeypatch):
    from sparring.cli.main import main

    def said(*words):
        with pytest.raises(SystemExit) as ended:
            monkeypatch.setattr("sys.argv", ["sparring", "study", *words])
            main()
        return ended.value.code, capsys.readouterr()

    code, found = said("table", str(study))
    assert not code and "disagrees: it is higher" in found.out
    code, found = said("figures", str(study), "--out", str(study / "out"), "--markdown")
    assert not code and "# AS & others" in found.out and f"({study}/out/dots-fashion-fd.png)" in found.out
    assert (study / "out" / "dots-fashion-fd.png").is_file()
    code, found = said("figures", str(study), "--out", "/proc/x")
    assert code == 2 and found.err.count("\n") == 1 and "choose another folder with --out" in found.err
