"""The queue of a study: the one place that goes over rows and seeds, gives runs to an executor and keeps their results."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from sparring.errors import SparringError
from sparring.files import ANOTHER_FOLDER, remove_unfinished, write_json
from sparring.messages import Note, about_time, counted, note_or_default
from sparring.run.interrupt import Interrupts
from sparring.run.lock import LOCK_FILE, only_writer
from sparring.study.executors import Executor, make_executor
from sparring.study.resolve import PLAN_FILE, Study, resolve
from sparring.study.results import RESULTS_FILE, Key, Result, append, judged, latest, read
from sparring.study.status import say, seconds_left
from sparring.study.work import Task
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
    jobs = jobs or max(1, chosen.slots // max(row.threads for row in study.rows.values()))
    with only_writer(folder, work=PLAN_FILE):
        whole = _prepared(study, folder, note, command)
        tasks: dict[Key, Task] = {}
        for seed in study.seeds:  # seed by seed, so that a study that is cut off has whole seeds
            for row in study.rows.values():
                parent = None if row.start is None else tasks[row.start, seed]
                tasks[row.label, seed] = Task(row, seed, folder.absolute(), parent)
        _Engine(whole, folder, list(tasks.values()), chosen, jobs, device, note).go()
    return StudyRun(folder, whole, {key: task.error for key, task in tasks.items() if task.error})


@dataclass
class _Engine:
    """One session at a study. tasks: parents before the runs that start from them. jobs: runs at once."""

    study: Study
    folder: Path
    tasks: list[Task]
    executor: Executor
    jobs: int
    device: str | None
    note: Note
    queue: list[Task] = field(default_factory=list)
    running: dict[Task, Any] = field(default_factory=dict)  # with the executor's handles
    said: float = 0.0  # when
    paged: float = field(default_factory=time.monotonic)

    def go(self) -> None:
        """Train what is left of these runs, as far as it can be."""
        self._take_up()
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
                left = sum(task.result is None for task in self.tasks)
                interrupts.leave(f"interrupted with {counted(left, 'run')} left: the same command goes on", self.note)

    def _take_up(self) -> None:
        """What is known of the runs; those without a result are queued, and those whose folders another one starts from."""
        known = {(each.row, each.seed): each for each in read(self.folder)}
        for key, before in known.items():
            known[key] = judged(before, self.study.collapsed)
            if known[key] != before:  # by a new level of `collapsed`
                append(self.folder / RESULTS_FILE, known[key])
        for task in self.tasks:
            task.result = known.get(task.key)
            if "error" in (task.read_ended() or ()):
                task.forget()  # of a session before, and tried again now
            self._collect(task)
        wanted = {task for task in self.tasks if task.result is None}
        for task in reversed(self.tasks):
            parent = task.parent if task in wanted and task.parent not in wanted else None
            if parent and parent.result and not parent.result.failed and not parent.is_trained():
                self.note(f"{parent} is trained again: its folder, from which another row starts, is gone")
                wanted.add(parent)
        self.queue = [task for task in self.tasks if task in wanted]

    def _start(self) -> None:
        """Give runs to the executor, in their order, as many as it takes. Those whose parent has not ended wait."""
        for task in list(self.queue):
            if len(self.running) >= self.jobs:
                return
            parent = task.parent
            if parent in self.queue or parent in self.running:
                continue
            self.queue.remove(task)
            if parent and parent.error:
                task.error = f"row '{parent.row.label}' could not be trained"
            elif parent and parent.result and (why := parent.result.failed):
                fields = {"row": task.row.label, "seed": task.seed, "kind": task.row.kind, "recipe": task.row.hash}
                self._keep(task, fields | {"failed": f"row '{parent.row.label}' failed: {why}"})
            else:
                task.prepare(device=self.device, diagnose=self.study.plan.diagnose)
                self.running[task] = self.executor.submit(task)

    def _look(self) -> None:
        """See which workers have ended and what they left, and say that the study goes on."""
        for task in self._ended():
            if self._collect(task):
                continue
            if task.attempts < TRIES:
                self.note(f"{task}: its worker was lost; it goes on from its last checkpoint")
                self.queue.insert(0, task)
            else:
                self._give_up(task, f"its worker was lost {TRIES} times: see {task.log}")
        if time.monotonic() - self.said > SAY:
            self._say(ended=False)
        if time.monotonic() - self.paged > PAGE:
            self._page()

    def _ended(self) -> list[Task]:
        """The runs whose workers have ended since the last look."""
        ended = [task for task, handle in self.running.items() if self.executor.poll(handle)]
        for task in ended:
            del self.running[task]
        return ended

    def _collect(self, task: Task) -> bool:
        """Take what a worker has left, if it has: a result, or why there is none."""
        found = task.read_ended()
        if found is None:
            return False
        if "error" in found:
            self._give_up(task, found["error"])
        elif task.result is None:
            self._keep(task, found)
        task.forget()
        return True

    def _give_up(self, task: Task, error: str) -> None:
        task.error = error
        self.note(f"{task} could not be trained: {error}")

    def _keep(self, task: Task, found: Mapping[str, Any]) -> None:
        plan: dict[str, Any] = {"study": self.study.plan.name, "plan": self.study.hash, "scale": self.study.scale}
        result = Result(**found, **plan, date=date.today().isoformat(), attempts=max(1, task.attempts))
        task.result = judged(result, self.study.collapsed)
        append(self.folder / RESULTS_FILE, task.result)
        done = [each.result for each in self.tasks if each.result]
        left = [each.key for each in self.tasks if not each.result and not each.error]
        seconds = seconds_left(self.study, done, left, {each.key: each.since for each in self.running}, self.jobs)
        more = f"; {about_time(seconds)} left" if left and seconds is not None else ""
        self.note(f"[{len(done)}/{len(self.tasks)}] {task}: {_in_short(task.result, self.study)}{more}")

    def _say(self, *, ended: bool) -> None:
        self.said = time.monotonic()
        say(self.folder, self.running, [task for task in self.tasks if task.error], self.jobs, ended=ended)

    def _stop(self) -> None:
        """Ask what still runs to end, wait for it, and say that nobody works here any more."""
        until = time.monotonic() + GRACE
        for handle in self.running.values():
            self.executor.cancel(handle)
        while self.running and time.monotonic() < until:
            for task in self._ended():
                self._collect(task)
            time.sleep(LOOK)
        for handle in self.running.values():
            self.executor.cancel(handle)
        self.running.clear()
        self._say(ended=True)

    def _page(self) -> None:
        self.paged = time.monotonic()
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
    values = [(word, result.value(word)) for word in words]
    took = [] if result.seconds is None else [f"{result.seconds:.0f} s"]
    return ", ".join([*(f"{word} {value:.4g}" for word, value in values if value is not None), *took])
