"""Files of lines that grow, end in half a line, are written anew, or hold nonsense."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparring.web.board import lines
from sparring.web.board.lines import Lines
from sparring.web.board.opening import Place


class Reader:
    """The steps that were taken since the file was begun; `asked` counts the bytes of rows that were parsed."""

    def __init__(self, folder: Path) -> None:
        self.steps: list[int] = []
        self.begun = 0
        self.lines = Lines(Place(folder), "log.jsonl", lambda row: self.steps.append(row["step"]), self.forget)

    def forget(self) -> None:
        self.steps.clear()
        self.begun += 1

    def look(self) -> list[int]:
        assert self.lines.read()
        return self.steps


def row(step: int) -> str:
    return json.dumps({"step": step, "loss": 1.5}) + "\n"


def test_only_what_is_new_is_read_and_half_a_line_waits(tmp_path: Path) -> None:
    reader, log = Reader(tmp_path), tmp_path / "log.jsonl"
    assert reader.look() == []
    log.write_text(row(1) + row(2) + row(3)[:8])
    assert reader.look() == [1, 2]
    with log.open("a") as file:
        file.write(row(3)[8:] + row(4))
    assert reader.look() == [1, 2, 3, 4] and reader.look() == [1, 2, 3, 4] and reader.begun == 1


def test_a_file_that_is_written_anew_is_read_anew(tmp_path: Path) -> None:
    reader, log = Reader(tmp_path), tmp_path / "log.jsonl"
    log.write_text("".join(map(row, range(1, 9))))
    assert reader.look() == list(range(1, 9))
    log.write_text(row(1) + row(2))  # the same file, cut, as for a run that is resumed
    assert reader.look() == [1, 2]
    other = tmp_path / "other"
    other.write_text("".join(map(row, (7, 8, 9))))
    other.replace(log)
    assert reader.look() == [7, 8, 9]
    log.write_text("".join(map(row, (70, 80, 90, 100))))  # the same file, longer, with another beginning
    assert reader.look() == [70, 80, 90, 100]
    log.unlink()
    assert reader.look() == [] and reader.begun == 5


def test_nonsense_is_passed_over(tmp_path: Path) -> None:
    wrong = ["", "{", "[1]", "7", '{"step": "x"}', '{"step": true}', '{"step": -1}', '{"step": 1e3}', '{"loss": 1}',
             f'{{"step": {10**30}}}', "[" * 100_000, "\udcff", '{"step": 1.0}']  # fmt: skip
    content = row(1) + "".join(f"{line}\n" for line in wrong) + row(2)
    (tmp_path / "log.jsonl").write_bytes(content.encode(errors="surrogateescape"))
    assert Reader(tmp_path).look() == [1, 2]


def test_a_long_file_is_read_in_several_looks_and_a_long_line_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "CHUNK", 64)
    monkeypatch.setattr(lines, "AT_ONCE", 2)
    monkeypatch.setattr(lines, "LONGEST", 100)
    reader, log = Reader(tmp_path), tmp_path / "log.jsonl"
    log.write_text(row(1) + json.dumps({"step": 2, "long": "x" * 1000}) + "\n" + "".join(map(row, range(3, 20))))
    looks = 1
    while not reader.lines.read():
        looks += 1
    assert reader.steps == [1, *range(3, 20)] and looks > 5 and reader.begun == 1
