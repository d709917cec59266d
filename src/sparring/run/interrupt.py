"""Ctrl-C that waits for the end of the step, so that a run can be saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, NoReturn


class Interrupts:
    """Within the block a first SIGINT or SIGTERM is noted; a second one of its kind does what it always does.

    They count apart because torchrun passes Ctrl-C on to ranks that the terminal has already told, as SIGTERM.
    """

    def __init__(self) -> None:
        self.requested = False
        self.signal = signal.SIGINT
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if not self.requested:
            self.requested, self.signal = True, signal.Signals(number)
        signal.signal(number, self._before[signal.Signals(number)])

    def leave(self, message: str, note: Callable[[str], None]) -> NoReturn:
        """Raise what the signal would have raised: KeyboardInterrupt with the message, or SystemExit after SIGTERM."""
        note(message)
        if self.signal is signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt(message)
