"""A process that ends with the one that started it, however that ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

PDEATHSIG = 1  # of prctl: the signal that a process gets when its parent ends


def end_with_parent() -> None:
    """End this process when the one that started it, and holds its standard input open, has ended.

    Ctrl-C is left to that one, which then asks this process to end.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":  # at once, even while an import keeps the thread below waiting
        ctypes.CDLL(None).prctl(PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_end_at_eof, daemon=True).start()


def _end_at_eof() -> None:
    while os.read(0, 64):
        pass
    os._exit(1)
