"""What an executor is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol


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
