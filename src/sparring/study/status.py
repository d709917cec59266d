"""How far a study is, from its folder alone: what is done, running, failed and left, and the time that is left.

Nothing here imports torch.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from sparring.files import write_json
from sparring.limits import DESCRIPTION_BYTES
from sparring.parsing import read_json
from sparring.run.alive import STATUS_FILE, is_alive, sign_of_life
from sparring.study.resolve import Study
from sparring.study.results import Key, Result, read

if TYPE_CHECKING:
    from sparring.study.work import Task

COUNTS = ("runs", "done", "failed", "running", "left")


def status(folder: Path | str) -> dict[str, Any]:
    """How far the study in a folder is, as plain data.

    study, scale, folder; runs, done (failed ones among them), failed, running, left, of all and of each of `rows`;
    is_running; errors: by run, why it could not be trained; seconds_left: about, None where nothing says how long a run
    takes. Raises SparringError where there is no study.
    """
    study, path = Study.load(folder), Path(folder) / STATUS_FILE
    said = read_json(path, most=DESCRIPTION_BYTES) if path.is_file() else {}
    is_running = is_alive(said)
    results = {(each.row, each.seed): each for each in read(folder)}
    running = {(each["row"], each["seed"]): each["since"] for each in said.get("running", ()) if is_running}
    rows, missing = [], list[Key]()
    for label in study.rows:
        done = [results[label, seed] for seed in study.seeds if (label, seed) in results]
        left = [(label, seed) for seed in study.seeds if (label, seed) not in results]
        busy, failed = sum(key in running for key in left), sum(each.failed is not None for each in done)
        counts = (len(study.seeds), len(done), failed, busy, len(left) - busy)
        rows.append({"row": label, **dict(zip(COUNTS, counts, strict=True))})
        missing += left
    return {
        **{"study": study.plan.name, "scale": study.scale, "folder": str(folder), "rows": rows},
        **{name: sum(row[name] for row in rows) for name in COUNTS},
        "is_running": is_running,
        "seconds_left": seconds_left(study, results.values(), missing, running, said.get("jobs", 1)),
        "errors": said.get("errors", {}),
    }


def seconds_left(
    study: Study, results: Iterable[Result], left: Iterable[Key], running: Mapping[Key, float], jobs: int
) -> float | None:
    """About how long the runs that are left take: as long as others of their row, else as others, else as the plan says."""
    took: dict[str, list[float]] = {}
    for each in results:
        if each.seconds is not None:
            took.setdefault(each.row, []).append(each.seconds)
    minutes = study.plan.scales[study.scale].cpu_minutes
    every = [seconds for row in took.values() for seconds in row] or ([60 * minutes] if minutes else [])
    if left and not every:
        return None
    mean, now = {row: fmean(seconds) for row, seconds in took.items()}, time.time()
    usual = fmean(every) if every else 0.0
    expected = [max(0.0, mean.get(key[0], usual) - (now - running.get(key, now))) for key in left]
    return max(max(expected, default=0.0), sum(expected) / jobs)


def say(folder: Path, running: Iterable[Task], given_up: Iterable[Task], jobs: int, *, ended: bool) -> None:
    """Leave a sign of life for `status`."""
    facts = {
        **sign_of_life(),
        **({"process": None} if ended else {}),
        "jobs": jobs,
        "running": [{"row": task.row.label, "seed": task.seed, "since": task.since} for task in running],
        "errors": {str(task): task.error for task in given_up},
    }
    write_json(folder / STATUS_FILE, facts)
