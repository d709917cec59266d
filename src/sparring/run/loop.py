"""The loop of every run: steps, log, checkpoints, interrupts and resuming.

It trains a `Job`, which is a GAN or a classifier; nothing here depends on which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from sparring.errors import SparringError
from sparring.files import read_rows, remove_unfinished
from sparring.messages import Note
from sparring.run.checkpoint import CheckpointFolder
from sparring.run.interrupt import Interrupts
from sparring.run.lock import check_still_here
from sparring.run.log import JsonLines, Stopwatch
from sparring.run.progress import Progress
from sparring.run.runtime import Runtime
from sparring.run.trackers import Trackers


class Job(Protocol):
    """What a run trains. The main rank alone calls `save_companions`, `write_report` and `finish`, all ranks the rest."""

    recipe: Any  # has steps, log_every, checkpoint_every, keep_checkpoints and to_dict()
    ends_run: bool  # whether the run is complete after the last step
    cure: str  # how to continue the run, for messages

    @property
    def step(self) -> int:
        """How many steps are done."""

    @property
    def report_every(self) -> int | None:
        """Steps between reports; None: a report only if the loop ends early."""

    def train_step(self) -> None: ...

    def counters(self) -> dict[str, int]:
        """The first fields of a row of the log: `step` and other counts."""

    def means(self, *, regular: bool) -> dict[str, float]:
        """Means since the last regular tick; a regular tick resets them. Raises NonFiniteLossError."""

    def check_finite(self) -> None:
        """Raise NonFiniteLossError if training has failed, so that nothing should be saved."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...

    def due_work(self, progress: Progress) -> Iterable[Callable[[], None]]:
        """Work due now: before the first step, and after each one. Pictures and measurements, for example."""

    def save_companions(self) -> None:
        """Write the files that accompany a checkpoint."""

    def write_report(self, ended: str | None = None) -> None:
        """ended: why the run ended before its last step; None while it is running."""

    def finish(self) -> None:
        """Called when the last step is done and saved."""


class Loop:
    """Trains one job in one folder, on one rank: call `load`, `open`, then `go`."""

    def __init__(self, job: Job, folder: Path, runtime: Runtime, trackers: Sequence[Any], note: Note):
        self.job, self.folder, self.runtime, self.note = job, folder, runtime, note
        self.trackers = Trackers(trackers, note)
        self.checkpoints = CheckpointFolder(folder / "checkpoints", job.recipe.keep_checkpoints)
        self.rows: list[dict[str, Any]] = []  # the log when this session began
        self.files: list[Any] = []  # to close in the end
        # called with each row of the log, without times
        self.on_row: Callable[[dict[str, Any]], None] = lambda row: None

    def load(self, resume_from: int | None) -> int | None:
        """Load the newest good checkpoint, or that of a step, into the job. Returns its step, or None."""
        step = self.checkpoints.load(self.job.load_state_dict, resume_from, self.note)
        if step is not None:
            self.note(f"resuming {self.folder} at step {step} of {self.job.recipe.steps}")
        return step

    def open(self, step: int | None) -> None:
        """On the main rank: remove what an interrupted run left after the step, and open the log."""
        remove_unfinished(self.folder)
        self.checkpoints.forget_after(-1 if step is None else step, read_rows(self.folder / "metrics.jsonl"))
        every, last = self.job.recipe.log_every, self.job.recipe.steps
        path = self.folder / "log.jsonl"
        # drop the extra row that a shorter run wrote at its last step
        self.log = JsonLines(path, after=step, keep=lambda row: row["step"] % every == 0 or row["step"] == last)
        self.files.append(self.log)
        self.rows = read_rows(path)
        self.trackers.open(self.folder, step, self.job.recipe.to_dict())

    def go(self, make_progress: Callable[[int, int], Progress]) -> None:
        """Train to the last step or the first interrupt."""
        job, steps = self.job, self.job.recipe.steps
        self._watch, votes = Stopwatch(self.rows, job.step), self.runtime.votes
        with self._closing(), Interrupts() as interrupts, make_progress(job.step, steps) as progress:
            votes.stop, votes.wants_to_stop = False, lambda: interrupts.requested
            if job.step == 0:
                self._do_due_work(progress)
            if job.report_every is not None:
                self._aside(lambda: self.on_main(job.write_report))
            while job.step < steps:
                job.train_step()
                progress.step(job.step)
                self._after_step(progress)
                if job.step < steps and votes.stops(job.step):
                    self.save()
                    interrupts.leave(self._saved(), self.note)
            self.on_main(job.finish)
            if interrupts.requested:
                complete = f"interrupted at step {job.step}, which was the last: the run is complete"
                interrupts.leave(complete if job.ends_run else self._saved(), self.note)

    def _saved(self) -> str:
        return f"interrupted at step {self.job.step}; the run is saved: {self.job.cure}"

    def _after_step(self, progress: Progress) -> None:
        job, recipe = self.job, self.job.recipe
        last = job.step == recipe.steps
        if job.step % recipe.log_every == 0 or last:
            progress.values(self._tick())
        self._do_due_work(progress)
        if job.step % recipe.checkpoint_every == 0 or last:
            self._aside(self.save)
        if job.report_every is not None and job.step % job.report_every == 0 and not last:
            self._aside(lambda: self.on_main(job.write_report))

    def _do_due_work(self, progress: Progress) -> None:
        for work in self.job.due_work(progress):
            self._aside(work)

    def _aside(self, work: Callable[[], None]) -> None:
        """Do work that is not counted in the step rate."""
        with self._watch.aside():
            work()

    def _tick(self) -> dict[str, float]:
        """Log the means since the last tick.

        At the end of a run, an extra tick logs the steps after the last regular one; the job keeps them if the run grows.
        """
        job = self.job
        values = job.means(regular=job.step % job.recipe.log_every == 0)
        if self.runtime.is_main:
            row, times = {**job.counters(), **values}, self._watch.times(job.step)
            self.log.write(row | times)
            self.on_row(row)
            self.trackers.scalars({key: value for key, value in (row | times).items() if key != "step"}, job.step)
        return values

    def save(self) -> None:
        """Save the run, after checking that it is finite."""
        self.job.check_finite()
        self.on_main(self.write_checkpoint)

    def write_checkpoint(self) -> None:
        """On the main rank: write a checkpoint of this step, unless there is one."""
        step = self.job.step
        if step not in self.checkpoints.steps():
            self.job.save_companions()  # first, so that a run resumed from the checkpoint has it
            self.checkpoints.save(step, self.job.state_dict())

    def on_main(self, work: Callable[[], None]) -> None:
        """Do long work on the main rank; the others wait, and stop if it fails."""
        with self.runtime.together():
            if self.runtime.is_main:
                check_still_here(self.folder)
                work()

    @contextmanager
    def _closing(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            job, stopped = self.job, isinstance(error, KeyboardInterrupt | SystemExit)
            complete = job.ends_run and job.step >= job.recipe.steps and stopped
            if self.runtime.is_main and not complete:
                with suppress(OSError, SparringError):  # `error` matters more
                    check_still_here(self.folder)
                    job.write_report(_why(error, job.step))
            raise
        finally:
            if self.runtime.is_main:
                with suppress(OSError):  # a full disk, which has been reported
                    for file in self.files:
                        file.close()
                self.trackers.close()


def _why(error: BaseException, step: int) -> str:
    """Why the run ended early, for its report."""
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return f"interrupted at step {step}; continue it with --resume"
    return str(error) if isinstance(error, SparringError) else f"{type(error).__name__} at step {step}"
