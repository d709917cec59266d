"""The sections of a diagnosis. Each measures one aspect of all runs and draws it.

A section is a function of the opened runs and the number of images n, and returns a `Section`. For whatever a run cannot
show, `missing` has a line that says what would make it possible.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sparring.microscope.opened import OpenedRun

SECTIONS = {  # name: title
    "gradients": "Gradients with respect to images",
    "robustness": "Robustness to adversarial samples",
    "conditioning": "Conditioning and accuracy",
    "diversity": "Diversity of the samples",
    "memorisation": "Memorisation",
    "realistic": "The most realistic fakes, as SDP sees them",
    "curves": "Training curves",
}


@dataclass
class Section:
    """The results of a section. `numbers` is JSON data by run; figures have a file name and a caption."""

    name: str
    numbers: dict[str, Any] = field(default_factory=dict)
    figures: list[tuple[str, Figure, str]] = field(default_factory=list)
    tables: list[tuple[Sequence[str], list[Sequence[Any]]]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        return SECTIONS[self.name]

    def draw(self, name: str, figure: Figure, caption: str) -> None:
        self.figures.append((name, figure, caption))

    def lack(self, reason: str) -> None:
        if reason not in self.missing:
            self.missing.append(reason)


def section(name: str) -> Callable[[Sequence[OpenedRun], int], Section]:
    """The function that measures and draws a section."""
    made: Callable[[Sequence[OpenedRun], int], Section] = importlib.import_module(f"{__name__}.{name}").measure
    return made


def one_checkpoint(run: OpenedRun, what: str) -> str:
    """The line for a run that has no curve over training."""
    return (
        f"{what} over training: {run.name} has only the checkpoint of step {run.last}; train with a smaller "
        "checkpoint_every and keep_checkpoints=20 to see more"
    )


def count_of(values: Iterable[int]) -> str:
    """The number of something in all runs, such as `60`, or `60 to 256` if it differs."""
    least, most = min(numbers := list(values)), max(numbers)
    return str(most) if least == most else f"{least} to {most}"
