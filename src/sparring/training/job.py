"""A GAN as a job of the loop, and what happens between its steps: pictures, measurements, vital signs, the report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparring.evaluation.protocol import check_evaluation, measure_generator
from sparring.files import content_hash
from sparring.messages import Note
from sparring.networks.kernels import current, recorded
from sparring.recipe.explain import given_to
from sparring.report.plots import image_grid
from sparring.report.samples import layout
from sparring.run.checkpoint import best_of
from sparring.run.data import RunData
from sparring.run.folder import how_to_resume, started_on, write_facts
from sparring.run.generator import generate_uint8, takes_labels
from sparring.run.log import JsonLines
from sparring.run.loop import Loop
from sparring.run.progress import Progress
from sparring.run.saved import save_generator
from sparring.training.own_step import checked_step, step_function
from sparring.training.process_count import read_worlds, worlds_of
from sparring.training.start_from import start_from
from sparring.training.state import TrainingState
from sparring.training.vitals import Vitals

if TYPE_CHECKING:
    from sparring.report.html import RunReport

GRID = 64  # images in a sample picture


class GanJob:
    """One process's part in a GAN's run."""

    ends_run = True

    def __init__(
        self,
        state: TrainingState,
        folder: Path,
        data: RunData,
        trackers: list[Any],
        note: Note,
        *,
        report: bool = True,
    ):
        self.state, self.folder, self.data, self.note, self.has_report = state, folder, data, note, report
        self.recipe, self.report_every = state.recipe, state.recipe.samples_every
        self.cure = how_to_resume("GAN", folder)
        self.train_step = partial(checked_step(self.recipe, step_function(self.recipe)), state)
        self.check_finite = state.check_finite
        self.state_dict, self.load_state_dict = state.state_dict, state.load_state_dict
        self.loop = Loop(self, folder, state.runtime, trackers, note)
        self._report: RunReport | None = None
        evaluation = self.recipe.evaluation
        self.unmeasured: str | None = None  # why, if it is
        if evaluation is not None:
            self.unmeasured = check_evaluation(data, evaluation, state.generator)
            if state.runtime.agree(self.unmeasured is not None) and self.unmeasured is None:
                self.unmeasured = "not measured: another rank of this run cannot"
        if self.unmeasured is not None:
            note(self.unmeasured)

    # --- beginning ---
    def begin(
        self,
        resume_from: int | None,
        command: str | None,
        *,
        change_world_size: bool = False,
    ) -> None:
        """Load the newest good checkpoint, if any, or another run to start from; then cut the logs and write the recipe."""
        fingerprints = self.data.fingerprints(None if self.unmeasured else self.recipe.evaluation)
        started = started_on(self.folder, self.recipe, fingerprints, self.note)
        runtime, origin = self.state.runtime, None
        with runtime.together():  # all ranks have read the files before the main rank removes any
            step = self.loop.load(resume_from)
            if step is None and self.recipe.start_from is not None:
                origin = start_from(self.state, self.recipe.start_from, self.note)
            worlds = worlds_of(
                read_worlds(started), self.state, resumed=step is not None, change=change_world_size, note=self.note
            )
        self.kernels = recorded(started) if step is not None else current()
        with runtime.together():
            if runtime.is_main:
                facts = self.data.real.facts()
                more = {
                    "world": worlds,
                    "origin": origin,
                    "data": facts,
                    "kernels": self.kernels.model_dump(mode="json"),
                }
                write_facts(self.folder, self.recipe, fingerprints, command, device=runtime.device, **more)
                self.loop.open(step)
                self.metrics = JsonLines(self.folder / "metrics.jsonl", after=step)
                self.vitals = Vitals(self.state, self.data, self.folder, self.loop.rows, step, self.note)
                self.loop.files += [self.metrics, self.vitals]
                self.loop.on_row = self.vitals.tick
        if origin is not None:
            self.loop.save()  # the other run may train on, so this one keeps its start

    # --- what the loop asks for ---
    @property
    def step(self) -> int:
        return self.state.step

    def counters(self) -> dict[str, int]:
        return {"step": self.state.step, "update": self.state.updates, "images": self.state.images_seen}

    def means(self, *, regular: bool) -> dict[str, float]:
        log = self.state.term_log
        return log.tick(self.state.runtime) if regular else log.means(self.state.runtime)

    def due_work(self, progress: Progress) -> Iterator[Callable[[], None]]:
        step, evaluation = self.state.step, self.recipe.evaluation
        last = step == self.recipe.steps
        if step % self.recipe.samples_every == 0 or last:
            yield self.save_samples
        if step > 0 and evaluation is not None and (last or evaluation.is_due(step)):
            yield lambda: self.evaluate(progress)

    def write_report(self, ended: str | None = None) -> None:
        """ended: as of `RunReport.write`."""
        if not self.has_report:
            return
        from sparring.report.html import RunReport

        if self._report is None:
            self._report = RunReport(self.folder)
        self._report.unmeasured = self.unmeasured or ""
        self._report.write(ended=ended)

    def finish(self) -> None:
        if self.unmeasured is not None:
            self.note(self.unmeasured)  # again, as the start of a long run has scrolled away
        if not (self.folder / "generator.safetensors").is_file():
            self.save_companions()
        self.write_report(ended="")

    # --- pictures, measurements, the generator's file ---
    def save_samples(self) -> None:
        """Draw the same latents as always, once all weights are known to be finite."""
        self.check_finite()
        self.loop.on_main(self._draw_samples)

    def _draw_samples(self) -> None:
        generator = self.state.evaluated_generator
        latents, labels = self.state.feed.latents(GRID, "fixed")
        images = generate_uint8(generator, latents, labels)
        conditional = takes_labels(generator, self.data.real.num_classes)
        grid = layout(GRID, self.data.real.num_classes if conditional else 0)
        names = grid.described(self.data.real.class_names)
        step, every, folder = self.state.step, self.recipe.samples_every, self.folder / "samples"
        path = folder / f"step-{step:06d}.png"
        picture = image_grid(images, path, columns=grid.columns, cells=grid.cells, classes=names)
        regular = step > 0 and step % every == 0  # the end of a run may come soon after the last picture
        before = folder / f"step-{step - every:06d}.png" if regular else None
        self.vitals.samples(images, labels if conditional else None, picture, before)
        self.loop.trackers.images("samples", images, step)

    def evaluate(self, progress: Progress) -> None:
        """Measure the generator, on all ranks together; training is not affected, bit for bit."""
        self.check_finite()
        records = self._measured(progress)
        self.loop.on_main(lambda: self._record(records))

    def _measured(self, progress: Progress) -> list[dict[str, Any]]:
        evaluation, runtime = self.recipe.evaluation, self.state.runtime
        if evaluation is None or self.unmeasured is not None:
            return []
        with runtime.buffers_of_main(self.state.evaluated_generator) as generator:
            return measure_generator(
                generator,
                self.recipe.generator.latent_size,
                self.data,
                evaluation,
                self.note,
                progress.measuring,
                device=runtime.device,
                generator_hash=content_hash(dict(generator.state_dict())),
                rank=runtime.rank,
                world=runtime.world,
            )

    def _record(self, records: list[dict[str, Any]]) -> None:
        """Keep what was measured, and measure the discriminator's accuracies."""
        step = self.state.step
        for record in records:
            self.metrics.write({"step": step, **record})
        self.vitals.accuracies()
        best = best_of(records)
        if best is not None and self.loop.checkpoints.note_best(
            step, best["metric"], best["value"], lower_is_better=best["better"] == "lower"
        ):
            self.loop.write_checkpoint()
        numbers = {r["metric"]: r["value"] for r in records if isinstance(r["value"], int | float)}
        self.loop.trackers.scalars(numbers, step)

    def save_companions(self) -> None:
        """The generator's file."""
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
