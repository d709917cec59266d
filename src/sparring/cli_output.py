"""Where the command line writes: results on stdout, notes and progress on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def note(text: str) -> None:
    sys.stderr.write(f"{text}\n")


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
