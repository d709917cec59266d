"""A run opened for diagnosis: its recipe, its images, and its networks at any checkpoint."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sparring.data.classes import class_turns, turns_at
from sparring.data.packed import PackedImages, to_uint8
from sparring.errors import SparringError
from sparring.files import read_rows
from sparring.messages import Note, no_note
from sparring.microscope.subject import Subject
from sparring.networks.contract import images_of
from sparring.networks.frozen import frozen
from sparring.randomness import generator_for, normal
from sparring.recipe.gan import Recipe
from sparring.recipe.networks import build_networks
from sparring.run.checkpoint import CheckpointFolder, load_checkpoint, taking
from sparring.run.data import RunData
from sparring.run.folder import load_trained_on
from sparring.run.generator import BATCH_STATISTICS_ROWS, takes_labels

AT_MOST = 24  # checkpoints that are used for curves over training
ROWS = 100  # images that are generated at a time


@dataclass(frozen=True)
class Batch:
    """Float images [N, C, H, W] in [-1, 1] and their labels [N], or None if the data have no classes."""

    images: Tensor
    labels: Tensor | None

    def __len__(self) -> int:
        return len(self.images)

    def take(self, count: int) -> Batch:
        return Batch(self.images[:count], None if self.labels is None else self.labels[:count])

    @property
    def pixels(self) -> Tensor:
        """uint8 [N, C, H, W]."""
        return to_uint8(self.images)


class OpenedRun:
    """A run, from its folder or one of its checkpoint files.

    data: replaces the images that the recipe names. For a checkpoint file, `until` is its step, and anything later in the
    run is ignored. Raises SparringError if there is no run or no checkpoint.
    """

    def __init__(
        self, path: str | Path, *, data: Any = None, device: torch.device | str = "cpu", note: Note | None = None
    ):
        path = Path(path)
        one = re.fullmatch(r"step-(\d{6,})\.pt", path.name)
        self.folder = path.parent.parent if one else path
        self.checkpoints = CheckpointFolder(self.folder / "checkpoints")
        if not os.path.isfile(self.folder / "recipe.json"):
            raise SparringError(
                f"'{path}' is not a run: give a folder that `sparring train` wrote, or a checkpoint in it"
            )
        self.recipe = Recipe.load(self.folder)
        self.until = int(one[1]) if one else None
        self.steps = self.checkpoints.steps() if self.until is None else [self.until]
        if not self.steps:
            raise SparringError(f"'{path}' has no checkpoint to diagnose: train the run first")
        self.name, self.device, self._given, self._note = self.folder.name, device, data, note or no_note
        self._loaded: tuple[int, Subject, nn.Module] | None = None

    @property
    def last(self) -> int:
        return self.steps[-1]

    def course(self) -> list[int]:
        """The steps that have a checkpoint, or an even selection if there are many. It includes the last."""
        count = min(len(self.steps), AT_MOST)
        return [self.steps[round(i * (len(self.steps) - 1) / max(count - 1, 1))] for i in range(count)]

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        return self._rows("log.jsonl")

    @cached_property
    def metrics(self) -> list[dict[str, Any]]:
        return self._rows("metrics.jsonl")

    def _rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of a log, up to the checkpoint if one was given."""
        return [row for row in read_rows(self.folder / name) if self.until is None or row["step"] <= self.until]

    # --- images ---
    @cached_property
    def data(self) -> RunData:
        return load_trained_on(self.folder, self.recipe, self._note, data=self._given)

    @cached_property
    def held_out(self) -> PackedImages | None:
        """Real images that the run was not trained on; None if its data have no other split."""
        return self.data.held_out()

    def real(self, n: int, images: PackedImages | None = None) -> Batch:
        """n real images, or all if there are fewer, drawn by a seed that all runs share."""
        images = self.data.real if images is None else images
        order = torch.randperm(len(images), generator=generator_for("diagnose", "real"))[:n]
        return Batch(*images.batch(order))

    def real_of(self, classes: Sequence[int], n: int) -> Batch:
        """As `real`, but only of some classes."""
        images = self.data.real
        labels = images.require_labels("drawing images of a class")
        order = torch.randperm(len(images), generator=generator_for("diagnose", "real")).to(labels.device)
        chosen = torch.isin(labels[order], torch.tensor(classes, device=labels.device))
        return Batch(*images.batch(order[chosen][:n]))

    @property
    def negatives(self) -> PackedImages | None:
        return self.data.negatives

    # --- networks ---
    def subject(self, step: int | None = None) -> Subject:
        """The discriminator at a step, by default the last. This replaces the one of an earlier call."""
        return self._at(step)[1]

    def _at(self, step: int | None) -> tuple[int, Subject, nn.Module]:
        step = self.last if step is None else step
        if self._loaded is None or self._loaded[0] != step:
            found = load_checkpoint(self.checkpoints.path(step))
            real = self.data.real
            judge, generator = build_networks(
                self.recipe, image_size=real.size, image_channels=real.channels, num_classes=real.num_classes
            )
            with taking(self.checkpoints.path(step)):
                judge.load_state_dict(found["discriminator"])
                generator.load_state_dict(found["generator"] if found["average"] is None else found["average"])
            host = self.recipe.objective.host(step)
            subject = Subject(judge.to(self.device), host, rows=self.recipe.batch_size, step=step)
            self._loaded = (step, subject, generator.to(self.device).eval())
        return self._loaded

    @property
    def conditional(self) -> bool:
        """Whether the generator takes classes."""
        return takes_labels(self._at(self.last)[2], self.data.real.num_classes)

    def _turns(self, classes: Sequence[int], uniform: bool) -> Tensor:
        """Labels to use in turn: in the class shares of the training images, or in equal shares."""
        numbers = torch.tensor(list(classes))
        evaluation, counts = self.recipe.evaluation, self.data.reference(None).class_counts
        images = [counts.get(number, 0) for number in classes]
        if uniform or not sum(images) or (evaluation is not None and evaluation.labels == "uniform"):
            return numbers
        return numbers[class_turns(images)]

    @torch.no_grad()
    def fake(self, n: int, step: int | None = None, *, of: Sequence[int] | None = None, uniform: bool = False) -> Batch:
        """n samples of the generator (or its moving average) at a step, of all classes or only `of`.

        Classes come in the shares of the recipe's evaluation, or in equal shares if `uniform`. Samples are not rounded to 8
        bits, as in training. Image i depends only on i.
        """
        generator, classes = self._at(step)[2], range(self.data.real.num_classes) if of is None else of
        rows = BATCH_STATISTICS_ROWS if getattr(generator, "batch_statistics", False) else ROWS
        made = -(-n // rows) * rows
        latents = normal((made, self.recipe.generator.latent_size), "diagnose", "latents").to(self.device)
        labels = turns_at(self._turns(classes, uniform), 0, made).to(self.device) if classes else None
        generator.train(bool(getattr(generator, "batch_statistics", False)))
        with frozen(generator), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            parts = [
                images_of(generator, latents[i : i + rows], None if labels is None else labels[i : i + rows])
                for i in range(0, made, rows)
            ]
        return Batch(torch.cat(parts)[:n].float().cpu(), None if labels is None else labels[:n].cpu())
