"""Where the command line writes: results on stdout, notes and progress on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

UNSEEN_WIDTH = 150  # columns of a table that goes into a file or a pipe, where names should be whole


def note(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def plain_console() -> Console:
    """Where tables for people are printed: what stands in them is shown as it is, also [brackets] and :colons: in names."""
    from rich.console import Console

    console = Console(soft_wrap=False, highlight=False, markup=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = UNSEEN_WIDTH
    return console


def print_json(values: Any) -> None:
    json.dump(values, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


@contextmanager
def measuring() -> Iterator[Callable[[int, int], None]]:
    """A progress bar over images, on stderr, once there is something to show."""
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task("measuring", total=None)

    def update(done: int, total: int) -> None:
        bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield update
    finally:
        if bar.live.is_started:
            bar.stop()


def print_lines(*lines: str) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
