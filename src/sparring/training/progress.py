"""How far a run is, for people: step rate, time left, each term's value."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from sparring.errors import NonFiniteLossError


class Progress(Protocol):
    """What the loop tells while it runs."""

    def __enter__(self) -> Progress: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def step(self, step: int) -> None:
        """This many steps are done."""

    def values(self, values: dict[str, float]) -> None:
        """The terms' raw values at a log tick."""

    def measuring(self, done: int, total: int) -> None:
        """An evaluation has seen this many images of so many."""


class _NoProgress:
    def __enter__(self) -> _NoProgress:
        return self

    def __exit__(self, *_: object) -> None: ...

    def step(self, step: int) -> None: ...

    def values(self, values: dict[str, float]) -> None: ...

    def measuring(self, done: int, total: int) -> None: ...


def no_progress(start: int, total: int) -> Progress:
    """Say nothing."""
    return _NoProgress()


class RichProgress:
    """On stderr: a bar with steps, rate and time left, and the terms' values on the line beneath."""

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
            self.step(error.step)  # found at a log tick, and the steps since then were worth nothing
        self._live.stop()
        if not self._live.console.is_terminal:
            self._live.console.line()  # what comes next, an error perhaps, gets a line of its own

    def step(self, step: int) -> None:
        self._bar.update(self._task, completed=step)

    def values(self, values: dict[str, float]) -> None:
        players = {"discriminator": "D", "generator": "G"}
        parts = []
        for key, value in values.items():
            player, _, name = key.partition("/")
            parts.append(f"{players.get(player, player)} {name} {value:.3g}")
        self._values.plain = "  ".join(parts)
        speed = self._bar.tasks[0].speed
        if speed:
            self._bar.update(self._task, rate=f"{speed:.1f} steps/s")

    def measuring(self, done: int, total: int) -> None:
        self._bar.update(self._measuring, completed=done, total=total, visible=done < total)
