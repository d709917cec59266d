"""Code under test that may neither take all memory nor run forever: it fails instead."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class OutOfTime(BaseException):  # no Exception, so that nobody's `except Exception` takes it for an error of its own
    """Code under test did not end in time."""


@contextmanager
def bounded(seconds: float = 20, more: int = 2 * 2**30) -> Iterator[None]:
    """Within the block this process may have `more` bytes than before, and so many seconds: MemoryError or OutOfTime."""

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
