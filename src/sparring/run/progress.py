"""Shows the progress of a run: step rate, time left and each term's value."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from types import TracebackType
from typing import Any, Protocol

from sparring.errors import NonFiniteLossError
from sparring.messages import in_notebook, watched

REFRESH = 0.25  # seconds between two updates of a notebook's line


class Progress(Protocol):
    """What the loop reports while it runs."""

    def __enter__(self) -> Progress: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def step(self, step: int) -> None:
        """Called with the number of finished steps."""

    def values(self, values: dict[str, float]) -> None:
        """Called with the terms' unweighted values at a log tick."""

    def measuring(self, done: int, total: int) -> None:
        """Called with the number of images that an evaluation has processed, and the total."""


class _NoProgress:
    def __enter__(self) -> _NoProgress:
        return self

    def __exit__(self, *_: object) -> None: ...

    def step(self, step: int) -> None: ...

    def values(self, values: dict[str, float]) -> None: ...

    def measuring(self, done: int, total: int) -> None: ...


def no_progress(start: int, total: int) -> Progress:
    """Show nothing."""
    return _NoProgress()


def shown(values: dict[str, float]) -> str:
    players = {"discriminator": "D", "generator": "G"}
    parts = []
    for key, value in values.items():
        player, _, name = key.partition("/")
        parts.append(f"{players.get(player, player)} {name} {value:.3g}")
    return "  ".join(parts)


class RichProgress:
    """On stderr: a bar with steps, rate and time left, and below it the terms' values."""

    def __init__(self, start: int, total: int):
        from rich.console import Console, Group
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar
        from rich.text import Text

        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._task = self._bar.add_task("training", total=total, completed=start, rate="")
        self._measuring = self._bar.add_task("measuring", total=None, visible=False, rate="")
        self._values = Text("", style="dim")
        self._live = Live(Group(self._bar, self._values), console=Console(stderr=True), refresh_per_second=4)

    def __enter__(self) -> RichProgress:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, NonFiniteLossError) and error.step is not None:
            self.step(error.step)  # a log tick finds it later than it happened
        self._live.stop()
        if not self._live.console.is_terminal:
            self._live.console.line()  # so that an error starts on its own line

    def step(self, step: int) -> None:
        self._bar.update(self._task, completed=step)

    def values(self, values: dict[str, float]) -> None:
        self._values.plain = shown(values)
        speed = self._bar.tasks[0].speed
        if speed:
            self._bar.update(self._task, rate=f"{speed:.1f} steps/s")

    def measuring(self, done: int, total: int) -> None:
        self._bar.update(self._measuring, completed=done, total=total, visible=done < total)


def bar(done: int, total: int) -> str:
    """A bar as HTML."""
    return f'<progress value="{done}" max="{max(total, 1)}" style="width:min(30em,100%)"></progress>'


class NotebookProgress:
    """Below a notebook's cell: a bar, steps, rate, time left and the terms' values, which change in place.

    Rich's own display needs the package ipywidgets in notebooks, and shows nothing without it.
    """

    def __init__(self, start: int, total: int):
        self._start, self._done, self._total = start, start, total
        self._values, self._measured = "", ""
        self._text = _NotebookText()

    def __enter__(self) -> NotebookProgress:
        self._began = time.monotonic()
        self._show(at_once=True)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, NonFiniteLossError) and error.step is not None:
            self._done = error.step
        self._show(at_once=True)

    def step(self, step: int) -> None:
        self._done = step
        self._show()

    def values(self, values: dict[str, float]) -> None:
        self._values = shown(values)
        self._show()

    def measuring(self, done: int, total: int) -> None:
        self._measured = f"measuring {done:,}/{total:,}" if done < total else ""
        self._show()

    def _show(self, *, at_once: bool = False) -> None:
        seconds = time.monotonic() - self._began
        rate = (self._done - self._start) / max(seconds, 1e-9)
        line = f"training {self._done:,}/{self._total:,}  {rate:.1f} steps/s  {clock(seconds)}"
        if rate and self._done < self._total:
            line += f"  about {clock((self._total - self._done) / rate)} left"
        text = "\n".join(filter(None, (line, self._values, self._measured)))
        self._text.show(text, bar(self._done, self._total), at_once=at_once)


class _NotebookText:
    """A bar and text below a cell, updated in place at most every `REFRESH` seconds."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._last = 0.0

    def show(self, text: str, bar: str, *, at_once: bool = False) -> None:
        from IPython.display import display

        if not at_once and time.monotonic() - self._last < REFRESH:
            return
        self._last = time.monotonic()
        bundle = {"text/plain": text, "text/html": f"{bar}<pre>{escape(text)}</pre>"}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def progress_or_default(progress: Callable[[int, int], Progress] | bool | None) -> Callable[[int, int], Progress]:
    """The given display. True: the library's; None: the library's in a notebook or terminal; False: none."""
    if progress is None or isinstance(progress, bool):
        if not (watched() if progress is None else progress):
            return no_progress
        return NotebookProgress if in_notebook() else RichProgress
    return progress


@contextmanager
def measuring() -> Iterator[Callable[[int, int], None]]:
    """A function of (done, total) that shows how many images have been measured."""
    if in_notebook():
        text = _NotebookText()
        yield lambda done, total: text.show(f"measuring {done:,}/{total:,}", bar(done, total), at_once=done >= total)
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    display = Bar(console=console, transient=True, disable=not console.is_terminal)
    task = display.add_task("measuring", total=None)

    def update(done: int, total: int) -> None:
        display.start()
        display.update(task, completed=done, total=total)

    try:
        yield update
    finally:
        if display.live.is_started:
            display.stop()
