"""Runs as processes of this machine, which end with the one that started them."""

from __future__ import annotations

import os
import subprocess
import sys

from sparring.study.work import Task


class Local:
    """A process for each run, as many at once as the machine has cores."""

    def __init__(self) -> None:
        self.slots = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._asked: set[int] = set()  # to end

    def submit(self, task: Task) -> subprocess.Popen[bytes]:
        task.log.parent.mkdir(parents=True, exist_ok=True)
        with task.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "sparring.study.work", str(task.file)],
                stdin=subprocess.PIPE,  # closed by the system when this process ends, which ends the worker
                stdout=log,
                stderr=log,
                env=os.environ | {"PYTHONSAFEPATH": "1"},
            )

    def poll(self, handle: subprocess.Popen[bytes]) -> bool:
        ended = handle.poll() is not None
        if ended and handle.stdin is not None:
            handle.stdin.close()
        return ended

    def cancel(self, handle: subprocess.Popen[bytes]) -> None:
        if handle.pid in self._asked:
            handle.kill()
        self._asked.add(handle.pid)
        handle.terminate()
