"""Runs as jobs of SLURM, by submitit. The study's folder is one that all nodes see.

A job that is pre-empted or out of time is queued again and goes on from the run's last checkpoint. Jobs of a study that was
killed run to their end; the same command then takes what they leave.
"""

from __future__ import annotations

import tempfile
from typing import Any

from sparring.errors import SparringError, one_line
from sparring.study.executors.base import Work

SLOTS = 1000  # jobs in the queue at once


class Slurm:
    """options: partition, account, time in minutes, and others of submitit's, such as mem_gb and slurm_qos.

    cluster=local runs the jobs on this machine, as a trial.
    """

    def __init__(self, **options: str):
        try:
            import submitit
        except ImportError:
            raise SparringError("the executor slurm needs submitit: pip install 'sparring[slurm]'") from None
        self.slots = SLOTS
        self._submitit = submitit
        self._cluster = options.pop("cluster", "slurm")
        if self._cluster not in ("slurm", "local"):
            raise SparringError(f"cluster takes slurm or local, got '{self._cluster:.60}'")
        self._options: dict[str, Any] = {_name(key): _value(value) for key, value in options.items()}
        with one_line("slurm: "):
            self._executor = submitit.AutoExecutor(tempfile.gettempdir(), cluster=self._cluster)
            self._executor.update_parameters(**self._options)

    def submit(self, work: Work) -> Any:
        folder = work.log.parent / "slurm"
        folder.mkdir(parents=True, exist_ok=True)
        executor = self._submitit.AutoExecutor(folder, cluster=self._cluster)
        executor.update_parameters(name=work.name, cpus_per_task=work.threads, **self._options)
        return executor.submit(_Job(str(work.file.absolute()), str(work.log.absolute())))

    def poll(self, handle: Any) -> bool:
        return bool(handle.done())

    def cancel(self, handle: Any) -> None:
        handle.cancel()


class _Job:
    """What a node calls; submitit asks it for its checkpoint when the job must go, and queues that again."""

    def __init__(self, file: str, log: str):
        self.file, self.log = file, log

    def __call__(self) -> None:
        from sparring.study.work import run_task_with_log

        run_task_with_log(self.file, self.log)

    def checkpoint(self) -> Any:
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _name(key: str) -> str:
    return {"time": "timeout_min", "partition": "slurm_partition", "account": "slurm_account"}.get(key, key)


def _value(text: str) -> Any:
    return int(text) if text.isdecimal() else text
