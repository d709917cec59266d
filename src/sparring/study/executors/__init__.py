"""Where the runs of a study are trained: on this machine, by Ray, by SLURM, or by an executor of one's own.

An executor is a class with three functions, see `Executor`; one file each.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Protocol

from sparring.errors import SparringError, nearest, one_line

EXECUTORS = {
    "local": "sparring.study.executors.local:Local",
    "ray": "sparring.study.executors.ray:Ray",
    "slurm": "sparring.study.executors.slurm:Slurm",
}


class Work(Protocol):
    """What an executor needs of a run: the file for `sparring.study.work.run_task`, a log, a name, and threads."""

    @property
    def file(self) -> Path: ...

    @property
    def log(self) -> Path: ...

    @property
    def name(self) -> str: ...

    @property
    def threads(self) -> int: ...


class Executor(Protocol):
    """Trains runs elsewhere. Whether a run has a result is seen in its folder; a run that ended without is submitted again.

    The constructor takes the executor's options, as text by name: those after its name in `--executor slurm:time=60`.
    """

    slots: int  # how many runs are given to it at once, unless --jobs says so

    def submit(self, work: Work) -> Any:
        """Have `run_task(work.file)` called by a process of its own, soon. Returns a handle for the other two."""

    def poll(self, handle: Any) -> bool:
        """Whether that process has ended, however it did."""

    def cancel(self, handle: Any) -> None:
        """Ask it to end; it saves its run first. Called again: end it at once."""


def make_executor(choice: Any) -> Executor:
    """An executor by name or `package.module:Class`, its options after a colon, as in "slurm:partition=gpu"; or itself."""
    if not isinstance(choice, str):
        return choice  # type: ignore[no-any-return]
    kind, _, rest = choice.partition(":")
    if kind not in EXECUTORS and rest:
        attribute, _, rest = rest.partition(":")
        kind = f"{kind}:{attribute}"
    options = {}
    for word in filter(None, rest.split(",")):
        key, equals, value = word.partition("=")
        if not equals:
            key, value = "address", word
        options[key.strip()] = value.strip()
    if kind not in EXECUTORS and ":" not in kind:
        raise SparringError(
            f"unknown executor '{kind:.60}': {nearest(kind, EXECUTORS)} Your own is package.module:Class"
        )
    module, _, attribute = EXECUTORS.get(kind, kind).partition(":")
    with one_line(f"executor {kind}: "):
        found: Executor = getattr(importlib.import_module(module), attribute)(**options)
    return found
