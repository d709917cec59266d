"""Two runs class by class: the counting by hand, the files, and what is refused."""

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

import sparring
from sparring.errors import SparringError
from sparring.evaluation.compare import class_scatter, compare_classes, compare_runs, picture

sys.path.insert(0, str(Path(__file__).parent))
from two_sets import Corners

from tiny import tiny_images, tiny_recipe


def record(values, **more):
    return {"metric": "x-intra-FD", "per_class": values, "class_names": ["a", "b", "c", "d"], "n_fake": 8} | more


def test_counts_and_changes_by_hand():
    found = compare_classes(record([4.0, 2.0, None, 2.0]), record([1.0, 3.0, 5.0, 2.0]))
    assert found.classes == (0, 1, 3) and found.names == ("a", "b", "d")
    assert found.improved == 1
    assert found.mean_change == pytest.approx(6 / 8 - 1)
    assert found.by_change() == [0, 2, 1]
    assert "1 of 3 classes improved, mean x-intra-FD -25.0%" in found.table()
    assert "| a | 4 | 1 | -3 |" in found.table()


def test_a_comparison_says_what_was_measured_and_with_what():
    said = {"n_real": 90, "data": "shirts", "split": "test", "extractor": "x", "weights_sha256": "0123456789abcdef"}
    rows = [record([4.0, 2.0], value=m, seed=3, version="1", notes=notes, **said) for m, notes in ((3, ["a"]), (2, []))]
    found = compare_classes(*rows, runs=("old", "new"))
    lines = found.table().splitlines()
    assert lines[2] == (
        "8 generated images, 90 real images, against shirts test, extractor x 0123456789ab, seed 3, sparring 1"
    )
    assert lines[3] == "note: a" and lines[5] == "| class | old | new | change |"
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["runs"] == ["old", "new"] and plain["metric"] == "x-intra-FD"
    assert [row["value"] for row in plain["records"]] == [3, 2]
    assert all(row | said == row and "per_class" not in row for row in plain["records"])


def test_the_scatter_names_its_classes_and_no_name_covers_another():
    found = compare_classes(record([4.0, 4.1, 4.2, 1.0]), record([2.0, 2.0, 2.0, 3.0]))
    names = class_scatter(found).axes[0].texts
    assert {text.get_text() for text in names} == {"a", "b", "c", "d"}
    heights = sorted(text.get_position()[1] for text in names if text.get_text() != "d")
    assert min(b - a for a, b in zip(heights, heights[1:], strict=False)) > 0.1
    (left,) = [text for text in names if text.get_text() == "d"]
    assert left.get_ha() == "right" and left.get_position()[0] < 1  # above the line: away from it
    names = ["a very long name of a class", "another one", "b"]
    edges = compare_classes(*(record(v, class_names=names) for v in ([1.0, 9.0, 5.0], [2.0, 8.0, 4.0])))
    sides = {text.get_text(): text.get_ha() for text in class_scatter(edges).axes[0].texts}
    assert sides == {names[0]: "left", names[1]: "right", "b": "left"}  # the first two would leave the picture
    many = compare_classes(*(record([float(k + i) for k in range(40)], class_names=None) for i in (0, 1)))
    assert len(class_scatter(many).axes[0].texts) == 8


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_measured(tmp_path, without_reports, monkeypatch):
    monkeypatch.setattr("sparring.evaluation.compare._check_conditional", lambda run: None)
    monkeypatch.setattr("sparring.evaluation.evaluate.evaluate_pair", lambda *a, **k: pytest.fail("measured"))
    (tmp_path / "file").write_text("")
    with pytest.raises(SparringError, match=r"cannot write .*file.*choose another folder with --out"):
        compare_runs("a", "b", tiny_images(), tmp_path / "file")


def test_a_first_run_at_distance_zero_has_no_relative_change():
    found = compare_classes(record([0.0, 0.0]), record([1.0, 0.0]))
    assert found.mean_change is None and found.to_dict()["mean_change"] is None
    assert "mean x-intra-FD from 0" in found.table()


def test_runs_without_classes_are_refused_before_they_are_measured(tmp_path, without_reports):
    sparring.train(tiny_recipe(steps=1), data=tiny_images(), out=tmp_path / "run")
    with pytest.raises(SparringError, match="takes no classes"):
        compare_runs(tmp_path / "run", tmp_path / "run", "nowhere", tmp_path / "out")
    with pytest.raises(SparringError, match="is neither a run nor a generator file"):
        compare_runs(tiny_images(), tmp_path / "run", "nowhere", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_picture_of_several_seeds_shows_their_means(tmp_path):
    values = {"a/0": [[9.0, 9.0], [4.0, 1.0]], "a/1": [[6.0, 1.0]], "b/0": [[3.0, 2.0]], "b/1": [[1.0, None]]}
    for run, records in values.items():
        (tmp_path / run).mkdir(parents=True)
        lines = [json.dumps(record(found, class_names=["cat", "dog"], step=i)) for i, found in enumerate(records)]
        (tmp_path / run / "metrics.jsonl").write_text("\n".join([*lines, json.dumps({"metric": "x-FD"})]) + "\n")
    runs = {f"{name} <1>": [tmp_path / name / "0", tmp_path / name / "1"] for name in ("a", "b")}
    figure, numbers = picture("class-distances", runs)
    assert numbers == {"improved": 1, "mean_change": pytest.approx(2 / 5 - 1), "classes": {"cat": [5.0, 2.0]}}
    assert figure.axes[0].get_xlabel() == "x-intra-FD of a <1>"
    with pytest.raises(SparringError, match="between two runs, got 1"):
        picture("class-distances", {"a": runs["a <1>"]})
    (tmp_path / "b" / "1" / "metrics.jsonl").unlink()
    with pytest.raises(SparringError, match="was not measured within classes"):
        picture("class-distances", runs)


def test_numbers_measured_differently_are_refused():
    with pytest.raises(SparringError, match="n_fake 8 against 9"):
        compare_classes(record([1.0]), record([1.0], n_fake=9))
    with pytest.raises(SparringError, match="size_fake '8x8' against '4x4'"):
        compare_classes(record([1.0], size_fake="8x8"), record([1.0], size_fake="4x4"))
    assert compare_classes(record([1.0], size_fake="8x8"), record([1.0])).improved == 0  # an old record does not say
    with pytest.raises(SparringError, match="no values per class"):
        compare_classes({"metric": "FID"}, {"metric": "FID"})
    with pytest.raises(SparringError, match="needs real images"):
        compare_runs("a", "b", None, "out")


def test_two_runs_leave_a_table_a_scatter_and_samples(tmp_path, without_reports):
    network = {"kind": "dcgan", "width": 4, "conditioning": "conditional_batch_norm"}
    generator = {**tiny_recipe()["generator"], "network": network}
    for seed in (0, 1):
        recipe = tiny_recipe(steps=1, seed=seed, generator=generator)
        sparring.train(recipe, data=tiny_images(), out=tmp_path / f"run-{seed}")
    options = {"extractor": Corners(), "n": 30}
    with pytest.raises(SparringError, match="99 images of tiny were requested"):
        compare_runs(tmp_path / "run-0", tmp_path / "run-1", tiny_images(), tmp_path / "out", **options, n_real=99)
    assert not (tmp_path / "out").exists()
    found = compare_runs(tmp_path / "run-0", tmp_path / "run-1", tiny_images(), tmp_path / "out", **options)
    assert len(found.classes) == 3 and found.first != found.second
    assert (tmp_path / "out" / "classes.md").read_text() == found.table()
    assert found.runs == ("run-0", "run-1") and found.records[0]["extractor"] == "corners"
    (tmp_path / "run-0" / "metrics.jsonl").write_text(json.dumps(record([3.0, 1.0, 2.0], step=1)) + "\n")
    (tmp_path / "run-1" / "metrics.jsonl").write_text(json.dumps(record([1.0, 2.0, 2.0], step=1)) + "\n")
    shown, _ = picture("class-samples", {"old": [tmp_path / "run-0"], "new": [tmp_path / "run-1"]})
    assert [text.get_text() for text in shown.texts][1:] == [
        "a, old: 3",
        "a, new: 1",
        "c, old: 2",
        "c, new: 2",
        "b, old: 1",
        "b, new: 2",
    ]
    for name in ("classes.png", "samples.png"):
        with Image.open(tmp_path / "out" / name) as image:
            assert min(image.size) > 50
