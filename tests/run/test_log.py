"""JSON lines: what is written is there at once, and a resumed run goes on from its step."""

import json

import pytest

from sparring.files import read_rows
from sparring.run.log import JsonLines


def test_rows_are_on_disk_as_soon_as_they_are_written(tmp_path):
    log = JsonLines(tmp_path / "log.jsonl")
    log.write({"step": 1, "hinge": 0.5})
    assert read_rows(tmp_path / "log.jsonl") == [{"step": 1, "hinge": 0.5}]
    log.close()


def test_resuming_keeps_what_was_before_its_step(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps({"step": step}) + "\n" for step in (2, 4, 5, 6, 8)))
    log = JsonLines(path, after=6, keep=lambda row: row["step"] % 2 == 0)
    log.write({"step": 7})
    log.close()
    assert [row["step"] for row in read_rows(path)] == [2, 4, 6, 7]
    JsonLines(path).close()
    assert path.read_text() == ""


@pytest.mark.parametrize(
    "torn", ['{"step": 3, "hin', "\x00\x00\x00", '{"step": 3, "x": "\ud83d', "3", "[1]", '{"no": 1}']
)
def test_a_line_that_a_crash_tore_is_left_out(tmp_path, torn):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"step": 1}\n{"step": 2}\n' + torn.encode("utf-8", "surrogatepass"))
    assert [row["step"] for row in read_rows(path)] == [1, 2]
    assert read_rows(tmp_path / "none.jsonl") == []


def test_line_separators_inside_a_text_do_not_end_a_row(tmp_path):
    log = JsonLines(tmp_path / "log.jsonl")
    log.write({"step": 1, "note": "a\u2028b"})
    log.close()
    assert read_rows(tmp_path / "log.jsonl") == [{"step": 1, "note": "a\u2028b"}]
