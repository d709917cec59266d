"""What a run logs while it trains, as JSON lines, and the time that it took."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sparring.files import TIME_FIELDS, read_rows, write_atomically


class Stopwatch:
    """The time that a run has taken over all its sessions, and its step rate. Stands still if the clock is set back."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], step: int):
        """rows: of the log so far. step: where this session begins."""
        before = rows[-1].get("seconds") if rows else None
        self._total = float(before) if isinstance(before, int | float) else 0.0
        self._training = 0.0  # of this session
        self._seen, self._since = time.perf_counter(), (step, 0.0)

    def _look(self, *, training: bool = True) -> None:
        now = time.perf_counter()
        passed, self._seen = max(now - self._seen, 0.0), now
        self._total += passed
        self._training += passed if training else 0.0

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Around work that is not training and does not count in the step rate."""
        self._look()
        yield
        self._look(training=False)

    def times(self, step: int) -> dict[str, float]:
        """The `TIME_FIELDS` at a step. The rate is since the last call."""
        self._look()
        steps, seconds = step - self._since[0], self._training - self._since[1]
        self._since = (step, self._training)
        rate = steps / seconds if seconds > 0 else 0.0
        return dict(zip(TIME_FIELDS, (round(self._total, 3), round(rate, 3)), strict=True))


class JsonLines:
    """One JSON object per line, flushed at once. When a run resumes at a step, later lines are dropped."""

    def __init__(
        self, path: Path, *, after: int | None = None, keep: Callable[[Mapping[str, Any]], bool] = lambda row: True
    ):
        """after: keep existing rows up to this step, if `keep` returns true for them; None: start empty."""
        self.path = path
        rows = [] if after is None else [row for row in read_rows(path) if row["step"] <= after and keep(row)]
        write_atomically(path, "".join(map(_line, rows)))
        self._file = path.open("ab", buffering=0)

    def write(self, row: Mapping[str, Any]) -> None:
        self._file.write(_line(row).encode())

    def close(self) -> None:
        self._file.close()


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
