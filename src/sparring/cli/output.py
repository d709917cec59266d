"""Where the command line writes: results on stdout, notes and progress on stderr."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from sparring.messages import to_stderr as note

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["note", "plain_console", "print_json", "print_lines"]
UNSEEN_WIDTH = 150  # columns of a table that goes into a file or a pipe, where names should be whole


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


def print_lines(*lines: str) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
