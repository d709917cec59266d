"""Allows one writer at a time: a lock on a folder, taken before the folder is first looked at and held until the end.

The operating system locks a hidden file in the folder (`flock`; `LockFile` on Windows) and unlocks it when the process
ends, even by `kill -9`. The file, which is empty, stays in a folder that holds work: if it were removed while another
process is about to lock it, two processes could each hold a lock.

Commands that only read take no lock, so a run can be measured while it trains.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from sparring.errors import SparringError
from sparring.files import ANOTHER_FOLDER, check_writable, missing_folders, one_line_for_disk_errors, remove_empty

LOCK_FILE = ".lock"
WITHOUT = "SPARRING_LOCK"  # 0: take no lock, for file systems without them
TRIES = 50  # while another process, whose start failed, removes the folder
_held: list[tuple[Path, os.stat_result]] = []  # this process's locks: the file of each, and its state when locked


@contextmanager
def only_writer(
    folder: Path, *, work: str, cure: str = ANOTHER_FOLDER, name: str = LOCK_FILE, wait: bool = False
) -> Iterator[None]:
    """Hold the lock of a folder, which is created if necessary.

    work: the file that shows that the folder holds work, such as recipe.json. If it is missing at the end, a folder created
        here is removed. cure: what else the user can do, for messages. name: the lock's file, if not the folder's but only
        the file `work` is locked. wait: until a process that holds the lock has ended, instead of raising an error.

    Raises SparringError if this or another process holds the lock, if the folder cannot be written to, or if its file system
    has no locks.
    """
    path = folder / name
    made = missing_folders(folder)
    try:
        lock = _locked(path, folder if name == LOCK_FILE else folder / work, cure, wait)
    except BaseException:
        remove_empty(made)
        raise
    held = (path.absolute(), path.stat())
    _held.append(held)
    try:
        yield
    finally:
        _held.remove(held)
        if not (folder / work).is_file() and _is_still(*held):
            path.unlink()  # while locked, so that whoever has opened it notices
            remove_empty(made)
        if lock is not None:
            lock.release()


def check_still_here(path: Path) -> None:
    """Raise SparringError if a locked folder around `path` was moved or removed: the path may be another run's now."""
    for locked, before in _held:
        around = locked.parent in (path.absolute(), *path.absolute().parents)
        if around and not _is_still(locked, before):
            raise SparringError(
                f"{locked.parent} was moved or removed while this run was writing to it, so the run stops: continue it with "
                "--resume where it is now"
            )


def _locked(path: Path, what: Path, cure: str, wait: bool) -> FileLock | None:
    there = path.exists()
    for tries_left in reversed(range(TRIES)):
        lock = FileLock(path, blocking=wait)
        try:
            check_writable(path.parent, cure)
            if os.environ.get(WITHOUT) == "0":
                path.touch()
                return None
            with warnings.catch_warnings(), one_line_for_disk_errors(cure):
                warnings.filterwarnings("error", message="flock not supported")  # its fallback would outlive a kill -9
                lock.acquire()
            return lock
        except Timeout:
            raise SparringError(f"another process is writing to {what}: wait until it has ended, or {cure}") from None
        except FileNotFoundError:
            if not tries_left:
                raise
            time.sleep(0.01)
        except (OSError, NotImplementedError, UserWarning) as error:
            reason = getattr(error, "strerror", None) or "it has no locks"
            if not there:
                path.unlink(missing_ok=True)
            raise SparringError(
                f"{what} cannot be locked ({reason}), so two runs could mix their files there: {cure}, or set "
                f"{WITHOUT}=0 and make sure that nothing else writes there"
            ) from None
    raise AssertionError("the last try raises")


def _is_still(path: Path, before: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), before)
    except OSError:
        return False
