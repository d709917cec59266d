"""How a run is doing, from its folder alone: progress, time left, numbers, warnings, disk, and how it ended.

Nothing here imports torch, nothing is locked, and of long logs only the end is read, so that a run can be watched while it
trains.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from sparring.errors import SparringError
from sparring.files import TIME_FIELDS, last_rows
from sparring.limits import LOG_BYTES
from sparring.parsing import parse_json, read_bytes, read_json
from sparring.recipe.files import Kind, beside_folder, kind_of, resume_command
from sparring.run.alive import is_alive, read_sign
from sparring.run.lock import LOCK_FILE

State = Literal["training", "interrupted", "killed", "failed", "finished"]
PATIENCE = 20  # logged rows that a run on another machine may miss before it counts as gone


@dataclass(frozen=True)
class Warned:
    """A warning that a run gave: at a step (None: of the whole run), of a kind such as `collapse`."""

    step: int | None
    kind: str
    text: str


@dataclass(frozen=True)
class Status:
    """How a run is doing.

    step, steps: done, and of the recipe; of a run of several classifiers the sums, and `parts` has each of them. rate: steps
    per second over the last logged rows, pictures and measurements included; None before the first row. seconds: of training
    so far, in all sessions; seconds_left: at this rate, None unless it trains. process, host: that train it, or did last.
    seen: when it last wrote anything, in seconds since 1970. message: why it failed. resume: the command that continues it;
    None while it trains and once it is finished. checkpoint: the step of the newest one, where it would continue.
    logged: the last row of the log, without times. numbers: the last measurements, each a record with metric, value, number
    of images and step. disk: bytes by the folder's parts, largest first; disk_bytes: of all.
    """

    folder: str
    name: str
    trains: Kind
    state: State
    step: int
    steps: int
    rate: float | None
    seconds: float | None
    seconds_left: float | None
    parts: dict[str, tuple[int, int]]
    process: int | None
    host: str | None
    seen: float | None
    message: str | None
    resume: str | None
    checkpoint: int | None
    logged: dict[str, Any]
    numbers: list[dict[str, Any]]
    warnings: list[Warned]
    disk_bytes: int
    disk: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return asdict(self)


def status(run: str | os.PathLike[str]) -> Status:
    """How the run in a folder is doing. Raises SparringError if the folder holds no run."""
    folder = Path(run)
    facts, kind = _facts(folder)
    recipe, logs = facts["recipe"], _logs(folder, facts["recipe"], kind)
    rows = {name: last_rows(path) for name, path in logs.items()}
    parts = {name: (row[-1]["step"] if row else 0, recipe["steps"]) for name, row in rows.items()}
    step, steps = sum(done for done, _ in parts.values()), sum(total for _, total in parts.values())
    latest = max(rows, key=lambda name: _written(logs[name]))  # the classifier that is being trained
    rate, sizes, seen = _rate(rows[latest]), dict[str, int](), 0.0
    for part, size, written in _sizes(folder):
        sizes[part], seen = sizes.get(part, 0) + size, max(seen, written)
    said = read_sign(folder)
    ticks = [b["seconds"] - a["seconds"] for a, b in pairwise(rows[latest]) if _has_time(a) and _has_time(b)]
    alive = is_alive(said, seen, max(120.0, PATIENCE * max(ticks, default=0.0)))
    state = _state(said, alive, _is_complete(folder, recipe["steps"], kind), kind)
    waiting = state not in ("training", "finished")
    return Status(
        folder=str(folder),
        name=str(recipe.get("name", folder.name)),
        trains=kind,
        state=state,
        step=step,
        steps=steps,
        rate=rate,
        seconds=sum(row[-1]["seconds"] for row in rows.values() if row and _has_time(row[-1])),
        seconds_left=(steps - step) / rate if rate and state == "training" else None,
        parts=parts,
        process=said.get("process"),
        host=said.get("host"),
        seen=seen or None,
        message=said.get("message"),
        resume=resume_command(kind, folder) if waiting else None,
        checkpoint=max(_checkpoints(folder), default=None),
        logged={key: value for key, value in rows[latest][-1].items() if key not in TIME_FIELDS}
        if rows[latest]
        else {},
        numbers=_numbers(folder, kind),
        warnings=list(_warnings(folder, kind)),
        disk_bytes=sum(sizes.values()),
        disk=dict(sorted(sizes.items(), key=lambda item: -item[1])),
    )


def _facts(folder: Path) -> tuple[dict[str, Any], Kind]:
    """What recipe.json says, and what the run trains."""
    path = folder / "recipe.json"
    if not path.is_file():
        raise SparringError(_not_a_run(folder))
    facts = read_json(path)
    recipe = facts.get("recipe") if isinstance(facts, dict) else None
    kind = kind_of(recipe) if isinstance(recipe, dict) else None
    if not isinstance(recipe, dict) or kind is None or type(recipe.get("steps")) is not int:
        raise SparringError(f"{path} is damaged: it has no recipe of a run")
    return facts, kind


def _not_a_run(folder: Path) -> str:
    if not folder.exists():
        return f"there is no folder {folder}: give the folder of a run, such as runs/NAME"
    if (folder / "plan.json").is_file():
        return f"{folder} is a study's folder, not a run's: use `sparring study status`"
    if folder.is_dir() and {path.name for path in folder.iterdir()} == {LOCK_FILE}:
        return f"{folder} holds no run yet: one that starts there is still reading its images"
    runs = sorted(str(path.parent) for path in folder.glob("*/recipe.json"))
    has = f"; it has runs in it, such as {runs[0]}" if runs else ""
    return f"{folder} is not a run's folder: it has no recipe.json{has}"


def _logs(folder: Path, recipe: Mapping[str, Any], kind: Kind) -> dict[str, Path]:
    """The log of each thing that the run trains, by its name."""
    if kind == "GAN":
        return {"GAN": folder / "log.jsonl"}
    own, beside = recipe.get("criterion") or {}, recipe.get("beside") or ()
    names = [str(each.get("kind")) for each in beside if isinstance(each, Mapping) and each != own]
    logs = {name: folder / "beside" / beside_folder(name) / "log.jsonl" for name in names}
    return {**logs, str(own.get("kind")): folder / "log.jsonl"}


def _rate(rows: list[dict[str, Any]]) -> float | None:
    """Steps per second between the first and the last of these rows, with all that happens between steps."""
    timed = [row for row in rows if _has_time(row)]
    if not timed:
        return None
    start = (timed[0]["step"], timed[0]["seconds"]) if len(timed) > 1 else (0, 0.0)
    seconds = timed[-1]["seconds"] - start[1]
    return (timed[-1]["step"] - start[0]) / seconds if seconds > 0 else None


def _has_time(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("seconds"), int | float)


def _state(said: Mapping[str, Any], alive: bool, complete: bool, kind: Kind) -> State:
    """said: the run's sign of life; a run of version 0.1 left none."""
    state = said.get("state")
    if state == "training":
        return "training" if alive else "killed"
    if state in ("failed", "finished"):
        return state
    return "finished" if complete and (kind == "GAN" or state is None) else "interrupted"


def _is_complete(folder: Path, steps: int, kind: Kind) -> bool:
    """Whether the run has left all that a finished one leaves."""
    path = folder / ("generator.json" if kind == "GAN" else "classifier.json")
    try:
        described = read_json(path)
    except SparringError:
        return False
    measured = kind == "GAN" or (folder / "results.json").is_file()
    return isinstance(described, dict) and described.get("step") == steps and measured


def _checkpoints(folder: Path) -> Iterator[int]:
    for path in folder.glob("checkpoints/step-*.pt"):
        number = path.stem.removeprefix("step-")
        if number.isdecimal():
            yield int(number)


def _numbers(folder: Path, kind: Kind) -> list[dict[str, Any]]:
    """The last measurements: a GAN's of one step, a classifier's of each."""
    if kind == "GAN":
        rows = last_rows(folder / "metrics.jsonl")
        return [row for row in rows if row["step"] == rows[-1]["step"] and isinstance(row.get("value"), int | float)]
    found = _results(folder).get("classifiers")
    return [
        {"metric": metric, "value": numbers[metric], "n": numbers.get("n_test"), "of": name}
        for name, numbers in (found if isinstance(found, dict) else {}).items()
        for metric in ("accuracy", "ece")
        if isinstance(numbers.get(metric), int | float)
    ]


def _warnings(folder: Path, kind: Kind) -> Iterator[Warned]:
    if kind == "classifier":
        yield from (Warned(None, "results", str(text)) for text in _results(folder).get("warnings", ()))
    path = folder / "vitals.jsonl"
    lines = read_bytes(path, LOG_BYTES).split(b"\n") if path.is_file() else []
    for line in lines:
        if b'"warnings"' not in line:  # most lines: they need not be parsed
            continue
        try:
            row = parse_json(line, "the row")
        except SparringError:
            return  # half-written
        yield from (Warned(row.get("step"), kind, str(text)) for kind, text in row["warnings"].items())


def _results(folder: Path) -> dict[str, Any]:
    path = folder / "results.json"
    found = read_json(path) if path.is_file() else {}
    return found if isinstance(found, dict) else {}


def _sizes(folder: Path) -> Iterator[tuple[str, int, float]]:
    """Of each file: the folder's part that it belongs to, its bytes on the disk, and when it was last written."""
    for at, _, names in os.walk(folder):
        for name in names:
            path = Path(at, name)
            try:
                found = path.lstat()
            except OSError:
                continue  # a file that the run has just replaced
            yield path.relative_to(folder).parts[0], found.st_size, found.st_mtime


def _written(path: Path) -> float:
    return path.stat().st_mtime if path.is_file() else 0.0


def ago(seen: float) -> float:
    """Seconds since a time."""
    return max(0.0, time.time() - seen)


def newest(warnings: Iterable[Warned]) -> list[Warned]:
    """The latest warning of each kind."""
    return list({each.text if each.step is None else each.kind: each for each in warnings}.values())
