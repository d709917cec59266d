"""The sections of a diagnosis. Each measures one aspect of all runs and draws it.

A section is a function of the opened runs and the number of images n, and returns a `Section`. For whatever a run cannot
show, `missing` has a line that says what would make it possible.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparring.errors import SparringError

Points = tuple[list[float], list[float]]

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
SHOWN = 256  # images, for a figure alone
FIGURES = {  # that can be had alone: the section of each
    **dict.fromkeys(("gradient-maps", "gradient-histogram"), "gradients"),
    **dict.fromkeys(("adversarial-pairs", "accuracy-under-attack"), "robustness"),
    **{"samples-beside": "diversity", "spectrum-embedding": "conditioning"},
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


def picture(name: str, runs: Mapping[str, Sequence[Path]]) -> tuple[Figure, dict[str, Any]]:
    """One of FIGURES, and the numbers of its section. runs: by what the figure calls them, folders; the first is shown.

    Raises SparringError if the runs do not allow it, saying why.
    """
    found = section(FIGURES[name])([_opened(folders[0], label) for label, folders in runs.items()], SHOWN)
    for drawn, figure, _ in found.figures:
        if drawn == name:
            return figure, found.numbers
    raise SparringError("; ".join(found.missing) or f"these runs have no figure {name}")


def over_training(runs: Mapping[str, Sequence[Path]], lines: Sequence[str]) -> dict[str, dict[int, Points]]:
    """What changed in runs, for a curve each: (steps, values) by label and number of the run.

    runs: folders by label. lines: keys of logs such as `discriminator/hinge`, or what sections see at the checkpoints, such
    as `gradients.l1` or `robustness.fake`; with several lines, a label for each. Raises SparringError if no run has any.
    """
    found: dict[str, dict[int, Points]] = {}
    for label, folders in runs.items():
        for number, folder in enumerate(folders):
            run, seen = _opened(folder, label), dict[str, dict[str, Any]]()
            for line in lines:
                part, _, key = line.partition(".")
                if part in SECTIONS and part not in seen:
                    seen[part] = section(part)([run], SHOWN).numbers[label].get("over_training", {})
                over = seen.get(part, {})
                both = zip(over.get("step", ()), over.get(key, ()), strict=False)
                points = [point for point in both if None not in point]
                if points := points or [(row["step"], row[line]) for row in run.log if line in row]:
                    name = f"{label}, {key or line}" if len(lines) > 1 else label
                    found.setdefault(name, {})[number] = [step for step, _ in points], [value for _, value in points]
    if not found:
        raise SparringError(f"no run has {' or '.join(lines)}")
    return found


def _opened(folder: Path, name: str) -> OpenedRun:
    """A run under another name."""
    from sparring.microscope.opened import OpenedRun

    run = OpenedRun(folder)
    run.name = name
    return run


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
