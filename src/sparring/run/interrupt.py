"""Delays Ctrl-C until the step has ended, so that the run can be saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, NoReturn


class Interrupts:
    """Within this context, the first SIGINT or SIGTERM is recorded; the second of its kind acts as usual.

    The two are counted separately: after Ctrl-C, ranks get SIGINT from the terminal and SIGTERM from torchrun.
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
        """Raise KeyboardInterrupt with the message, or SystemExit after SIGTERM."""
        note(message)
        if self.signal is signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt(message)
