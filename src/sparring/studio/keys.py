"""The places in a generator's latent space that a command starts from: seeds or a file of latents, each with a class."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparring.errors import SparringError
from sparring.messages import Note, counted
from sparring.run.latents import read_latents, read_seeds
from sparring.run.sample import check_choice
from sparring.run.saved_generator import SavedGenerator


@dataclass(frozen=True)
class Keys:
    """Latents float32 [N, Z], classes int64 [N] or None, and what to call each."""

    latents: Tensor
    labels: Tensor | None
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.latents)


def keys_of(
    generator: SavedGenerator,
    *,
    seeds: str | Iterable[int] | None,
    latents: str | Path | None,
    labels: Any,
    truncation: float | None,
    note: Note,
) -> Keys:
    """The places that seeds or a file name. One latent may have several classes, and one class several latents.

    labels: a text with commas, or what `SavedGenerator.sample` takes; None: those of the file, else the first class, which
        a note says. Raises SparringError if nothing says which latents, if two things do, and if the numbers do not fit.
    """
    check_choice(seeds=seeds, latents=latents, truncation=truncation)
    if seeds is None and latents is None:
        raise SparringError("say which images: give seeds, such as 1,5,9, or a file of latents")
    stored = None
    if latents is not None:
        drawn, stored = read_latents(latents, generator.latent_size)
        names = tuple(f"latent {i}" for i in range(len(drawn)))
    else:
        numbers = read_seeds(seeds)  # type: ignore[arg-type]
        drawn = generator.latents(numbers, truncation)
        names = tuple(f"seed {number}" for number in numbers)
    if labels is None:
        labels = stored
    if isinstance(labels, str):
        labels = torch.tensor(generator.classes_in(labels))
    if labels is None and generator.num_classes:
        note(f"every image is of the class '{generator.class_name(0)}': choose others with --labels (labels=)")
    several = isinstance(labels, list | tuple | Tensor) and getattr(labels, "ndim", 1) == 1
    if several and len(labels) > 1 and len(drawn) == 1:
        drawn, names = drawn.expand(len(labels), -1), names * len(labels)
    elif several and len(labels) == 1:
        labels = labels[0]
    elif several and len(labels) != len(drawn):
        said = f"{counted(len(labels), 'label')} for {counted(len(drawn), 'image')}"
        raise SparringError(f"{said}: give one label, or one for each")
    chosen = generator.numbers(len(drawn), labels, of_seeds=True)
    if chosen is not None:
        names = tuple(f"{name}, {generator.class_name(int(k))}" for name, k in zip(names, chosen, strict=True))
    return Keys(drawn, chosen, names)
