"""An executor without processes, for tests of what drives executors."""

from __future__ import annotations

from sparring.study import work
from sparring.study.work import Task


class Here:
    """Trains each run in this process when it is polled. lose: names of runs whose worker is lost that often."""

    slots = 2

    def __init__(self, lose: dict[str, int] | None = None):
        self.trained: list[str] = []
        self.lose = dict(lose or {})

    def submit(self, task: Task) -> Task:
        self.trained.append(task.name)
        return task

    def poll(self, handle: Task) -> bool:
        if self.lose.get(handle.name, 0) > 0:
            self.lose[handle.name] -= 1
        else:
            work.run_task(handle.file)
        return True

    def cancel(self, handle: Task) -> None: ...
