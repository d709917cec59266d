"""Output of the command line: results on stdout, notes and progress on stderr."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from sparring.messages import to_stderr as note

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["is_first_rank", "note", "plain_console", "print_json", "print_lines"]
PIPED_WIDTH = 150  # columns of a table in a file or a pipe: wide enough not to cut names


def plain_console() -> Console:
    """A console for tables. It prints text verbatim, including [brackets] and :colons: in names."""
    from rich.console import Console

    console = Console(soft_wrap=False, highlight=False, markup=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPED_WIDTH
    return console


def is_first_rank() -> bool:
    """Whether this process prints the results: torchrun may have started several."""
    return os.environ.get("RANK", "0") == "0"


def print_json(values: Any) -> None:
    json.dump(values, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def print_lines(*lines: str) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
