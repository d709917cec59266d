"""The lock of a run's folder: what frees it, what it leaves behind, and what is said where there are no locks."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import filelock
import pytest

from sparring.errors import SparringError
from sparring.run.lock import check_still_here, only_writer

HOLD = """
import os, sys, time
from pathlib import Path
from sparring.run.lock import only_writer
with only_writer(Path(sys.argv[1]), work="recipe.json"):
    (Path(sys.argv[1]) / "recipe.json").touch()
    reading, writing = os.pipe()
    if sys.argv[2] == "fork":
        if not os.fork():
            os.write(writing, b"x")
            time.sleep(60)  # outlives its parent
            os._exit(0)
        os.read(reading, 1)
    print("held", os.getpid(), flush=True)
    time.sleep(60)
"""


def _writes(folder: Path) -> bool:
    try:
        with only_writer(folder, work="recipe.json"):
            return True
    except SparringError as error:
        assert f"another process is writing to {folder}: wait until it has ended, or choose" in str(error)
        return False


@pytest.mark.parametrize("children", ["none", "fork"])
def test_kill_9_frees_the_lock(children, tmp_path):
    folder = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, folder, children], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline().startswith("held")
        assert not _writes(folder)
        assert (folder / "recipe.json").is_file()  # the refused one took nothing away
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert (folder / ".lock").is_file() and _writes(folder)
        if children == "fork":
            os.killpg(holder.pid, signal.SIGKILL)


def test_a_start_that_fails_leaves_what_was_there(tmp_path):
    for folder in (tmp_path / "new" / "deep" / "run", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(ZeroDivisionError), only_writer(folder, work="recipe.json"):
            assert (folder / ".lock").is_file()
            raise ZeroDivisionError
        assert [path.name for path in tmp_path.iterdir()] == ["empty"] and not list((tmp_path / "empty").iterdir())
    with only_writer(tmp_path / "empty", work="recipe.json"):
        (tmp_path / "empty" / "recipe.json").touch()
    assert sorted(path.name for path in (tmp_path / "empty").iterdir()) == [".lock", "recipe.json"]


def test_a_lock_of_the_same_process_is_one_too_and_says_which_file_it_is_for(tmp_path):
    with only_writer(tmp_path, work="study.jsonl", name=".study.jsonl.lock"):
        refused = pytest.raises(SparringError, match=r"another process is writing to .*study\.jsonl: wait")
        with refused, only_writer(tmp_path, work="study.jsonl", name=".study.jsonl.lock"):
            pass
        with only_writer(tmp_path, work="other.jsonl", name=".other.jsonl.lock"):
            pass


def test_a_folder_that_was_taken_over_keeps_its_new_lock(tmp_path):
    folder = tmp_path / "run"
    with only_writer(folder, work="recipe.json"):
        check_still_here(folder / "checkpoints")
        folder.rename(tmp_path / "moved")
        with pytest.raises(SparringError, match="moved or removed"):
            check_still_here(folder / "checkpoints")
        folder.mkdir()
        (folder / ".lock").touch()  # another run that has not come far
        check_still_here(tmp_path / "elsewhere")
    assert (folder / ".lock").is_file()


@pytest.mark.parametrize("fault", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_one_line_with_the_way_out(fault, tmp_path, monkeypatch):
    import fcntl

    def refuse(*_):
        raise OSError(fault, os.strerror(fault))

    monkeypatch.setattr(fcntl, "flock", refuse)
    refused = pytest.raises(SparringError, match=r"run cannot be locked \(.+\).*--out, or set SPARRING_LOCK=0")
    with refused as caught, only_writer(tmp_path / "run", work="recipe.json"):
        pass
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())
    monkeypatch.setenv("SPARRING_LOCK", "0")
    with only_writer(tmp_path / "run", work="recipe.json"):
        assert (tmp_path / "run").is_dir()


def test_a_folder_that_another_start_is_removing_is_made_again(tmp_path, monkeypatch):
    gone = []
    acquire = filelock.FileLock.acquire

    def late(lock, *arguments, **options):
        if not gone:
            gone.append(Path(lock.lock_file).parent)
            gone[0].rmdir()  # the other start failed, and took its folder away
        return acquire(lock, *arguments, **options)

    monkeypatch.setattr(filelock.FileLock, "acquire", late)
    assert _writes(tmp_path / "run") and gone


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can become nobody")
def test_who_may_not_write_is_told_so_in_one_line(tmp_path):
    import tempfile

    with tempfile.TemporaryDirectory() as place:  # tmp_path is for its owner alone
        folder = Path(place)
        (folder / "run").mkdir(mode=0o755)
        folder.chmod(0o755)
        os.seteuid(65534)
        try:
            for wanted in (folder / "run", folder / "new", folder / "run" / "deep"):
                refused = pytest.raises(SparringError, match=r"cannot write .*Permission denied; choose another folder")
                with refused as caught, only_writer(wanted, work="recipe.json"):
                    pass
                assert "\n" not in str(caught.value)
        finally:
            os.seteuid(0)
        assert not list((folder / "run").iterdir()) and [p.name for p in folder.iterdir()] == ["run"]


def test_a_writer_may_wait_until_another_one_has_ended(tmp_path):
    begun, ended = threading.Event(), []

    def hold():
        with only_writer(tmp_path, work="task.json", name=".task.json.lock"):
            begun.set()
            time.sleep(0.2)
            ended.append(True)

    holder = threading.Thread(target=hold)
    holder.start()
    begun.wait(10)
    with only_writer(tmp_path, work="task.json", name=".task.json.lock", wait=True):
        assert ended
    holder.join()
