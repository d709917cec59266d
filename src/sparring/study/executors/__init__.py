"""Where the runs of a study are trained: on this machine, by Ray, by SLURM, or an executor of one's own; one file each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from sparring.errors import one_line
from sparring.plugins import find
from sparring.trust import USERS_OWN

if TYPE_CHECKING:
    from sparring.study.work import Task

EXECUTORS = {
    "local": "sparring.study.executors.local:Local",
    "ray": "sparring.study.executors.ray:Ray",
    "slurm": "sparring.study.executors.slurm:Slurm",
}


class Executor(Protocol):
    """Trains runs elsewhere. Whether a run has a result is seen in its folder; a run that ended without is submitted again.

    The constructor takes the executor's options, as text by name: those after its name in `--executor slurm:time=60`.
    """

    slots: int  # how many runs are given to it at once, unless --jobs says so

    def submit(self, task: Task) -> Any:
        """Have `sparring.study.work.run_with_log(task.file, task.log)` called by a process of its own, soon, on
        `task.threads` cores. Returns a handle for the other two functions."""

    def poll(self, handle: Any) -> bool:
        """Whether that process has ended, however it did."""

    def cancel(self, handle: Any) -> None:
        """Ask it to end; it saves its run first. Called again: end it at once."""


def make_executor(choice: Any) -> Executor:
    """An executor by name or `package.module:Class`, its options after a colon, as in "slurm:partition=gpu"; or itself."""
    if not isinstance(choice, str):
        return choice  # type: ignore[no-any-return]
    name, _, rest = choice.partition(":")
    if name not in EXECUTORS and rest:
        own, _, rest = rest.partition(":")
        name = f"{name}:{own}"
    pairs = [(word if "=" in word else f"address={word}").partition("=") for word in rest.split(",") if word]
    made = find(name, EXECUTORS, "executor", USERS_OWN)
    with one_line(f"executor {choice:.60}: "):
        found: Executor = made(**{key.strip(): value.strip() for key, _, value in pairs})
    return found
