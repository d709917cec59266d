"""Limit the memory and time of code under test, which fails instead of taking everything."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class OutOfTime(BaseException):  # not an Exception, so that no `except Exception` catches it
    """The code under test did not finish in time."""


@contextmanager
def bounded(seconds: float = 20, more: int = 2 * 2**30) -> Iterator[None]:
    """Limit the block to `more` additional bytes and to some seconds. Raises MemoryError or OutOfTime."""

    def stop(*_: Any) -> None:
        raise OutOfTime(f"no answer within {seconds} seconds")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, hard))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGALRM, handler)
