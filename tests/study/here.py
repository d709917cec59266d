"""An executor without processes, for tests of what drives executors."""

from __future__ import annotations

from sparring.study import work
from sparring.study.executors.base import Work


class Here:
    """Trains each run in this process when it is polled. lose: names of runs whose worker is lost that often."""

    slots = 2

    def __init__(self, lose: dict[str, int] | None = None):
        self.trained: list[str] = []
        self.lose = dict(lose or {})

    def submit(self, work: Work) -> Work:
        self.trained.append(work.name)
        return work

    def poll(self, handle: Work) -> bool:
        if self.lose.get(handle.name, 0) > 0:
            self.lose[handle.name] -= 1
        else:
            work.run_task(handle.file)
        return True

    def cancel(self, handle: Work) -> None: ...
