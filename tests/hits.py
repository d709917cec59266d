"""Stop a run at a chosen step, and compare the results."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sparring.run.checkpoint import load_checkpoint
from tiny import same_bits, without_times

LEFT = ("generator.safetensors", "classifier.safetensors", "metrics.jsonl", "vitals.jsonl", "results.json", "best.json")


class Hit:
    """A progress display that calls a function at a step."""

    def __init__(self, at: int, what: Callable[[], None]):
        self.at, self.what = at, what

    def __call__(self, start: int, total: int) -> Hit:
        return self

    def __enter__(self) -> Hit:
        return self

    def __exit__(self, *_: Any) -> None: ...

    def values(self, values: dict[str, float]) -> None: ...

    def measuring(self, done: int, total: int) -> None: ...

    def step(self, step: int) -> None:
        if step == self.at:
            self.what()


class KilledError(BaseException):
    """A stand-in for SIGKILL: the library must not catch it, or write anything because of it."""


def kill() -> None:
    raise KilledError


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def assert_same_run(a: Path, b: Path) -> None:
    """Assert that the last checkpoint, the weights, logs, metrics and pictures of two runs are the same."""
    names = [sorted(p.relative_to(f).as_posix() for p in f.rglob("*") if p.is_file()) for f in (a, b)]
    assert names[0] == names[1]
    last = names[0][max(i for i, name in enumerate(names[0]) if name.startswith("checkpoints/step"))]
    same_bits(load_checkpoint(a / last), load_checkpoint(b / last))
    assert without_times(a / "log.jsonl") == without_times(b / "log.jsonl")
    for name in names[0]:
        if name.endswith(".png") or Path(name).name in LEFT:
            assert (a / name).read_bytes() == (b / name).read_bytes(), name
