"""Runs as tasks of a Ray cluster, or of one that is started on this machine. The study's folder is one that all nodes see.

If a task's worker dies, Ray starts it again, and it goes on from the run's last checkpoint. Tasks end with their study.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from sparring.errors import needs, one_line
from sparring.study.work import Task, run_with_log

RETRIES = 3  # of a task whose worker died


class Ray:
    """address: of a running cluster, or "auto"; by default Ray is started here."""

    def __init__(self, address: str | None = None):
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # tasks that ask for no GPU see what is there
        with needs("the executor ray needs Ray", "ray"):
            import ray
        self._ray = ray
        if not ray.is_initialized():
            paths = os.pathsep.join(path for path in sys.path if path)
            with one_line("Ray does not start: "):
                ray.init(
                    address=address,
                    include_dashboard=False if address is None else None,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    runtime_env={"env_vars": {"PYTHONPATH": paths}},
                )
        self.slots = int(ray.cluster_resources().get("CPU", 1))
        self._asked: set[Any] = set()  # to end
        self._train = ray.remote(max_retries=RETRIES, max_calls=1)(run_with_log)  # a process of its own for each run

    def submit(self, task: Task) -> Any:
        return self._train.options(num_cpus=task.threads, name=task.name).remote(str(task.file), str(task.log))

    def poll(self, handle: Any) -> bool:
        return bool(self._ray.wait([handle], timeout=0)[0])

    def cancel(self, handle: Any) -> None:
        self._ray.cancel(handle, force=handle in self._asked)
        self._asked.add(handle)
