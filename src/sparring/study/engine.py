"""The queue of a study: the one place that goes over rows and seeds, gives runs to an executor and keeps their results."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from sparring.errors import SparringError
from sparring.files import ANOTHER_FOLDER, remove_unfinished, write_json
from sparring.messages import Note, counted, note_or_default
from sparring.run.interrupt import Interrupts
from sparring.run.lock import LOCK_FILE, only_writer
from sparring.study.executors import Executor, make_executor
from sparring.study.resolve import PLAN_FILE, Study, resolve
from sparring.study.results import RESULTS_FILE, Result, append, find, judged, latest, read
from sparring.study.runs import Key, Task
from sparring.study.status import in_words, say, seconds_left
from sparring.version import command_line, commit

TRIES = 3  # at a run whose worker is lost
LOOK = 0.05  # seconds between two looks at the workers
SAY = 2.0  # between two signs of life
PAGE = 30.0  # between two pages
GRACE = 60.0  # seconds that workers have to save their runs after Ctrl-C


@dataclass(frozen=True)
class StudyRun:
    """A study that has been run as far as it could be. errors: by run, why it could not be trained."""

    folder: Path
    study: Study
    errors: Mapping[Key, str]

    @property
    def results(self) -> list[Result]:
        return latest(read(self.folder))


def run(
    source: Any,
    changes: Iterable[str] | Mapping[str, Any] = (),
    *,
    scale: str | None = None,
    seeds: Any = None,
    rows: Iterable[str] | None = None,
    vary: Iterable[str] = (),
    jobs: int | None = None,
    executor: str | Executor = "local",
    device: str | None = None,
    out: str | Path | None = None,
    note: Note | None = None,
    command: str | None = None,
) -> StudyRun:
    """Run a study as far as it is not done, and keep each run's result in its folder. Also `sparring.study(...)`.

    source, changes, scale, seeds, rows, vary: see `sparring.study.resolve.resolve`. jobs: runs at once. executor: local,
        ray, slurm, package.module:Class, or itself. device: as for `sparring.train`. out: the study's folder, by default
        runs/studies/NAME-SCALE.

    Started again, it goes on: runs that are finished are not repeated, more seeds and rows may be added. Raises
    SparringError, before anything runs, for whatever is wrong with any row. A run that fails is a result; one that could
    not be trained, as without its data, is in `errors`, and is tried again next time.
    """
    note = note_or_default(note)
    study = resolve(source, scale, seeds=seeds, rows=rows, changes=changes, vary=vary)
    if jobs is not None and jobs < 1:
        raise SparringError(f"--jobs takes 1 or more, got {jobs}")
    folder = Path(out) if out is not None else Path("runs") / "studies" / study.folder_name
    chosen = make_executor(executor)
    with only_writer(folder, work=PLAN_FILE):
        whole = _prepared(study, folder, note, command)
        engine = _Engine(whole, folder, chosen, jobs, device, note)
        # seed by seed, so that a study that is cut off has whole seeds
        engine.go([Task(row, seed, folder.absolute()) for seed in study.seeds for row in study.rows.values()])
    return StudyRun(folder, whole, engine.errors)


class _Engine:
    """One session at a study."""

    def __init__(
        self, study: Study, folder: Path, executor: Executor, jobs: int | None, device: str | None, note: Note
    ):
        self.study, self.folder, self.executor, self.device, self.note = study, folder, executor, device, note
        self.results: dict[Key, Result] = {}
        self.tasks: dict[Key, Task] = {}
        self.queue: dict[Key, Task] = {}  # in their order
        self.errors: dict[Key, str] = {}
        self.attempts: dict[Key, int] = {}
        self.running: dict[Key, tuple[Any, float]] = {}  # the executor's handle, and since when
        self.jobs = jobs or max(1, executor.slots // max(row.threads for row in study.rows.values()))
        self._said, self._paged = 0.0, time.monotonic()

    def go(self, tasks: list[Task]) -> None:
        """Train what is left of these runs, as far as it can be."""
        self.tasks = {task.key: task for task in tasks}
        for before in latest(read(self.folder)):
            if (result := judged(before, self.study.collapsed)) != before:  # a new level of `collapsed`
                self._append(result)
            self.results[result.row, result.seed] = result
        for task in tasks:
            if "error" in (task.read_ended() or ()):
                task.forget()  # of a session before, and tried again now
            self._collect(task)
        self.queue = {task.key: task for task in tasks if task.key not in self.results}
        self._add_parents()
        with Interrupts() as interrupts:
            try:
                while (self.queue or self.running) and not interrupts.requested:
                    self._start()
                    time.sleep(LOOK)
                    self._look()
            finally:
                self._stop()
            self._page()
            if interrupts.requested:
                left = sum(key not in self.results for key in self.tasks)
                interrupts.leave(f"interrupted with {counted(left, 'run')} left: the same command goes on", self.note)

    def _add_parents(self) -> None:
        """A row that starts from another one needs that one's folder: what is not there any more is trained again."""
        for task in list(self.queue.values()):
            while task.row.start is not None:
                task = self.tasks[task.row.start, task.seed]
                known = self.results.get(task.key)
                if known is None or known.failed or task.is_trained():
                    break
                if task.key not in self.queue:
                    self.note(f"{task} is trained again: its folder, from which another row starts, is gone")
                    self.queue = {task.key: task, **self.queue}

    def _start(self) -> None:
        """Give runs to the executor, in their order, as many as it takes. Those whose parent is not ready wait."""
        for task in list(self.queue.values()):
            if len(self.running) >= self.jobs:
                return
            parent = None if task.row.start is None else self.tasks[task.row.start, task.seed]
            if parent is None or self._has_ended(parent, task):
                del self.queue[task.key]
                task.run.parent.mkdir(parents=True, exist_ok=True)
                task.ended.unlink(missing_ok=True)
                task.write(parent, device=self.device, diagnose=self.study.plan.diagnose)
                self.attempts[task.key] = self.attempts.get(task.key, 0) + 1
                self.running[task.key] = self.executor.submit(task), time.time()

    def _has_ended(self, parent: Task, task: Task) -> bool:
        """Whether a run can start from its parent's. With a parent that failed, or could not be trained, it has, too."""
        if parent.key in self.queue or parent.key in self.running:
            return False
        if parent.key in self.errors:
            del self.queue[task.key]
            self.errors[task.key] = f"row '{parent.row.label}' could not be trained"
        elif why := self.results[parent.key].failed:
            del self.queue[task.key]
            fields = {"row": task.row.label, "seed": task.seed, "kind": task.row.kind, "recipe": task.row.hash}
            self._keep(task, fields | {"failed": f"row '{parent.row.label}' failed: {why}"})
        return task.key in self.queue

    def _look(self) -> None:
        """See which workers have ended and what they left, and say that the study goes on."""
        for key in self._ended():
            task = self.tasks[key]
            if self._collect(task):
                continue
            if self.attempts[key] < TRIES:
                self.note(f"{task}: its worker was lost; it goes on from its last checkpoint")
                self.queue = {key: task, **self.queue}
            else:
                self._error(task, f"its worker was lost {TRIES} times: see {task.log}")
        if time.monotonic() - self._said > SAY:
            self._said = time.monotonic()
            self._say(ended=False)
        if time.monotonic() - self._paged > PAGE:
            self._page()

    def _ended(self) -> list[Key]:
        """Runs whose workers have ended since the last look; they run no more."""
        ended = [key for key, (handle, _) in self.running.items() if self.executor.poll(handle)]
        for key in ended:
            del self.running[key]
        return ended

    def _collect(self, task: Task) -> bool:
        """Take what a worker has left, if it has: a result, or why there is none."""
        found = task.read_ended()
        if found is None:
            return False
        if "error" in found:
            self._error(task, found["error"])
        elif task.key not in self.results:
            self._keep(task, found)
        task.forget()
        return True

    def _error(self, task: Task, error: str) -> None:
        self.errors[task.key] = error
        self.note(f"{task} could not be trained: {error}")

    def _keep(self, task: Task, found: Mapping[str, Any]) -> None:
        plan: dict[str, Any] = {"study": self.study.plan.name, "plan": self.study.hash, "scale": self.study.scale}
        attempts = self.attempts.get(task.key, 1)
        result = Result(**found, **plan, date=date.today().isoformat(), attempts=attempts)
        result = self.results[task.key] = judged(result, self.study.collapsed)
        self._append(result)
        left = [key for key in self.tasks if key not in self.results and key not in self.errors]
        counts = f"[{sum(key in self.results for key in self.tasks)}/{len(self.tasks)}]"
        seconds = seconds_left(self.study, self.results.values(), left, self._since(), self.jobs)
        more = f"; {in_words(seconds)} left" if left and seconds is not None else ""
        self.note(f"{counts} {task}: {_in_short(result, self.study)}{more}")

    def _append(self, result: Result) -> None:
        append(self.folder / RESULTS_FILE, result)

    def _since(self) -> dict[Key, float]:
        return {key: since for key, (_, since) in self.running.items()}

    def _say(self, *, ended: bool) -> None:
        say(self.folder, self._since(), self.errors, self.jobs, ended=ended)

    def _stop(self) -> None:
        """Ask what still runs to end, wait for it, and say that nobody works here any more."""
        until = time.monotonic() + GRACE
        for handle, _ in self.running.values():
            self.executor.cancel(handle)
        while self.running and time.monotonic() < until:
            for key in self._ended():
                self._collect(self.tasks[key])
            time.sleep(LOOK)
        for handle, _ in self.running.values():
            self.executor.cancel(handle)
        self.running.clear()
        self._say(ended=True)

    def _page(self) -> None:
        if not self.results:
            return
        self._paged = time.monotonic()
        try:
            from sparring.study.page import write_page

            write_page(self.folder)
        except (ImportError, SparringError) as error:
            self.note(f"index.html is not written: {error}")


def _prepared(study: Study, folder: Path, note: Note, command: str | None) -> Study:
    """The study with what was run in its folder before; plan.json is written once its new rows are known to fit."""
    from sparring.study.check import check_on_data

    before = Study.load(folder) if (folder / PLAN_FILE).is_file() else None
    if before is None and any(path.name != LOCK_FILE for path in folder.iterdir()):
        raise SparringError(f"{folder} is not empty: {ANOTHER_FOLDER}")
    if before is not None and (before.plan.name, before.scale) != (study.plan.name, study.scale):
        raise SparringError(f"{folder} holds study {before.plan.name} at scale {before.scale}: {ANOTHER_FOLDER}")
    known = {} if before is None else before.rows
    changed = [label for label, row in study.rows.items() if label in known and known[label].hash != row.hash]
    if kept := {each.row for each in read(folder)} & {*changed}:
        raise SparringError(
            f"{folder} has results of row '{min(kept)}' by another recipe than the plan's now: {ANOTHER_FOLDER}, or give "
            "the row another name"
        )
    check_on_data(study, [label for label in study.rows if label not in known or label in changed], note)
    for label in changed:
        shutil.rmtree(folder / "runs" / known[label].slug, ignore_errors=True)
    remove_unfinished(folder / "work")
    whole = study.merged(before)
    write_json(folder / PLAN_FILE, {**whole.to_dict(), "command": command or command_line(), "commit": commit()})
    return whole


def _in_short(result: Result, study: Study) -> str:
    if result.failed:
        return f"failed, {result.failed}"
    words = dict.fromkeys([claim.metric for claim in study.plan.claims if claim.metric] or list(result.values)[:2])
    values = [(word, find(result.values, result.numbers, word)) for word in words]
    took = [] if result.seconds is None else [f"{result.seconds:.0f} s"]
    return ", ".join([*(f"{word} {value:.4g}" for word, value in values if value is not None), *took])
