"""Which runs and studies are found below the given folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparring.errors import SparringError
from sparring.web.board import folders
from sparring.web.board.folders import find, given


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")


def found(*roots: Path) -> dict[str, tuple[str, bool]]:
    """What was found where: its kind, and whether it belongs to a study."""
    return {each.shown: (each.kind, each.study is not None) for each in find(given(roots))[0]}


def test_runs_and_studies_are_found_at_any_depth(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    touch(runs / "a" / "recipe.json", runs / "deep" / "er" / "b" / "recipe.json", runs / "notes" / "x.txt")
    touch(runs / "study" / "plan.json", runs / "study" / "runs" / "row" / "0" / "recipe.json")
    touch(runs / "study" / "work" / "no" / "recipe.json", runs / ".hidden" / "recipe.json")
    touch(runs / "kept" / "results.jsonl", runs / "a" / "inner" / "recipe.json")
    assert found(runs) == {
        "runs/a": ("run", False),
        "runs/deep/er/b": ("run", False),
        "runs/study": ("study", False),
        "runs/study/runs/row/0": ("run", True),
        "runs/kept": ("study", False),
    }
    assert len(find(given([runs / "a", runs / "a" / "..", runs / "study"]))[0]) == 5  # each once
    assert found(runs / "a") == {"a": ("run", False)}


def test_links_are_not_followed(tmp_path: Path) -> None:
    touch(tmp_path / "secret" / "recipe.json", tmp_path / "runs" / "a" / "recipe.json")
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "runs" / "b").mkdir()
    (tmp_path / "runs" / "b" / "recipe.json").symlink_to(tmp_path / "secret" / "recipe.json")
    (tmp_path / "runs" / "round").symlink_to(tmp_path / "runs")
    assert found(tmp_path / "runs") == {"runs/a": ("run", False)}
    assert found(tmp_path / "runs" / "link") == {"secret": ("run", False)}  # it was given


def test_ids_stay_and_say_nothing_of_the_path(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "recipe.json", tmp_path / "b" / "recipe.json")
    first, second = find(given([tmp_path]))[0]
    assert first.id != second.id and len(first.id) == 12 and int(first.id, 16) >= 0
    assert [each.id for each in find(given([tmp_path / "b"]))[0]] == [second.id]


def test_the_search_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(30):
        touch(tmp_path / f"run-{i:02d}" / "recipe.json")
    monkeypatch.setattr(folders, "FOUND", 20)
    entries, whole = find([tmp_path])
    assert len(entries) == 20 and not whole
    monkeypatch.setattr(folders, "LOOKED_AT", 5)
    entries, whole = find([tmp_path])
    assert len(entries) == 4 and not whole
    deep = tmp_path.joinpath("deep", *"0123456789")
    touch(deep / "recipe.json")
    assert found(tmp_path / "deep") == {}


@pytest.mark.parametrize("wrong", ["nothing", "x" * 5000, "file", "a\0b"])
def test_what_is_not_a_folder_is_said_in_one_line(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SparringError, match="is not a folder: give folders of runs or studies"):
        given([os.path.join(tmp_path, wrong)])
