"""Where a run's numbers and pictures go besides its folder: TensorBoard, Weights & Biases or a user's tracker; a file each.

Only the main rank tracks. A tracker that fails while the run trains is left out from then on: the run matters more, and its
folder has every number anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sparring.errors import one_line
from sparring.files import read_rows
from sparring.messages import Note
from sparring.plugins import find
from sparring.trust import USERS_OWN

TRACKERS = {
    "tensorboard": "sparring.run.trackers.tensorboard:TensorBoard",
    "wandb": "sparring.run.trackers.wandb:WandB",
}


class Tracker(Protocol):
    """Receives a run's numbers and pictures. Implement these four methods to send them anywhere.

    A tracker that is chosen by name is a class, made by `Class(folder, after)`: the run's folder, and the step that the run
    resumes from (None: it starts). If it has an attribute `holds`, the last step that it has from before (None: nothing),
    it first receives again what the run's folder has of the steps after that.
    """

    def config(self, recipe: Mapping[str, Any]) -> None:
        """The resolved recipe, once."""

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Numbers of a step."""

    def images(self, name: str, images: Tensor, step: int) -> None:
        """uint8 images [N, C, H, W]."""

    def close(self) -> None:
        """The run is over."""


@dataclass(frozen=True)
class Named:
    """A tracker that was asked for by its name; `make` is its class."""

    name: str
    make: Callable[[Path, int | None], Tracker]


def find_trackers(trackers: str | Iterable[Any], note: Note, *, tensorboard: bool = False) -> list[Any]:
    """The given trackers; a name becomes a `Named`. tensorboard: how version 0.1 asked for that one.

    Raises SparringError for an unknown name, and for a tracker whose package is not installed.
    """
    given = [trackers] if isinstance(trackers, str) else [*trackers]
    if tensorboard:
        note('tensorboard=True is now trackers="tensorboard"')
        given.append("tensorboard")
    return [
        Named(each, find(each, TRACKERS, "tracker", USERS_OWN)) if isinstance(each, str) else each for each in given
    ]


class Trackers:
    """All trackers of one run, as one."""

    def __init__(self, given: Sequence[Any], note: Note):
        """given: trackers, and `Named` ones."""
        self._given, self._note = given, note
        self._open: list[tuple[str, Tracker]] = []

    def open(self, folder: Path, after: int | None, recipe: Mapping[str, Any]) -> None:
        """Make the named ones and bring them up to date. Raises SparringError if one cannot be made.

        after: the step that the run resumes from, or None.
        """
        for each in self._given:
            name, tracker = type(each).__name__, each
            if isinstance(each, Named):
                name = each.name
                with one_line(f"tracker {name} cannot start: "):
                    tracker = each.make(folder, after)
            self._open.append((name, tracker))
            tracker.config(recipe)
            held = getattr(tracker, "holds", after)
            if after is not None and held != after:
                _replay(tracker, folder, -1 if held is None else held)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        self._tell(f"at step {step}", lambda tracker: tracker.scalars(values, step))

    def images(self, name: str, images: Tensor, step: int) -> None:
        self._tell(f"at step {step}", lambda tracker: tracker.images(name, images, step))

    def close(self) -> None:
        self._tell("when it was closed", lambda tracker: tracker.close())

    def _tell(self, when: str, tell: Callable[[Tracker], None]) -> None:
        for named in tuple(self._open):
            try:
                tell(named[1])
            except (
                Exception
            ) as error:  # a network that is down or a bug in a user's tracker must not end a night's work
                self._open.remove(named)
                reason = " ".join(str(error).split())[:160] or type(error).__name__
                self._note(
                    f"warning: the tracker {named[0]} failed {when} and gets no more numbers ({reason}): the run goes on, "
                    "and its folder has them all"
                )


def _replay(tracker: Tracker, folder: Path, after: int) -> None:
    """Give a tracker what a run's folder has of the steps after this one, in the order of the steps."""
    pictures = {int(path.stem.removeprefix("step-")): path for path in (folder / "samples").glob("step-*.png")}
    numbers: dict[int, dict[str, float]] = {}
    for row in read_rows(folder / "log.jsonl"):
        numbers[row["step"]] = {key: value for key, value in row.items() if key != "step"}
    for row in read_rows(folder / "metrics.jsonl"):
        if isinstance(row.get("value"), int | float):
            numbers.setdefault(row["step"], {})[row["metric"]] = row["value"]
    for step in sorted({*pictures, *numbers}):
        if step > after and step in numbers:
            tracker.scalars(numbers[step], step)
        if step > after and step in pictures:
            with Image.open(pictures[step]) as picture:
                pixels = torch.from_numpy(np.array(picture.convert("RGB")))
            tracker.images("samples", pixels.movedim(2, 0)[None], step)
