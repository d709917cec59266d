"""Messages for people: they go to stderr if somebody is watching."""

from __future__ import annotations

import sys
from collections.abc import Callable

Note = Callable[[str], None]
Progress = Callable[[int, int], None]  # how many are done, and how many there are


def to_stderr(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def counted(n: int, one: str, more: str | None = None) -> str:
    """`1 image`, `2,000 images`. Give `more` for a plural that is not `one` + "s"."""
    return f"{n:,} {one if n == 1 else more or one + 's'}"


def in_notebook() -> bool:
    """Whether this process runs a notebook, which is IPython driven by a kernel."""
    if "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return getattr(shell, "kernel", None) is not None


def watched() -> bool:
    """Whether somebody sees the messages of a run: in a notebook, or if stderr is a terminal."""
    return in_notebook() or sys.stderr.isatty()


def note_or_default(note: Note | None) -> Note:
    """The given function. By default messages go to stderr if somebody is watching, else nowhere."""
    if note is not None:
        return note
    return to_stderr if watched() else _nothing


def _nothing(text: str) -> None: ...
