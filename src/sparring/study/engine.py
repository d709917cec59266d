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
from sparring.recipe.files import parse_overrides
from sparring.run.interrupt import Interrupts
from sparring.run.lock import LOCK_FILE, only_writer
from sparring.study.executors import make_executor
from sparring.study.executors.base import Executor
from sparring.study.plan import varied
from sparring.study.resolve import PLAN_FILE, Study, resolve
from sparring.study.results import Result, append, find, judged, latest, read
from sparring.study.runs import Key, StudyFolder, Task, tasks_of
from sparring.study.status import in_words, say, say_ended, seconds_left
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

    source: a plan's name, file or mapping; with `vary`, such as ["objective.sdp.k=1,5,25"], a recipe. changes: of every
        row's recipe. scale: one of the plan's, by default `mini` or its first. seeds: 5 for 0 to 4, "100-104", or a list.
        rows: labels, by default all. jobs: runs at once. executor: local, ray, slurm, package.module:Class, or itself.
        device: as for `sparring.train`. out: the study's folder, by default runs/studies/NAME-SCALE.

    Started again, it goes on: runs that are finished are not repeated, more seeds and rows may be added. Raises
    SparringError, before anything runs, for whatever is wrong with any row. A run that fails is a result; one that could
    not be trained, as without its data, is in `errors`, and is tried again next time.
    """
    note = note_or_default(note)
    study = study_of(source, changes, scale=scale, seeds=seeds, rows=rows, vary=vary)
    if jobs is not None and jobs < 1:
        raise SparringError(f"--jobs takes 1 or more, got {jobs}")
    folder = StudyFolder(Path(out) if out is not None else Path("runs") / "studies" / study.folder_name)
    chosen = make_executor(executor)
    with only_writer(folder.path, work=PLAN_FILE):
        whole = _prepared(study, folder, note, command)
        engine = _Engine(whole, folder, chosen, jobs, device, note)
        engine.go(tasks_of(study, folder))
    return StudyRun(folder.path, whole, engine.errors)


def study_of(
    source: Any, changes: Any, *, scale: str | None, seeds: Any, rows: Iterable[str] | None, vary: Iterable[str]
) -> Study:
    """What `run` is asked to train; the arguments are its."""
    if vary := list(vary):
        source, changes = varied(str(source), vary, parse_overrides(changes), seeds), ()
    return resolve(source, scale, seeds=seeds, rows=rows, changes=changes)


class _Engine:
    """One session at a study."""

    def __init__(
        self, study: Study, folder: StudyFolder, executor: Executor, jobs: int | None, device: str | None, note: Note
    ):
        self.study, self.folder, self.executor, self.device, self.note = study, folder, executor, device, note
        self.results = {(each.row, each.seed): each for each in _judged_again(study, folder)}
        self.tasks: dict[Key, Task] = {}
        self.queue: dict[Key, Task] = {}  # in their order
        self.errors: dict[Key, str] = {}
        self.attempts: dict[Key, int] = {}
        self.running: dict[Key, tuple[Task, Any, float]] = {}
        threads = max((int(row.recipe.get("threads") or 1) for row in study.rows.values()), default=1)
        self.jobs = jobs or max(1, executor.slots // threads)
        self._said = self._paged = 0.0

    def go(self, tasks: list[Task]) -> None:
        """Train what is left of these runs, as far as it can be."""
        self.tasks = {task.key: task for task in tasks}
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
            self._page(at_once=True)
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
                    self.note(f"{_named(task)} is trained again: its folder, from which another row starts, is gone")
                    self.queue = {task.key: task, **self.queue}

    def _start(self) -> None:
        """Give runs to the executor, in their order, as many as it takes. Those whose parent is not ready wait."""
        for task in list(self.queue.values()):
            if len(self.running) >= self.jobs:
                return
            if self._ready(task):
                del self.queue[task.key]
                task.run.parent.mkdir(parents=True, exist_ok=True)
                task.ended.unlink(missing_ok=True)
                task.write(self.study, self.device)
                self.attempts[task.key] = self.attempts.get(task.key, 0) + 1
                self.running[task.key] = (task, self.executor.submit(task), time.time())

    def _ready(self, task: Task) -> bool:
        """Whether a run can start. One whose parent failed has failed with it."""
        if task.row.start is None:
            return True
        parent = self.tasks[task.row.start, task.seed]
        if parent.key in self.queue or parent.key in self.running:
            return False
        failed = self.results[parent.key].failed if parent.key in self.results else None
        if failed is not None:
            del self.queue[task.key]
            fields = {"row": task.row.label, "seed": task.seed, "kind": task.row.kind, "recipe": task.row.hash}
            self._keep(task, fields | {"failed": f"row '{parent.row.label}' failed: {failed}"})
            return False
        if parent.key in self.errors:
            del self.queue[task.key]
            self.errors[task.key] = f"row '{parent.row.label}' could not be trained"
            return False
        return True

    def _look(self) -> None:
        """See which workers have ended, and what they left."""
        for key, (task, handle, _) in list(self.running.items()):
            if self.executor.poll(handle):
                del self.running[key]
                if not self._collect(task) and key not in self.errors:
                    self._lost(task)
        if time.time() - self._said > SAY:
            self._said = time.time()
            say(self.folder, {key: since for key, (_, _, since) in self.running.items()}, self.errors, self.jobs)
        self._page()

    def _lost(self, task: Task) -> None:
        if self.attempts[task.key] < TRIES:
            self.note(f"{_named(task)}: its worker was lost; it goes on from its last checkpoint")
            self.queue = {task.key: task, **self.queue}
        else:
            self._error(task, f"its worker was lost {TRIES} times: see {task.log}")

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
        self.note(f"{_named(task)} could not be trained: {error}")

    def _keep(self, task: Task, found: Mapping[str, Any]) -> None:
        result = Result(
            **found,
            study=self.study.plan.name,
            plan=self.study.hash,
            scale=self.study.scale,
            date=date.today().isoformat(),
            attempts=max(1, self.attempts.get(task.key, 1)),
        )
        result = judged(result, self.study.collapsed)
        append(self.folder.results, result)
        self.results[task.key] = result
        self.note(f"{self._counted()} {_named(task)}: {_in_short(result, self.study)}{self._left()}")

    def _counted(self) -> str:
        return f"[{sum(key in self.results for key in self.tasks)}/{len(self.tasks)}]"

    def _left(self) -> str:
        left = [key for key in self.tasks if key not in self.results and key not in self.errors]
        since = {key: since for key, (_, _, since) in self.running.items()}
        seconds = seconds_left(self.study, self.results.values(), left, since, self.jobs)
        return f"; {in_words(seconds)} left" if left and seconds is not None else ""

    def _stop(self) -> None:
        """Ask what still runs to end, wait for it, and say that nobody works here any more."""
        until = time.monotonic() + GRACE
        for _, handle, _ in self.running.values():
            self.executor.cancel(handle)
        while self.running and time.monotonic() < until:
            for key, (task, handle, _) in list(self.running.items()):
                if self.executor.poll(handle):
                    del self.running[key]
                    self._collect(task)
            time.sleep(LOOK)
        for _, handle, _ in self.running.values():
            self.executor.cancel(handle)
        say_ended(self.folder, self.errors)

    def _page(self, *, at_once: bool = False) -> None:
        if not self.results or not (at_once or time.monotonic() - self._paged > PAGE):
            return
        self._paged = time.monotonic()
        try:
            from sparring.study.page import write_page

            write_page(self.folder.path)
        except (ImportError, SparringError) as error:
            self.note(f"index.html is not written: {error}")


def _prepared(study: Study, folder: StudyFolder, note: Note, command: str | None) -> Study:
    """The study with what was run in its folder before; plan.json is written once its new rows are known to fit."""
    from sparring.study.check import check_on_data

    before = Study.load(folder.path) if (folder.path / PLAN_FILE).is_file() else None
    if before is None and any(path.name != LOCK_FILE for path in folder.path.iterdir()):
        raise SparringError(f"{folder.path} is not empty: {ANOTHER_FOLDER}")
    known = {} if before is None else before.rows
    changed = [label for label, row in study.rows.items() if label in known and known[label].hash != row.hash]
    has_results = {each.row for each in read(folder.results)}
    if before is not None and (before.plan.name, before.scale) != (study.plan.name, study.scale):
        raise SparringError(f"{folder.path} holds study {before.plan.name} at scale {before.scale}: {ANOTHER_FOLDER}")
    if kept := [label for label in changed if label in has_results]:
        raise SparringError(
            f"{folder.path} has results of row '{kept[0]}' by another recipe than the plan's now: {ANOTHER_FOLDER}, or give "
            "the row another name"
        )
    check_on_data(study, [label for label in study.rows if label not in known or label in changed], note)
    for label in changed:
        shutil.rmtree(folder.path / "runs" / known[label].slug, ignore_errors=True)
    remove_unfinished(folder.path / "work")
    facts = {"command": command or command_line(), "commit": commit()}
    whole = study.merged(before)
    write_json(folder.path / PLAN_FILE, whole.to_dict() | facts)
    return whole


def _judged_again(study: Study, folder: StudyFolder) -> list[Result]:
    """The results so far; those that a new level of `collapsed` judges otherwise get a new line."""
    found = []
    for result in latest(read(folder.results)):
        again = judged(result, study.collapsed)
        if again.failed != result.failed:
            append(folder.results, again)
        found.append(again)
    return found


def _named(task: Task) -> str:
    return f"{task.row.label}, seed {task.seed}"


def _in_short(result: Result, study: Study) -> str:
    if result.failed:
        return f"failed, {result.failed}"
    words = dict.fromkeys([claim.metric for claim in study.plan.claims if claim.metric] or list(result.values)[:2])
    values = [
        f"{word} {value:.4g}" for word in words if (value := find(result.values, result.numbers, word)) is not None
    ]
    return ", ".join([*values, *([] if result.seconds is None else [f"{result.seconds:.0f} s"])])
