"""Waits for other ranks for as long as they are alive.

A step's all-reduce takes moments, so minutes without an answer mean that a rank is lost. An evaluation, or decoding a large
data set, may take hours: meanwhile each rank sends signs of life.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from sparring.errors import SparringError

STEP_WAIT = timedelta(minutes=10)  # for one all-reduce
SIGN_EVERY = 20.0  # seconds between two signs of life
SIGN_WAIT = timedelta(minutes=3)  # after this long without one, a rank is lost

_groups: list[tuple[Any, Any]] = []  # (default group, its group for signs of life)


def prepare_signs() -> None:
    """Create the group for signs of life. Every rank must call this at the same point."""
    if not _groups or _groups[-1][0] is not dist.group.WORLD:
        _groups[:] = [(dist.group.WORLD, dist.new_group(backend="gloo", timeout=SIGN_WAIT))]


def working(rank: int, world: int) -> AbstractContextManager[None]:
    """Around long work of which each rank does all or a part: `leave_together`, or nothing for a single rank."""
    if world == 1:
        return nullcontext()
    prepare_signs()
    return leave_together(rank)


@contextmanager
def answered(rank: int) -> Iterator[None]:
    """Around a collective call: raises SparringError if another rank is lost."""
    try:
        yield
    except RuntimeError as error:  # a closed connection, or no answer for too long
        raise SparringError(_lost(rank)) from error


@contextmanager
def leave_together(rank: int) -> Iterator[None]:
    """Around work on every rank: whoever is done waits for the others, for as long as they show signs of life.

    Raises SparringError on all ranks if one of them raised an error or was lost.
    """
    signs = _Signs()
    signs.start()
    try:
        yield
    except BaseException:
        signs.end(failed=True)
        raise
    signs.end()
    if signs.lost is not None:
        raise SparringError(_lost(rank)) from signs.lost
    if signs.others_failed:
        raise SparringError(f"rank {rank} stops because another rank of this run failed: see its message")


def _lost(rank: int) -> str:
    return f"rank {rank} lost another rank of this run, which has died or cannot be reached: continue it with --resume"


class _Signs(threading.Thread):
    """Sends and receives signs of life until all ranks are done or one has failed."""

    def __init__(self) -> None:
        super().__init__(daemon=True, name="signs of life")
        self.lost: RuntimeError | None = None
        self.others_failed = self._failed = False
        self._done = threading.Event()
        self._group = _groups[-1][1]

    def end(self, *, failed: bool = False) -> None:
        self._failed = failed
        self._done.set()
        self.join()

    def run(self) -> None:
        world = dist.get_world_size(self._group)
        try:
            while True:
                done = self._done.wait(SIGN_EVERY)
                votes = torch.tensor([float(done), float(done and self._failed)])
                dist.all_reduce(votes, group=self._group)
                self.others_failed = votes[1].item() > 0
                if votes[0].item() == world or self.others_failed:
                    return
        except RuntimeError as error:  # a closed connection, or no sign for too long
            self.lost = error
