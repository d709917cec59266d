"""A run's vital signs: measured when samples are drawn and at evaluations, written to vitals.jsonl, and watched.

Rows of vitals.jsonl have a step and `diversity`, `moved` (samples) or `train`, `held_out` (accuracies, of `n` images), and
`warnings` if some begin. Training is not affected, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL.Image import Image
from PIL.Image import open as open_picture
from torch import Tensor

from sparring.errors import SparringError
from sparring.files import read_rows
from sparring.randomness import generator_for
from sparring.run.log import JsonLines
from sparring.training.warnings import FEWEST_PAIRS, Watch, diversity, pairs_within, trained_from

if TYPE_CHECKING:
    from sparring.data.packed import PackedImages
    from sparring.run.data import RunData
    from sparring.training.state import TrainingState

VITALS_FILE = "vitals.jsonl"
LOOKED_AT = 256  # real images, of each split


class Vitals:
    """The main process's watch over one run."""

    def __init__(
        self,
        state: TrainingState,
        data: RunData,
        folder: Path,
        log: list[dict[str, Any]],
        after: int | None,
        note: Callable[[str], None],
    ):
        """log: the rows of log.jsonl that stay; after: the step that the run resumes from."""
        self.state, self.data, self.note = state, data, note
        self._file = JsonLines(folder / VITALS_FILE, after=after, keep=self._is_regular)
        rows = [] if after is None else read_rows(folder / VITALS_FILE)
        self._known: dict[bool, float] = {}  # diversity of the real images, overall and within classes
        recipe = state.recipe
        start = trained_from(recipe.steps, recipe.generator.optimizer, recipe.generator.ema)
        self._watch = Watch(state.objective.host_name, recipe.steps, log, rows, trained_from=start)

    def _is_regular(self, row: Mapping[str, Any]) -> bool:
        """Whether the recipe writes such a row at its step; at the end of a shorter run it does not."""
        recipe, step = self.state.recipe, row["step"]
        if "diversity" not in row and "train" not in row:  # a warning about a row of the log
            return step == recipe.steps or step % recipe.log_every == 0
        is_measured = recipe.evaluation is not None and recipe.evaluation.is_due(step)
        return step == recipe.steps or step % recipe.samples_every == 0 or is_measured

    def tick(self, row: dict[str, Any]) -> None:
        """A row of the log."""
        begun = self._watch.tick(row)
        if begun:
            self._write({"step": row["step"]}, begun)

    def samples(self, images: Tensor, labels: Tensor | None, picture: Image, before: Path | None) -> None:
        """Samples uint8 [N, C, H, W] of fixed latents with their classes, their picture, and the picture before it."""
        values: dict[str, Any] = {"step": self.state.step, "diversity": self._share_of_real(images, labels)}
        values["moved"] = None if before is None or not before.is_file() else _difference(picture, before)
        self._write(values, self._watch.samples(values))

    def accuracies(self) -> None:
        """The discriminator's accuracies on training and on held-out images, if the data have any."""
        from sparring.metrics.discriminator_accuracy import discriminator_accuracies

        if self._held_out is None:
            return
        shares: dict[str, dict[str, float]] = {}
        boundary, n = self.state.objective.host(self.state.step).boundary, {}
        for name, images in (("train", self.data.real), ("held_out", self._held_out)):
            pixels, labels = images.uint8_batch(_some(images), "cpu")
            n[name] = len(pixels)
            try:
                shares[name] = discriminator_accuracies(self.state.discriminator, pixels, labels, boundary=boundary)
            except SparringError:
                return  # images without labels for a discriminator of classes
        values = {"step": self.state.step, **shares, "n": n}
        self._write(values, self._watch.accuracies(values))

    def close(self) -> None:
        self._file.close()

    def _write(self, values: dict[str, Any], begun: dict[str, str]) -> None:
        for text in begun.values():
            self.note(f"warning, step {values['step']}: {text}")
        self._file.write(values | ({"warnings": begun} if begun else {}))

    def _share_of_real(self, images: Tensor, labels: Tensor | None) -> float:
        """Diversity as a share of that of real images: within classes, or overall if either has too few pairs in them."""
        real, real_labels = self._real
        if labels is None or real_labels is None or min(map(pairs_within, (labels, real_labels))) < FEWEST_PAIRS:
            labels = real_labels = None
        in_classes = labels is not None
        if in_classes not in self._known:
            self._known[in_classes] = max(diversity(real, real_labels), 1e-6)
        return diversity(images, labels) / self._known[in_classes]

    @cached_property
    def _real(self) -> tuple[Tensor, Tensor | None]:
        return self.data.real.uint8_batch(_some(self.data.real), "cpu")

    @cached_property
    def _held_out(self) -> PackedImages | None:
        return self.data.held_out()


def _some(images: PackedImages) -> Tensor:
    """The rows to measure, the same ones each time."""
    return torch.randperm(len(images), generator=generator_for("vitals"))[:LOOKED_AT]


def _difference(picture: Image, before: Path) -> float | None:
    """The root of the mean squared difference of two pictures' pixels, in grey levels; None if their sizes differ."""
    with open_picture(before) as old:
        a, b = np.asarray(picture, np.float32), np.asarray(old, np.float32)
    return float(np.sqrt(np.mean(np.square(a - b)))) if a.shape == b.shape else None
