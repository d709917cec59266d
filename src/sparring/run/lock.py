"""One writer at a time: a lock on a folder, held from before the first look at it until the work ends.

The lock is the operating system's (`flock`; `LockFile` on Windows) on a hidden file in the folder. It ends with its process,
however that ends, so that no lock outlives a `kill -9` or a power cut. The file stays in a folder that holds work: it says
nothing, and removing a file that another process may be about to lock is how two processes come to hold two locks.

Verbs that only read take no lock, so that a run can be measured while it goes on.
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

FILE = ".lock"
WITHOUT = "SPARRING_LOCK"  # set to 0: for file systems that have no locks
TRIES = 50  # at a folder that another process is removing, a failed start of its own
_held: list[tuple[Path, os.stat_result]] = []  # this process's locks: the file of each, as it was when it was locked


@contextmanager
def only_writer(folder: Path, *, work: str, cure: str = ANOTHER_FOLDER, name: str = FILE) -> Iterator[None]:
    """Hold the lock of a folder, which is made if there is none.

    work: the file that the folder has once it holds any work, such as recipe.json. A folder made here that has none in the
        end is removed again. cure: what else to do, for the messages. name: the lock's file; another one where the lock is
        for the file `work` alone.

    Raises SparringError where another process, or this one, holds it, where the folder cannot be written to, and where its
    file system has no locks.
    """
    path = folder / name
    made = missing_folders(folder)
    try:
        lock = _locked(path, folder if name == FILE else folder / work, cure)
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
            path.unlink()  # while it is held: whoever has opened it sees that it is gone
            remove_empty(made)
        if lock is not None:
            lock.release()


def check_still_here(path: Path) -> None:
    """Raise SparringError if a locked folder around `path` was moved or removed: by now it may be another run's."""
    for locked, before in _held:
        around = locked.parent in (path.absolute(), *path.absolute().parents)
        if around and not _is_still(locked, before):
            raise SparringError(
                f"{locked.parent} was moved or removed while this run was writing to it, so the run stops: continue it with "
                "--resume where it is now"
            )


def _locked(path: Path, what: Path, cure: str) -> FileLock | None:
    there = path.exists()
    for tries_left in reversed(range(TRIES)):
        lock = FileLock(path, blocking=False)
        try:
            check_writable(path.parent, cure)
            if os.environ.get(WITHOUT) == "0":
                path.touch()
                return None
            with warnings.catch_warnings(), one_line_for_disk_errors(cure):
                warnings.filterwarnings("error", message="flock not supported")  # no lock file that outlives a kill -9
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
                f"{WITHOUT}=0 and see to it that nothing else writes there"
            ) from None
    raise AssertionError("the last try raises")


def _is_still(path: Path, before: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), before)
    except OSError:
        return False
