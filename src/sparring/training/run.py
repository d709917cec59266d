"""A run from Python: `train` is what `sparring train` calls, and `Run` is what it leaves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from sparring.files import read_rows
from sparring.messages import Note, note_or_default
from sparring.networks.kernels import using
from sparring.recipe.files import parse_overrides
from sparring.recipe.gan import Recipe
from sparring.run.data import load_run_data, python_sources
from sparring.run.folder import cure_for_moved
from sparring.run.own_images import fitted_to
from sparring.run.progress import Progress, no_progress, progress_or_default
from sparring.run.saved import load_generator
from sparring.run.session import BaseRun, run_session
from sparring.run.trackers import Tracker, find_trackers
from sparring.training.job import GanJob
from sparring.training.state import build


class Run(BaseRun[Recipe]):
    """A GAN's run that has ended or been interrupted: its folder, what was measured, its generator.

    code: what the recipe that it was trained with in this process was let import: its files may name that without asking.
    """

    kind = Recipe

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """Every measurement, oldest first: each a number with all that it depends on."""
        return read_rows(self.folder / "metrics.jsonl")

    def sample(self, n: int = 64, *, labels: Any = None, seed: int = 0) -> torch.Tensor:
        """n images uint8 [N, C, H, W] from the run's generator."""
        return load_generator(self).sample(n, labels=labels, seed=seed)


def train(
    recipe: Any,
    overrides: Iterable[str] | Mapping[str, Any] = (),
    *,
    out: str | Path | None = None,
    resume: bool = False,
    resume_from: int | None = None,
    start_from: str | os.PathLike[str] | None = None,
    data: Any = None,
    negatives: Any = None,
    unlabelled: Any = None,
    device: str | None = None,
    trackers: str | Iterable[str | Tracker] = (),
    tensorboard: bool = False,
    change_world_size: bool = False,
    progress: Callable[[int, int], Progress] | bool | None = None,
    note: Note | None = None,
    command: str | None = None,
    report: bool = True,
    allow_code: bool = False,
) -> Run:
    """Train a recipe and return its run.

    recipe, overrides: as for `Recipe.load`. out: the run's folder, `runs/<name>` by default; `resume` continues its run
        at its newest good checkpoint, or at that of step `resume_from`. start_from: a run whose networks and optimiser state
        are taken where they fit. data, negatives, unlabelled: a `torch.utils.data.Dataset`, an array or PackedImages instead
        of the recipe's source. trackers: where numbers and pictures also go: "tensorboard", "wandb", or
        objects (docs/runs.md). change_world_size: resume on another number of processes even if that changes the training.
        progress: whether to show a bar, or a display of your own; note: takes lines for people. Both are on by default in
        notebooks and terminals.
        report: whether to draw report.html. allow_code: whether an opened run or extractor may name code (docs/trust.md).

    Raises SparringError for anything wrong with recipe or data before training starts, NonFiniteLossError if a loss is not
    finite, and KeyboardInterrupt after Ctrl-C, once a checkpoint is saved. Random generators and threads are put back.
    """
    changes, note = parse_overrides(overrides), note_or_default(note)
    receivers = find_trackers(trackers, note, tensorboard=tensorboard)
    if start_from is not None:
        changes["start_from"] = os.fspath(start_from)
    with run_session(
        Recipe,
        recipe,
        changes,
        sources=python_sources(data=data, negatives=negatives, unlabelled=unlabelled),
        out=out,
        resume=resume or resume_from is not None,
        device=device,
        note=note,
        allow_code=allow_code,
    ) as session:
        runtime, folder, note = session.runtime, session.folder, session.note
        with runtime.together():
            with cure_for_moved(folder, session.recipe):
                images = load_run_data(session.recipe, note, data=data, negatives=negatives, unlabelled=unlabelled)
            chosen = fitted_to(session.recipe, images.real, changes, note)
        negatives, unlabelled = images.negatives, images.unlabelled
        state = build(chosen, images.real, negatives=negatives, unlabelled=unlabelled, runtime=runtime, note=note)
        job = GanJob(state, folder, images, receivers if runtime.is_main else [], note, report=report)
        job.begin(resume_from, command, change_world_size=change_world_size)
        with using(job.kernels):  # those that the run was started with
            job.loop.go(progress_or_default(progress) if runtime.is_main else no_progress)
    return Run(folder, code=chosen.code)
