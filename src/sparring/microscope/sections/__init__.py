"""The parts of a diagnosis: each measures one thing in all runs and draws it.

A section is a function of the opened runs and of n, how many images are looked at; it returns a `Section`. What a run cannot
show is said in `missing`, one line each, with what would make it possible.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sparring.microscope.opened import OpenedRun

SECTIONS = {  # name: what it answers
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
    """What one part found: `numbers` are JSON data by run, figures have a file name and a caption."""

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
    """Why a run has no course over training, and the cure."""
    return (
        f"{what} over training: {run.name} has the checkpoint of step {run.last} alone; train with a smaller "
        "checkpoint_every and keep_checkpoints=20 to see it"
    )


def count_of(values: Iterable[int]) -> str:
    """How many of something runs have, as `60`, or as `60 to 256` where they differ."""
    least, most = min(numbers := list(values)), max(numbers)
    return str(most) if least == most else f"{least} to {most}"


def by_run(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    """One key of each run's numbers."""
    return {name: found[key] for name, found in values.items() if key in found}
