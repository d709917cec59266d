"""Messages for people: where they go, and how they write the options of a loader."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Note = Callable[[str], None]
ProgressHook = Callable[[int, int], None]  # how many are done, and how many there are
Spelling = Callable[[str, object], str]  # of an option and its value; None: the option alone
_spelling: ContextVar[Spelling] = ContextVar("spelling")


def option(key: str, value: object = None) -> str:
    """An option of a loader as the user would write it: `size=32`, `data.size=32` in a recipe, or `--size 32`."""
    return _spelling.get(_in_python)(key, value)


@contextmanager
def spelling(how: Spelling) -> Iterator[None]:
    """Within this context, `option` writes like this."""
    token = _spelling.set(how)
    try:
        yield
    finally:
        _spelling.reset(token)


def in_recipe(part: str) -> Spelling:
    """Options are keys of a part of a recipe, such as `negatives`."""

    def spell(key: str, value: object) -> str:
        return f"{part}.{key}" + ("" if value is None else f"={'true' if value is True else value}")

    return spell


def on_command_line(**others: str) -> Spelling:
    """Options look like `--size 32`. others: what stands for a key that is called something else."""
    others = {"source": "its path", "download": "sparring.load_images(NAME, download=True)"} | others

    def spell(key: str, value: object) -> str:
        plain = f"--{key.replace('_', '-')}" + ("" if value in (None, True) else f" {value}")
        return others.get(key, plain)

    return spell


def _in_python(key: str, value: object) -> str:
    return key if value is None else f"{key}={value!r}"


def to_stderr(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def counted(n: int, one: str, more: str | None = None) -> str:
    """`1 image`, `2,000 images`. Give `more` for a plural that is not `one` + "s"."""
    return f"{n:,} {one if n == 1 else more or one + 's'}"


def about_time(seconds: float | None) -> str:
    """A time as people say it: "about 40 s", "about 12 min", "about 3.5 h"."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {round(seconds / 60)} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


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
    return to_stderr if watched() else no_note


def no_note(text: str) -> None:
    """Drop a message."""
