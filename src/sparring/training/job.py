"""The training loop: what happens between the steps. Pictures, measurements, checkpoints, logs, interrupts, the report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparring.errors import SparringError
from sparring.evaluation.protocol import check_evaluation, measure
from sparring.files import content_hash, read_rows, remove_unfinished
from sparring.messages import Note
from sparring.recipe.explain import given_to
from sparring.report.plots import image_grid
from sparring.report.samples import layout
from sparring.run.checkpoint import CheckpointFolder, best_of
from sparring.run.data import RunData
from sparring.run.folder import check_images, how_to_resume, moved, read_facts, write_facts
from sparring.run.generator import generate_uint8, save_generator, takes_labels
from sparring.run.interrupt import Interrupts
from sparring.run.lock import check_still_here
from sparring.run.log import JsonLines, Stopwatch, TensorBoard, Tracker
from sparring.run.progress import Progress
from sparring.training.start_from import start_from
from sparring.training.state import TrainingState
from sparring.training.step import step_of
from sparring.training.vitals import Vitals
from sparring.training.world import read_worlds, worlds_of

if TYPE_CHECKING:
    from sparring.report.html import RunReport

GRID = 64  # images in a sample picture


class Training:
    """One process's part in a run."""

    def __init__(self, state: TrainingState, folder: Path, data: RunData, trackers: list[Tracker], note: Note):
        self.state, self.folder, self.data, self.trackers, self.note = state, folder, data, trackers, note
        self.recipe, self.runtime = state.recipe, state.runtime
        self.checkpoints = CheckpointFolder(folder / "checkpoints", self.recipe.keep_checkpoints)
        self.step_function = step_of(self.recipe)
        self._report: RunReport | None = None
        self._rows: list[dict[str, Any]] = []  # of the log when this session began
        evaluation = self.recipe.evaluation
        self.unmeasured = None if evaluation is None else check_evaluation(data, evaluation)  # why, if it is
        if self.unmeasured is not None:
            note(self.unmeasured)

    # --- beginning ---
    def begin(
        self,
        resume_from: int | None,
        command: str | None,
        *,
        tensorboard: bool = False,
        change_world_size: bool = False,
    ) -> None:
        """Load the newest good checkpoint, if any, or another run to start from, cut the logs, and write the recipe."""
        fingerprints = self.data.fingerprints(None if self.unmeasured else self.recipe.evaluation)
        started = read_facts(self.folder)
        check_images(self.folder, started, fingerprints)
        for line in moved(started, self.recipe):
            self.note(line)
        with self.runtime.together():  # whoever is last has read what the main rank then removes
            step = self.checkpoints.load(self.state.load_state_dict, resume_from, self.note)
            origin = None
            if step is not None:
                self.note(f"resuming {self.folder} at step {step} of {self.recipe.steps}")
            elif self.recipe.start_from is not None:
                origin = start_from(self.state, self.recipe.start_from, self.note)
            worlds = worlds_of(
                read_worlds(started), self.state, resumed=step is not None, change=change_world_size, note=self.note
            )
        with self.runtime.together():
            if self.runtime.is_main:
                facts = self.data.real.facts()
                write_facts(self.folder, self.recipe, fingerprints, command, world=worlds, origin=origin, data=facts)
                remove_unfinished(self.folder)
                self.checkpoints.forget_after(-1 if step is None else step, read_rows(self.folder / "metrics.jsonl"))
                self._open_logs(step, tensorboard=tensorboard)
        if origin is not None:
            self.save_checkpoint()  # the other run may go on; this one has its start from here on

    def _open_logs(self, step: int | None, *, tensorboard: bool) -> None:
        every, last = self.recipe.log_every, self.recipe.steps
        log = self.folder / "log.jsonl"
        # not a shorter run's end
        self.log = JsonLines(log, after=step, keep=lambda row: row["step"] % every == 0 or row["step"] == last)
        self.metrics = JsonLines(self.folder / "metrics.jsonl", after=step)
        self._rows = read_rows(log)
        self.vitals = Vitals(self.state, self.data, self.folder, self._rows, step, self.note)
        if tensorboard:
            self.trackers.append(TensorBoard(self.folder / "tensorboard", after=step))
        for tracker in self.trackers:
            tracker.config(self.recipe.to_dict())

    # --- training ---
    def go(self, make_progress: Callable[[int, int], Progress]) -> None:
        """Train to the last step, or until the first interrupt."""
        s, recipe = self.state, self.recipe
        self._watch = Stopwatch(self._rows, s.step)
        with self._closing(), Interrupts() as interrupts, make_progress(s.step, recipe.steps) as progress:
            if s.step == 0:
                self._aside_from_training(self.save_samples)
            self._aside_from_training(lambda: self._on_main(self.write_report))
            while s.step < recipe.steps:
                self.step_function(s)
                progress.step(s.step)
                self._after_step(progress)
                if self.runtime.agree(interrupts.requested) and s.step < recipe.steps:
                    self.save_checkpoint()
                    interrupts.leave(
                        f"interrupted at step {s.step}; the run is saved: {how_to_resume('train', self.folder)}",
                        self.note,
                    )
            self._on_main(self._finish)
            if interrupts.requested:
                interrupts.leave(f"interrupted at step {s.step}, which was the last: the run is complete", self.note)

    def _after_step(self, progress: Progress) -> None:
        s, recipe, evaluation = self.state, self.recipe, self.recipe.evaluation
        last = s.step == recipe.steps
        if s.step % recipe.log_every == 0 or last:
            progress.values(self.tick())
        if s.step % recipe.samples_every == 0 or last:
            self._aside_from_training(self.save_samples)
        if evaluation is not None and (last or (evaluation.every is not None and s.step % evaluation.every == 0)):
            self._aside_from_training(lambda: self.evaluate(progress))
        if s.step % recipe.checkpoint_every == 0 or last:
            self._aside_from_training(self.save_checkpoint)
        if s.step % recipe.samples_every == 0 and not last:
            self._aside_from_training(lambda: self._on_main(self.write_report))

    def write_report(self, ended: str | None = None) -> None:
        """ended: as of `RunReport.write`."""
        from sparring.report.html import RunReport

        if self._report is None:
            self._report = RunReport(self.folder)
        self._report.unmeasured = self.unmeasured or ""
        self._report.write(ended=ended)

    def _finish(self) -> None:
        if self.unmeasured is not None:
            self.note(self.unmeasured)  # again: the start of a long run is far above
        if not (self.folder / "generator.safetensors").is_file():
            self._save_generator()
        self.write_report(ended="")

    def _on_main(self, work: Callable[[], None]) -> None:
        """Let the main rank alone do what may take long; the others wait for it, and stop if it fails."""
        with self.runtime.together():
            if self.runtime.is_main:
                check_still_here(self.folder)
                work()

    @contextmanager
    def _closing(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            over = self.state.step >= self.recipe.steps and isinstance(error, KeyboardInterrupt)
            if self.runtime.is_main and not over:
                with suppress(OSError, SparringError):  # `error` is what people should read
                    check_still_here(self.folder)
                    self.write_report(_why(error, self.state.step))
            raise
        finally:
            if self.runtime.is_main:
                with suppress(OSError):  # a full disk has been reported already
                    self.log.close()
                    self.metrics.close()
                    self.vitals.close()
                for tracker in self.trackers:
                    tracker.close()

    def _aside_from_training(self, work: Callable[[], None]) -> None:
        with self._watch.aside():
            work()

    def tick(self) -> dict[str, float]:
        """Read the terms' values since the last tick and log their means.

        Steps after the last regular tick are logged when the run ends, and stay in the ledger in case the run grows.
        """
        s = self.state
        regular = s.step % self.recipe.log_every == 0
        values = s.ledger.tick(self.runtime) if regular else s.ledger.means(self.runtime)
        if not self.runtime.is_main:
            return values
        row = {"step": s.step, "update": s.updates, "images": s.images_seen, **values}
        times = self._watch.times(s.step)
        self.log.write(row | times)
        self.vitals.tick(row)
        for tracker in self.trackers:
            tracker.scalars(values | {"steps_per_second": times["steps_per_second"]}, s.step)
        return values

    def save_samples(self) -> None:
        """A picture of the same latents at every step, after the run has been found finite."""
        self.state.check_finite()
        self._on_main(self._draw_samples)

    def _draw_samples(self) -> None:
        generator = self.state.evaluated_generator
        latents, labels = self.state.feed.latents(GRID, "fixed")
        images = generate_uint8(generator, latents, labels)
        conditional = takes_labels(generator, self.data.real.num_classes)
        shown = layout(GRID, self.data.real.num_classes if conditional else 0)
        names = shown.described(self.data.real.class_names)
        step, every, folder = self.state.step, self.recipe.samples_every, self.folder / "samples"
        path = folder / f"step-{step:06d}.png"
        picture = image_grid(images, path, columns=shown.columns, cells=shown.cells, classes=names)
        regular = step > 0 and step % every == 0  # a run's end may come soon after the picture before it
        before = folder / f"step-{step - every:06d}.png" if regular else None
        self.vitals.samples(images, labels if conditional else None, picture, before)
        for tracker in self.trackers:
            tracker.images("samples", images, self.state.step)

    def evaluate(self, progress: Progress) -> None:
        """Measure the generator on the side; nothing of the training changes, bit for bit."""
        self.state.check_finite()
        self._on_main(lambda: self._measure(progress))

    def _measure(self, progress: Progress) -> None:
        step = self.state.step
        records = self._measured(progress) if self.unmeasured is None else []
        for record in records:
            self.metrics.write({"step": step, **record})
        self.vitals.accuracies()
        best = best_of(records)
        if best is not None and self.checkpoints.note_best(
            step, best["metric"], best["value"], lower_is_better=best["better"] == "lower"
        ):
            self._write_checkpoint()
        numbers = {r["metric"]: r["value"] for r in records if isinstance(r["value"], int | float)}
        for tracker in self.trackers:
            tracker.scalars(numbers, step)

    def _measured(self, progress: Progress) -> list[dict[str, Any]]:
        generator, evaluation = self.state.evaluated_generator, self.recipe.evaluation
        assert evaluation is not None
        return measure(
            generator,
            self.recipe.generator.latent_size,
            self.data,
            evaluation,
            self.note,
            progress.measuring,
            device=self.runtime.device,
            generator_hash=content_hash(dict(generator.state_dict())),
        )

    def save_checkpoint(self) -> None:
        """Save all of the run, after it has been found finite."""
        self.state.check_finite()
        self._on_main(self._write_checkpoint)

    def _write_checkpoint(self) -> None:
        if self.state.step not in self.checkpoints.steps():
            self._save_generator()  # before the checkpoint: a run that is resumed there has its generator
            self.checkpoints.save(self.state.step, self.state.state_dict())

    def _save_generator(self) -> None:
        s, real, network = self.state, self.data.real, self.recipe.generator.network
        facts = {
            "image_size": real.size,
            "image_channels": real.channels,
            "num_classes": real.num_classes,
            "latent_size": self.recipe.generator.latent_size,
        }
        conditional = takes_labels(s.evaluated_generator, real.num_classes)
        description = {
            "recipe": self.recipe.name,
            "step": s.step,
            "moving_average": s.average is not None,
            "network": {"kind": network.kind, "options": network.options},
            "given": given_to(type(s.generator), **facts),
            "latent_size": self.recipe.generator.latent_size,
            "num_classes": real.num_classes if conditional else 0,
            "class_names": list(real.class_names) if conditional else [],
        }
        save_generator(self.folder, s.evaluated_generator, json.loads(json.dumps(description)))


def _why(error: BaseException, step: int) -> str:
    """Why a run ended early, for its report."""
    if isinstance(error, KeyboardInterrupt):
        return f"interrupted at step {step}; continue it with --resume"
    return str(error) if isinstance(error, SparringError) else f"{type(error).__name__} at step {step}"
