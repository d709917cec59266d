"""How far a study is, from its folder alone: what is done, running, failed and left, and the time that is left.

Nothing here imports torch.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparring.errors import SparringError
from sparring.files import write_json
from sparring.limits import DESCRIPTION_BYTES
from sparring.parsing import read_json
from sparring.study.resolve import Study
from sparring.study.results import Result, latest, read
from sparring.study.runs import Key, StudyFolder

STALE = 120.0  # seconds without a sign of life, after which an engine on another machine counts as gone


@dataclass(frozen=True)
class RowStatus:
    row: str
    done: int  # with a result, failed ones among them
    failed: int
    running: int
    left: int


@dataclass(frozen=True)
class Status:
    """`seconds_left` is None where nothing says how long a run takes. errors: by run, why it could not be trained."""

    study: str
    scale: str
    folder: str
    rows: tuple[RowStatus, ...]
    runs: int
    done: int
    failed: int
    running: int
    left: int
    is_running: bool
    seconds_left: float | None
    errors: Mapping[str, str] = field(default_factory=dict)


def status(folder: Path | str) -> Status:
    """The status of the study in a folder. Raises SparringError where there is none."""
    place = StudyFolder(Path(folder))
    study, results = Study.load(folder), latest(read(place.results))
    said = _said(place)
    alive = _alive(said)
    running = {(each["row"], each["seed"]): float(each["since"]) for each in said.get("running", ())} if alive else {}
    by_key = {(each.row, each.seed): each for each in results}
    rows = []
    for label in study.rows:
        keys = [(label, seed) for seed in study.seeds]
        done = [by_key[key] for key in keys if key in by_key]
        busy = sum(key in running for key in keys if key not in by_key)
        left = len(keys) - len(done) - busy
        rows.append(RowStatus(label, len(done), sum(each.failed is not None for each in done), busy, left))
    to_do = [(label, seed) for label in study.rows for seed in study.seeds if (label, seed) not in by_key]
    return Status(
        study=study.plan.name,
        scale=study.scale,
        folder=str(folder),
        rows=tuple(rows),
        runs=len(study.rows) * len(study.seeds),
        **{name: sum(getattr(row, name) for row in rows) for name in ("done", "failed", "running", "left")},
        is_running=alive,
        seconds_left=seconds_left(study, results, to_do, running, said.get("jobs", 1)),
        errors=said.get("errors", {}),
    )


def seconds_left(
    study: Study, results: Iterable[Result], left: Iterable[Key], running: Mapping[Key, float], jobs: int
) -> float | None:
    """About how long the runs that are left take: as long as others of their row, else as others, else as the plan says."""
    by_row: dict[str, list[float]] = {}
    for each in results:
        if each.seconds is not None:
            by_row.setdefault(each.row, []).append(each.seconds)
    every = [value for values in by_row.values() for value in values]
    minutes = study.plan.scales[study.scale].cpu_minutes
    usual = sum(every) / len(every) if every else None if minutes is None else 60 * minutes
    total, longest = 0.0, 0.0
    for key in left:
        own = by_row.get(key[0])
        expected = sum(own) / len(own) if own else usual
        if expected is None:
            return None
        if key in running:
            expected = max(0.0, expected - (time.time() - running[key]))
        total, longest = total + expected, max(longest, expected)
    return max(longest, total / max(1, jobs))


def say(place: StudyFolder, running: Mapping[Key, float], errors: Mapping[Key, str], jobs: int) -> None:
    """Leave a sign of life for `status`. running: since when, by run."""
    write_json(
        place.status,
        {
            "process": os.getpid(),
            "host": socket.gethostname(),
            "at": time.time(),
            "jobs": jobs,
            "running": [{"row": row, "seed": seed, "since": since} for (row, seed), since in running.items()],
            "errors": {f"{row}, seed {seed}": error for (row, seed), error in errors.items()},
        },
    )


def say_ended(place: StudyFolder, errors: Mapping[Key, str]) -> None:
    say(place, {}, errors, 1)
    write_json(place.status, {**_said(place), "process": None})


def _said(place: StudyFolder) -> dict[str, Any]:
    if not place.status.is_file():
        return {}
    try:
        said = read_json(place.status, most=DESCRIPTION_BYTES)
    except SparringError:
        return {}
    return said if isinstance(said, dict) else {}


def _alive(said: Mapping[str, Any]) -> bool:
    process = said.get("process")
    if not isinstance(process, int):
        return False
    if said.get("host") != socket.gethostname():
        return time.time() - said.get("at", 0) < STALE
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def in_words(seconds: float | None) -> str:
    """A time as people say it: "about 40 s", "about 12 min", "about 3.5 h"."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {round(seconds / 60)} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"
