"""How far a study is, from its folder alone: what is done, running, failed and left, and the time that is left.

Nothing here imports torch.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sparring.errors import SparringError
from sparring.files import write_json
from sparring.limits import DESCRIPTION_BYTES
from sparring.parsing import read_json
from sparring.study.resolve import Study
from sparring.study.results import Result, read
from sparring.study.runs import Key

STATUS_FILE = "status.json"
STALE = 120.0  # seconds without a sign of life, after which an engine on another machine counts as gone
COUNTS = ("runs", "done", "failed", "running", "left")


def status(folder: Path | str) -> dict[str, Any]:
    """How far the study in a folder is, as plain data.

    study, scale, folder; runs, done (failed ones among them), failed, running, left, of all and of each of `rows`;
    is_running; errors: by run, why it could not be trained; seconds_left: about, None where nothing says how long a run
    takes. Raises SparringError where there is no study.
    """
    study = Study.load(folder)
    said = _said(Path(folder))
    is_running = _alive(said)
    results = {(each.row, each.seed): each for each in read(folder)}
    running = {(each["row"], each["seed"]): each["since"] for each in said.get("running", ()) if is_running}
    left = [(label, seed) for label in study.rows for seed in study.seeds if (label, seed) not in results]
    rows = []
    for label in study.rows:
        done = [results[label, seed] for seed in study.seeds if (label, seed) in results]
        busy = sum((label, seed) in running for seed in study.seeds if (label, seed) not in results)
        counts = (len(study.seeds), len(done), sum(each.failed is not None for each in done), busy)
        rows.append({"row": label, **dict(zip(COUNTS, (*counts, len(study.seeds) - len(done) - busy), strict=True))})
    return {
        "study": study.plan.name,
        "scale": study.scale,
        "folder": str(folder),
        "rows": rows,
        **{name: sum(row[name] for row in rows) for name in COUNTS},
        "is_running": is_running,
        "seconds_left": seconds_left(study, results.values(), left, running, said.get("jobs", 1)),
        "errors": said.get("errors", {}),
    }


def seconds_left(
    study: Study, results: Iterable[Result], left: Iterable[Key], running: Mapping[Key, float], jobs: int
) -> float | None:
    """About how long the runs that are left take: as long as others of their row, else as others, else as the plan says."""
    by_row: dict[str, list[float]] = {}
    for each in results:
        if each.seconds is not None:
            by_row.setdefault(each.row, []).append(each.seconds)
    minutes = study.plan.scales[study.scale].cpu_minutes
    every = [value for values in by_row.values() for value in values] or ([60 * minutes] if minutes else [])
    total, longest = 0.0, 0.0
    for key in left:
        known = by_row.get(key[0], every)
        if not known:
            return None
        already = time.time() - running[key] if key in running else 0.0
        expected = max(0.0, sum(known) / len(known) - already)
        total, longest = total + expected, max(longest, expected)
    return max(longest, total / jobs)


def say(folder: Path, running: Mapping[Key, float], errors: Mapping[Key, str], jobs: int, *, ended: bool) -> None:
    """Leave a sign of life for `status`. running: since when, by run."""
    facts = {
        "process": None if ended else os.getpid(),
        "host": socket.gethostname(),
        "at": time.time(),
        "jobs": jobs,
        "running": [{"row": row, "seed": seed, "since": since} for (row, seed), since in running.items()],
        "errors": {f"{row}, seed {seed}": error for (row, seed), error in errors.items()},
    }
    write_json(folder / STATUS_FILE, facts)


def _said(folder: Path) -> dict[str, Any]:
    try:
        said = read_json(folder / STATUS_FILE, most=DESCRIPTION_BYTES)
    except (SparringError, OSError):  # none yet, or damaged: the results say what is done
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
    except OSError as error:
        return isinstance(error, PermissionError)  # another user's process
    return True


def in_words(seconds: float | None) -> str:
    """A time as people say it: "about 40 s", "about 12 min", "about 3.5 h"."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {round(seconds / 60)} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"
