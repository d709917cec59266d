"""Files are written completely or not at all, with permissions according to the user's umask."""

import errno
import os

import pytest
import torch

from sparring.errors import SparringError
from sparring.files import (
    cache_folder,
    check_writable,
    content_hash,
    one_line_for_disk_errors,
    remove_unfinished,
    write_atomically,
    write_json,
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "file.bin"
    write_atomically(path, b"old")

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as caught:
        write_atomically(path, b"new")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"]


def test_text_bytes_and_parts_arrive_as_given(tmp_path):
    write_atomically(tmp_path / "a", "grün")
    write_atomically(tmp_path / "b", [b"one", memoryview(b"two")])
    write_json(tmp_path / "c", {"ü": [1, None]})
    assert (tmp_path / "a").read_text(encoding="utf-8") == "grün"
    assert (tmp_path / "b").read_bytes() == b"onetwo"
    assert (tmp_path / "c").read_text(encoding="utf-8") == '{\n  "ü": [\n    1,\n    null\n  ]\n}\n'


def test_permissions_follow_the_mask(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_leftovers_of_a_killed_process_are_removed(tmp_path, monkeypatch):
    class KilledError(BaseException):
        pass

    def killed(source, target):
        raise KilledError

    write_atomically(tmp_path / "sub" / "kept", b"x")
    monkeypatch.setattr(os, "replace", killed)
    monkeypatch.setattr("pathlib.Path.unlink", lambda self, missing_ok=False: None)
    with pytest.raises(KilledError):
        write_atomically(tmp_path / "sub" / "lost", b"x")
    monkeypatch.undo()
    assert len(list((tmp_path / "sub").iterdir())) == 2
    remove_unfinished(tmp_path)
    assert [p.name for p in (tmp_path / "sub").iterdir()] == ["kept"]


def test_a_full_disk_is_one_line_and_other_errors_pass():
    with (
        pytest.raises(SparringError, match=r"cannot write log\.jsonl: No space left; free some"),
        one_line_for_disk_errors("free some"),
    ):
        raise OSError(errno.ENOSPC, "No space left", "log.jsonl")
    with pytest.raises(FileNotFoundError), one_line_for_disk_errors("free some"):
        raise FileNotFoundError(errno.ENOENT, "No such file", "users-own")
    with pytest.raises(SparringError, match="cannot write a: Is a directory"), one_line_for_disk_errors("free some"):
        raise IsADirectoryError(errno.EISDIR, "Is a directory", "a")


def test_a_folder_that_cannot_hold_files_is_one_line(tmp_path, monkeypatch):
    """For example below /proc."""

    def refuse(self, *arguments, **options):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(self))

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(SparringError, match=r"cannot write .*new: No such file or directory; elsewhere"):
        check_writable(tmp_path / "new", "elsewhere")


@pytest.mark.parametrize(
    "other",
    [
        {"a": 1, "b": torch.ones(2, dtype=torch.float64)},  # type
        {"a": 1, "b": torch.ones(2, 1)},  # shape
        {"a": 1, "b": torch.tensor([1.0, 1.0 + 2**-23])},  # one bit
        {"a": True, "b": torch.ones(2)},
        {"a": 1, "b": [torch.ones(2)]},
    ],
)
def test_a_hash_depends_on_all_of_the_content(other):
    value = {"a": 1, "b": torch.ones(2)}
    assert content_hash(value) == content_hash({"a": 1, "b": torch.ones(4)[::2]})
    assert content_hash(value) == content_hash({"b": torch.ones(2), "a": 1})  # the order of keys does not matter
    assert content_hash(value) != content_hash(other)


def test_the_cache_is_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("SPARRING_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_folder() == tmp_path / "x" / "sparring"
