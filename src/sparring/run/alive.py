"""Signs of life: which process works in a folder, whether it still runs, and how it ended. Nothing here imports torch."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sparring.errors import SparringError
from sparring.files import write_json
from sparring.parsing import read_json

STATUS_FILE = "status.json"
STALE = 120.0  # seconds without a sign of life, after which a process on another machine counts as gone


def sign_of_life() -> dict[str, Any]:
    """This process, as `is_alive` recognises it: its number, host and start, and the time now."""
    pid = os.getpid()
    return {"process": pid, "host": socket.gethostname(), "started": started(pid), "at": time.time()}


def is_alive(said: Mapping[str, Any], seen: float | None = None, stale: float = STALE) -> bool:
    """Whether the process that left a sign of life still runs.

    seen: when it last left a trace, in seconds since 1970; by default, when it left this sign. A process on another machine
        cannot be looked up: it counts as gone `stale` seconds later.
    """
    pid, host, at = said.get("process"), said.get("host"), said.get("at")
    if type(pid) is not int or pid <= 0:
        return False
    if host != socket.gethostname():
        last = at if seen is None else seen
        return isinstance(last, int | float) and time.time() - last < stale
    try:
        os.kill(pid, 0)
    except (OSError, OverflowError) as error:
        return isinstance(error, PermissionError)  # another user's process
    return said.get("started") in (None, started(pid))  # else its number was given to another process


def say_begun(folder: Path) -> None:
    """Leave a sign of life in a run's folder."""
    write_json(folder / STATUS_FILE, {"state": "training", **sign_of_life()})


@contextmanager
def end_recorded(folder: Path) -> Iterator[None]:
    """Around a run: if this process has left its sign of life there, replace it by how the run ended, and why."""
    state, message = "finished", None
    try:
        yield
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        state, message = "interrupted" if stopped else "failed", None if stopped else _why(error)
        raise
    finally:
        said, own = read_sign(folder), sign_of_life()
        if said.get("state") == "training" and all(said.get(key) == own[key] for key in ("process", "host", "started")):
            with suppress(OSError):  # a full disk, which has been reported
                write_json(folder / STATUS_FILE, {**said, "state": state, "message": message, "ended": time.time()})


def read_sign(folder: Path) -> dict[str, Any]:
    """What status.json says; empty if there is none, or it is not ours."""
    try:
        said = read_json(folder / STATUS_FILE)
    except SparringError:
        return {}
    return said if isinstance(said, dict) else {}


def _why(error: BaseException) -> str:
    return str(error if isinstance(error, SparringError) else SparringError(f"{type(error).__name__}: {error}"))


def started(pid: int) -> str | None:
    """When a process was started, in the system's own count, which tells it from a later process with its number.

    None where the system does not say; "ended" for a process that its parent has not yet noticed.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return "ended" if fields[0] in "ZX" else fields[19]
