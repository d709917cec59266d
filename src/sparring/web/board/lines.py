"""Reads JSON-lines files that grow: only what was added since the last look, up to the last whole line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from sparring.web.board.opening import Place

CHUNK = 2**20  # bytes read at once
AT_ONCE = 32  # chunks in one look; a longer file is read in several
LONGEST = 4 * 2**20  # of a line; what is longer is passed over
CHECKED = 200  # bytes before the end of what was read: if they have changed, the file was written anew

Row = dict[str, Any]


class Lines:
    """One file. `read` gives each new row to `take`, and calls `forget` first if the file was written anew."""

    def __init__(self, place: Place, name: str, take: Callable[[Row], None], forget: Callable[[], None]):
        self._place, self._name, self._take, self._forget = place, name, take, forget
        self._inode, self._end, self._last, self._skipping = 0, 0, b"", False

    def read(self) -> bool:
        """Take what is new, and return whether that is all of it.

        A last line that is not whole yet waits. A line that is not a row with a step, or is far too long, is passed over.
        """
        try:
            with self._place.open(self._name) as handle:
                found = os.fstat(handle)
                if not self._continues(handle, found):
                    self._restart(found.st_ino)
                return self._read_on(handle)
        except OSError:
            if self._inode:
                self._restart(0)
            return True

    def _continues(self, handle: int, found: os.stat_result) -> bool:
        if found.st_ino != self._inode or found.st_size < self._end:
            return False
        return os.pread(handle, len(self._last), self._end - len(self._last)) == self._last

    def _restart(self, inode: int) -> None:
        self._inode, self._end, self._last, self._skipping = inode, 0, b"", False
        self._forget()

    def _read_on(self, handle: int) -> bool:
        rest, at, chunk = b"", self._end, b""
        for _ in range(AT_ONCE):
            chunk = os.pread(handle, CHUNK, at)
            at += len(chunk)
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                if not self._skipping:
                    self._row(line)
                self._skipping = False
            if len(rest) > LONGEST:
                rest, self._skipping = b"", True
            self._end = at - len(rest)
            if len(chunk) < CHUNK:
                break
        begin = max(0, self._end - CHECKED)
        self._last = os.pread(handle, self._end - begin, begin)
        return len(chunk) < CHUNK

    def _row(self, line: bytes) -> None:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return
        if isinstance(row, dict) and type(row.get("step")) is int and 0 <= row["step"] < 2**53:
            self._take(row)
