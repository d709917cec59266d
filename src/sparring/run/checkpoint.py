"""Checkpoints: plain data without code, written atomically and verified when read.

A run resumes from its newest good checkpoint, so a damaged one costs only the steps since the one before.

`checkpoints/step-000500.pt` is a dict of tensors and plain values that loads with `weights_only=True`, and contains a hash.
A run keeps the newest two (the recipe may ask for more) and the best by its first metric.
"""

from __future__ import annotations

import errno
import io
import pickle
import re
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from sparring.archives import check_tensor_archive, check_tensors
from sparring.errors import SparringError
from sparring.files import content_hash, write_atomically, write_json
from sparring.parsing import read_json

FORMAT = 1
KEPT = 2
FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)  # what more room on the disk cures


class DamagedCheckpointError(SparringError):
    """A checkpoint that is truncated or altered, holds code, does not fit the run, or is another kind of file."""


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write one checkpoint. Raises SparringError if that fails; older ones stay intact."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "hash": content_hash(state), "state": state}, buffer)
    try:
        write_atomically(path, buffer.getbuffer())
    except OSError as error:
        reason, cure = error.strerror or str(error), "Fix this"
        if path.is_dir():
            reason, cure = "a folder is in its place", "Move the folder away"
        elif error.errno in FULL:
            cure = "Free some space"
        raise SparringError(
            f"cannot write {path}: {reason}; the checkpoints before it are intact. {cure} and continue with --resume"
        ) from None


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read and verify the state in one checkpoint. Raises DamagedCheckpointError if it is not intact, or holds code."""
    if not path.is_file():
        raise SparringError(f"there is no checkpoint {path}")
    try:
        path.open("rb").close()
    except OSError as error:
        raise SparringError(f"cannot read {path}: {error.strerror}") from None  # it may be intact
    if not zipfile.is_zipfile(path):
        raise DamagedCheckpointError(f"{path} is damaged, or is not a checkpoint, and is not read")
    try:
        check_tensor_archive(path, str(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
        check_tensors(content, path.stat().st_size, str(path))
    except pickle.UnpicklingError as error:
        if "nsupported" in str(error):  # a class, a function or an operation
            raise DamagedCheckpointError(
                f"{path} is refused: it holds more than tensors and plain values, so loading it could run code"
            ) from None
        raise DamagedCheckpointError(f"{path} is damaged: it cannot be read") from None
    except SparringError as error:
        raise DamagedCheckpointError(error) from None
    except Exception as error:  # a flipped bit can raise anything
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise DamagedCheckpointError(f"{path} is damaged: {reason}") from None
    if not isinstance(content, dict) or not {"format", "hash", "state"} <= content.keys():
        raise DamagedCheckpointError(f"{path} is not a checkpoint of a run")
    if not isinstance(content["format"], int) or content["format"] != FORMAT:
        raise DamagedCheckpointError(
            f"{path} has format {content['format']!r:.60}, and this version reads format {FORMAT}"
        )
    if not isinstance(content["state"], dict) or content_hash(content["state"]) != content["hash"]:
        raise DamagedCheckpointError(f"{path} is damaged: its content does not have the hash that it was written with")
    return content["state"]


@contextmanager
def taking(path: Path) -> Iterator[None]:
    """Around what takes a checkpoint's state: where that lacks a part, or has one of another type or shape, raises
    DamagedCheckpointError."""
    try:
        yield
    except SparringError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0][:150] if str(error) else ""
        raise DamagedCheckpointError(f"{path} does not fit this run ({type(error).__name__}: {reason})") from None


class CheckpointFolder:
    """The checkpoints of one run. It keeps the newest `keep` and the best."""

    def __init__(self, folder: Path, keep: int = KEPT):
        self.folder, self.keep = folder, keep

    def path(self, step: int) -> Path:
        return self.folder / f"step-{step:06d}.pt"

    def steps(self) -> list[int]:
        """The steps with a checkpoint, in ascending order."""
        if not self.folder.is_dir():
            return []
        names = (re.fullmatch(r"step-(\d{6,})\.pt", path.name) for path in self.folder.iterdir() if path.is_file())
        by_step = {int(match[1]): match[0] for match in names if match}
        return sorted(step for step, name in by_step.items() if name == self.path(step).name)

    def save(self, step: int, state: dict[str, Any]) -> Path:
        """Write the checkpoint of a step, then prune."""
        save_checkpoint(self.path(step), state)
        self.prune()
        return self.path(step)

    def prune(self) -> None:
        """Remove all but the newest and the best."""
        keep = {*self.steps()[-self.keep :], self.best_step()}
        for old in self.steps():
            if old not in keep:
                self.path(old).unlink(missing_ok=True)

    def best_step(self) -> int | None:
        best = self.best()
        return None if best is None else best["step"]

    def best(self) -> dict[str, Any] | None:
        """The best measurement so far: its step, metric and value. None if best.json is missing or damaged."""
        try:
            best = read_json(self.folder / "best.json")
        except SparringError:
            return None
        return best if isinstance(best, dict) and _is_measurement(best) else None

    def note_best(self, step: int, metric: str, value: float, lower_is_better: bool) -> bool:
        """Record a measurement if it is the best so far, so that its checkpoint is kept. Returns whether it is."""
        best = self.best()
        if best is not None and best["metric"] == metric and best["step"] != step:
            better = value < best["value"] if lower_is_better else value > best["value"]
            if not better:
                return False
        write_json(self.folder / "best.json", {"step": step, "metric": metric, "value": value})
        return True

    def forget_after(self, step: int, measured: Iterable[Mapping[str, Any]] = ()) -> None:
        """Remove checkpoints beyond the step that a run resumes from (-1: all of them), then prune.

        measured: rows of metrics.jsonl, from which best.json is restored if it is damaged or is of a later step. `best_of`
        chooses among the rows of a step.
        """
        for stale in self.steps():
            if stale > step:
                self.path(stale).unlink()
        best = self.best()
        if best is None or best["step"] > step:
            (self.folder / "best.json").unlink(missing_ok=True)
            for at, rows in groupby(measured, key=lambda row: row["step"]):
                row = best_of(rows)
                if at <= step and row is not None and _is_measurement(row):
                    self.note_best(at, row["metric"], row["value"], row["better"] == "lower")
        self.prune()

    def last(self) -> int | None:
        """The step of the newest checkpoint, or None."""
        return max(self.steps(), default=None)

    def load(self, into: Callable[[dict[str, Any]], None], step: int | None, note: Callable[[str], None]) -> int | None:
        """Pass the state of the newest good checkpoint to `into`. Returns its step, or None if there are no checkpoints.

        step: use the checkpoint of this step instead. note: takes a line for each damaged one that is skipped. Raises
        SparringError, with the cure, if none is good or the chosen one is damaged.
        """
        if step is not None:
            try:
                self._give(into, step)
            except DamagedCheckpointError as error:
                raise SparringError(f"{error}; {self.others(step)}") from None
            return step
        faults: list[str] = []
        for newest in reversed(self.steps()):
            try:
                self._give(into, newest)
            except DamagedCheckpointError as error:
                faults.append(str(error))
                continue
            for fault in faults:
                note(f"{fault}: going on from {self.path(newest).name}, the good one before it")
            return newest
        if faults:
            raise SparringError(f"{faults[0]}; no other one is good: start again in another folder with --out")
        return None

    def _give(self, into: Callable[[dict[str, Any]], None], step: int) -> None:
        """Raises DamagedCheckpointError for a damaged file and for a state that `into` cannot take."""
        path = self.path(step)
        state = load_checkpoint(path)
        if not isinstance(state.get("step"), int) or state["step"] != step:
            raise DamagedCheckpointError(f"{path} is a checkpoint of step {state.get('step')!r:.60}")
        with taking(path):
            into(state)

    def others(self, bad: int) -> str:
        """The cure for a bad checkpoint: a good one to use instead."""
        for step in sorted(self.steps(), key=lambda step: (step < bad, step), reverse=True):
            if step == bad:
                continue
            try:
                load_checkpoint(self.path(step))
            except SparringError:
                continue
            which = "previous good one" if step < bad else "good one after it"
            return f"the {which} is {self.path(step).name}: add --resume-from {step} to continue from it"
        return "no other one is good: start again in another folder with --out"


def best_of(records: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The measurement that decides which checkpoint is best: the first of a metric that can be better or worse."""
    return next((record for record in records if record.get("better")), None)


def _is_measurement(values: Mapping[str, Any]) -> bool:
    """Whether it has a step, a metric and a finite value."""
    step, value = values.get("step"), values.get("value")
    if not isinstance(values.get("metric"), str) or type(step) is not int or step < 0:
        return False
    return type(value) in (int, float) and abs(value) <= sys.float_info.max  # type: ignore[arg-type]
