"""A recipe for one's own images: `sparring suggest FOLDER`, and `sparring.suggest(FOLDER)`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparring.data.sources import load
from sparring.errors import SparringError
from sparring.evaluation.extractors.choice import usable_extractors
from sparring.files import write_atomically
from sparring.messages import Note, note_or_default
from sparring.recipe.gan import Recipe
from sparring.suggestion.choose import Choice, choose
from sparring.suggestion.look import Seen, look_at
from sparring.suggestion.measure import Cost, cost_of_a_step, cost_of_an_image
from sparring.suggestion.write import as_yaml

MINUTES = 10.0
QUICKEST = ("fashion", "efficientnet-lite0", "inception")  # extractors in the order of their cost


@dataclass(frozen=True)
class Suggestion:
    """A recipe that fits images and time. seen: what the images are. choice: its values, reasons and cost."""

    seen: Seen
    choice: Choice
    yaml: str

    @property
    def recipe(self) -> Recipe:
        return Recipe.load(self.choice.values)


def suggest(
    source: str | os.PathLike[str],
    *,
    minutes: float | None = None,
    hours: float | None = None,
    out: str | os.PathLike[str] | None = None,
    split: str | None = None,
    device: str | None = None,
    note: Note | None = None,
) -> Suggestion:
    """Look at images, measure some steps on this machine, and write a recipe that uses the given time.

    source: a folder, zip or named data set. minutes or hours: of the clock, 10 minutes by default. out: a YAML file, which
    must not exist yet; None writes nothing. Takes some seconds, and decodes the images once, into the cache that training
    uses. Raises SparringError for images that no GAN can learn from.
    """
    seconds = _seconds(minutes, hours)
    path = None if out is None else _free(Path(out))
    source, note = os.fspath(source), note_or_default(note)
    seen = look_at(source, split=split, note=note)

    def step(values: Mapping[str, Any], size: int) -> Cost:
        recipe = Recipe.load({**values, "data": {**values["data"], "size": size}, "steps": 100, "evaluation": None})
        images = load(source, split=split, size=size, channels=seen.images.channels, skip_unreadable=True, note=None)
        return cost_of_a_step(recipe, images, device)

    name = min(usable_extractors(seen.images), key=QUICKEST.index, default=None)
    extractor = None if name is None else (name, cost_of_an_image(name, seen.images, device))
    choice = choose(source, seen, seconds, step, extractor)
    text = as_yaml(choice.values, choice.why, _head(source, seen, choice))
    if path is not None:
        write_atomically(path, text.encode())
    return Suggestion(seen, choice, text)


def _seconds(minutes: float | None, hours: float | None) -> float:
    if minutes is not None and hours is not None:
        raise SparringError("give minutes or hours, not both")
    seconds = 60 * MINUTES if minutes is hours is None else 60 * (minutes or 0) + 3600 * (hours or 0)
    if not 60 <= seconds <= 30 * 86400:
        raise SparringError("the time is at least one minute and at most 30 days: give --minutes or --hours")
    return seconds


def _free(path: Path) -> Path:
    if path.suffix not in (".yaml", ".yml"):
        raise SparringError(f"a recipe's file ends in .yaml, got '{path}'")
    if path.exists():
        raise SparringError(f"'{path}' exists already: remove it, or choose another name with --out")
    return path


def _head(source: str, seen: Seen, choice: Choice) -> list[str]:
    return [
        f"A suggestion for {source}; `sparring train` runs it as it stands.",
        *seen.lines(),
        f"estimated here: {choice.seconds / 60:.0f} minutes, {choice.cpu_seconds:,.0f} CPU seconds",
    ]
