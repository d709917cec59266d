"""Limits: what is refused, and what is accepted just below the limit."""

from __future__ import annotations

import io
import os
import resource
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from sparring import limits
from sparring.archives import check_tensor_archive, check_tensors, open_npz
from sparring.data.decode import decode
from sparring.errors import LONGEST, SparringError
from sparring.files import read_rows
from sparring.parsing import NotYAMLError, parse_json, parse_yaml, read_bytes, read_json
from sparring.run.checkpoint import CheckpointFolder


def test_a_message_is_one_short_line_that_keeps_its_end():
    assert str(SparringError("a\n b\tc\x1b[0m\ud800")) == "a b c\\x1b[0m\\ud800"
    long = str(SparringError("what is wrong " + "x" * 10**6 + " and the cure"))
    assert len(long) == LONGEST and long.startswith("what is wrong") and " ... " in long
    assert str(SparringError("what " + "x" * 1_000 + " and the cure")).endswith("and the cure")


def test_values_are_counted_as_if_aliases_were_written_out(monkeypatch):
    monkeypatch.setattr("sparring.parsing.NODES", 50)
    text = "a: &a [1, 2, 3, 4]\nb: &b [*a, *a]\nc: "
    assert parse_yaml(text + "[*b]", "x")["c"] == [[[1, 2, 3, 4]] * 2]
    with pytest.raises(SparringError, match="x holds more than 50 values"):
        parse_yaml(text + "[*b, *b, *b]", "x")


@pytest.mark.parametrize(("depth", "fits"), [(limits.DEPTH, True), (limits.DEPTH + 1, False)])
def test_depth(depth, fits):
    text = "[" * depth + "]" * depth
    for parse in (parse_yaml, parse_json):
        if fits:
            assert parse(text, "x") is not None
        else:
            with pytest.raises(SparringError, match=r"x.* nested deeper"):
                parse(text, "x")


def test_invalid_yaml_and_yaml_that_is_too_large_are_different_errors():
    for text in ("a: b: c", "!x 1", "{", "*a", "!!int x", "? [1]\n: 2"):
        with pytest.raises(NotYAMLError):
            parse_yaml(text, "x")
    with pytest.raises(SparringError, match="values must be text") as caught:
        parse_yaml("!!set {a}", "x")
    assert not isinstance(caught.value, NotYAMLError)


def test_a_file_is_read_only_up_to_its_limit(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", 5) == b"12345"
    with pytest.raises(SparringError, match="a has more than 4 bytes"):
        read_bytes(tmp_path / "a", 4)


def test_nothing_waits_for_a_pipe_in_a_run(tmp_path):
    for name in ("recipe.json", "log.jsonl", "best.json"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(SparringError, match="is a pipe or a device"):
        read_json(tmp_path / "recipe.json")
    with pytest.raises(SparringError, match="is a pipe or a device"):
        read_rows(tmp_path / "log.jsonl")
    assert CheckpointFolder(tmp_path).best() is None


def test_available_memory_respects_the_limit_of_the_process():
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**33, hard))
    try:
        assert limits.memory() <= 2**33
        with pytest.raises(
            SparringError, match=r"this would take 8\.59 GB of memory, but only .* can be used: ask for less"
        ):
            limits.check_memory(2**33 + 1, "this", "ask for less")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_data_may_grow_freely_while_small_and_not_beyond_a_share():
    limits.check_inflation(limits.INFLATED_FREELY, 1, "x")
    limits.check_inflation(2**40, 2**40 // limits.INFLATION + 1, "x")
    with pytest.raises(SparringError, match="x would grow from 1 bytes"):
        limits.check_inflation(limits.INFLATED_FREELY + 1, 1, "x")


def test_the_header_of_an_npz_must_match_its_size(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.arange(6).reshape(2, 3))
    with open_npz(tmp_path / "a.npz") as file:
        assert file.header("a")[0] == (2, 3) and file["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        content = archive.read("a.npy").replace(b"(2, 3)", b"(2, 4)")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("a.npy", content)
    with pytest.raises(SparringError, match=r"'a' is damaged: its header claims int64 \[2, 4\], 64 bytes, .* 48"):  # noqa: SIM117
        with open_npz(tmp_path / "b.npz") as file:
            file["a"]


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        {"a": torch.zeros(1).expand(10**12)},
        {"a": [torch.zeros(200)] * 9},
        {"a": nested(limits.DEPTH + 1)},
        {(1, 2): 3},
        {"a": {1, 2}},
        {"a": torch.device("cpu")},
    ],
)
def test_tensors_that_claim_to_be_larger_than_their_file(value):
    check_tensors({"a": torch.zeros(200), "b": [1, 2.5, "c", None, True, {2: (3,)}]}, 800, "x")
    with pytest.raises(SparringError, match=r"^x "):
        check_tensors(value, 800, "x")


def test_a_checkpoint_that_is_compressed_to_grow(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(10**6))
    with pytest.raises(SparringError, match="claim to hold 1 MB"):
        check_tensor_archive(tmp_path / "a.pt", "a.pt")


def test_formats_that_would_start_programs_are_not_opened():
    with pytest.raises(ValueError, match="its format is not one of PNG, JPEG"):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n", None, None)


def test_a_damaged_tiff_prints_nothing(capfd):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 9, (64, 64), np.uint8)).save(
        buffer, "TIFF", compression="tiff_adobe_deflate"
    )
    content = bytearray(buffer.getvalue())
    content[20:120] = b"\xff" * 100
    with pytest.raises(OSError):
        decode(bytes(content), None, None)
    assert capfd.readouterr().err == ""
