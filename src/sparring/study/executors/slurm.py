"""Runs as jobs of SLURM, by submitit. The study's folder is one that all nodes see.

A job that is preempted or out of time is queued again and goes on from the run's last checkpoint. Jobs of a study that was
killed run to their end; the same command then takes what they leave.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from sparring.errors import SparringError, needs, one_line
from sparring.study.work import Task, run_with_log

NAMES = {"time": "timeout_min", "partition": "slurm_partition", "account": "slurm_account"}  # submitit's, by ours


class Slurm:
    """options: partition, account, time in minutes, and others of submitit's, such as mem_gb and slurm_qos.

    cluster=local runs the jobs on this machine, as a trial.
    """

    slots = 1000  # jobs in the queue at once

    def __init__(self, cluster: str = "slurm", **options: str):
        with needs("the executor slurm needs submitit", "slurm"):
            from submitit import AutoExecutor
        if cluster not in ("slurm", "local"):
            raise SparringError(f"cluster takes slurm or local, got '{cluster:.60}'")
        self._new = partial(AutoExecutor, cluster=cluster)
        self._options = {NAMES.get(k, k): int(text) if text.isdecimal() else text for k, text in options.items()}
        with one_line("slurm: "):  # a wrong option is refused before anything runs
            self._executor(tempfile.gettempdir())

    def _executor(self, folder: Path | str, **options: Any) -> Any:
        executor = self._new(folder)
        executor.update_parameters(**options, **self._options)
        return executor

    def submit(self, task: Task) -> Any:
        folder = task.log.parent / "slurm"
        folder.mkdir(parents=True, exist_ok=True)
        executor = self._executor(folder, name=task.name, cpus_per_task=task.threads)
        return executor.submit(_Job(), str(task.file), str(task.log))

    def poll(self, handle: Any) -> bool:
        return bool(handle.done())

    def cancel(self, handle: Any) -> None:
        handle.cancel()


class _Job:
    """What a node calls; submitit asks it for its checkpoint when the job must go, and queues that again."""

    def __call__(self, file: str, log: str) -> None:
        run_with_log(file, log)

    def checkpoint(self, file: str, log: str) -> Any:
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, file, log)
