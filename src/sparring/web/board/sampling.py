"""Asks the worker for samples: one request at a time, few waiting, and none for ever."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from typing import Any

from sparring.errors import SparringError
from sparring.limits import WHOLE, in_words
from sparring.web.board.records import as_number
from sparring.web.board.runs import Run

WAITING = 4  # requests at once, the one that is worked on among them
PATIENCE = 120.0  # seconds; the first request imports torch
IDLE = 600.0  # seconds after which the worker is ended
IMAGES = 64
PIXELS = 64 * 256 * 256  # of all images of a request
WEIGHTS = 2 * 2**30  # bytes of a generator's file
ANSWER = 64 * 2**20  # bytes
ASKED = {"first": "a seed", "count": "a number of images", "label": "a class", "truncation": "a threshold"}


class BusyError(SparringError):
    """Too many requests wait."""


def wanted(asked: Any, generator: Mapping[str, Any]) -> dict[str, Any]:
    """What the page asks for, checked: first, count, label, truncation. Raises SparringError for anything else.

    generator: what `Run.detail` says of it.
    """
    if not isinstance(asked, dict) or not set(asked) <= set(ASKED):
        raise SparringError(f"ask for samples with {', '.join(ASKED)}, and nothing else")
    classes = as_number(generator.get("num_classes")) or 0
    first, count = asked.get("first", 0), asked.get("count", 16)
    label, truncation = asked.get("label"), asked.get("truncation")
    if type(first) is not int or not 0 <= first <= WHOLE - IMAGES:
        raise SparringError(f"the first seed is a whole number from 0, got {first!r:.40}")
    if type(count) is not int or not 1 <= count <= IMAGES:
        raise SparringError(f"the number of images is a whole number from 1 to {IMAGES}, got {count!r:.40}")
    if count * int(generator["size"]) ** 2 > PIXELS:
        raise SparringError(f"{count} images of this size are too many at once: ask for fewer")
    if label not in (None, "each") and not (type(label) is int and 0 <= label < classes):
        raise SparringError(f"the class is a number below {classes}, got {label!r:.40}")
    if truncation is not None:
        truncation = as_number(truncation)
        if truncation is None or not 0.05 <= truncation <= 100:
            raise SparringError("the truncation is a number from 0.05 to 100; leave it empty for none")
    return {"first": first, "count": count, "label": label, "truncation": truncation}


class Sampler:
    """The worker, which is started when samples are first asked for. allow_code: whether generators may name any code."""

    def __init__(self, *, allow_code: bool = False):
        self.allow_code = allow_code
        self._process: Process | None = None
        self._one = asyncio.Lock()
        self._waiting = 0
        self._end: asyncio.TimerHandle | None = None

    async def draw(self, run: Run, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Samples of a run as `worker.answer` gives them. Raises SparringError; BusyError if too many wait."""
        weights, changed = run.weights()
        if changed[2] > WEIGHTS:
            raise SparringError(f"the generator has {in_words(changed[2])}: too large for the board")
        if self._waiting >= WAITING:
            raise BusyError("other samples are being drawn: try again when they are there")
        request = {"weights": weights, "changed": changed, "allow_code": self.allow_code, **asked}
        self._waiting += 1
        try:
            async with self._one:
                found = await self._answered(request)
        finally:
            self._waiting -= 1
        if "message" in found:
            raise SparringError(found["message"])
        return found

    async def _answered(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if self._end is not None:
            self._end.cancel()
        try:
            process = await self._started()
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(json.dumps(request).encode() + b"\n")
            line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
            found = json.loads(line)
        except (TimeoutError, ValueError, OSError):  # killed for its memory, or far too slow
            await self.close()
            raise SparringError("the samples were not drawn: the generator takes too much time or memory") from None
        except asyncio.CancelledError:  # its answer would be the next one's
            await self.close()
            raise
        self._end = asyncio.get_running_loop().call_later(IDLE, self._kill)
        return dict(found)

    async def _started(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            command = (sys.executable, "-m", "sparring.web.board.worker")
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=ANSWER, start_new_session=True
            )
        return self._process

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def close(self) -> None:
        """End the worker."""
        if self._end is not None:
            self._end.cancel()
        self._kill()
        if self._process is not None:
            await self._process.wait()
        self._process = None
