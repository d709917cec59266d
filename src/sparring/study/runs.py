"""One run of a study, for a row and a seed, and where its parts lie in the study's folder."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sparring.files import write_json
from sparring.parsing import read_json
from sparring.study.resolve import ReadyRow

Key = tuple[str, int]  # a row's label and a seed


class Task:
    """One run. An executor needs `file`, which a worker is given, `log`, for what it says, `name` and `threads`.

    folder: the study's, absolute.
    """

    def __init__(self, row: ReadyRow, seed: int, folder: Path):
        self.row, self.seed, self.threads = row, seed, row.threads
        self.key: Key = row.label, seed
        self.name = f"{row.slug}-{seed}"
        self.run = folder / "runs" / row.slug / str(seed)
        self.file = folder / "work" / f"{self.name}.task.json"
        self.ended = folder / "work" / f"{self.name}.ended.json"  # what a worker leaves: a result, or {"error": ...}
        self.log = folder / "logs" / f"{self.name}.log"
        self.samples = folder / "files" / f"{self.name}-samples.png"

    def __str__(self) -> str:
        return f"{self.row.label}, seed {self.seed}"

    def is_trained(self) -> bool:
        """Whether the run's folder holds its last checkpoint, from which another row may start."""
        return (self.run / "checkpoints" / f"step-{self.row.steps:06d}.pt").is_file()

    def write(self, parent: Task | None, **options: Any) -> None:
        """The file that a worker is given: all that it needs. parent: the run that this one starts from."""
        facts = {
            "threads": self.threads,
            "cwd": os.getcwd(),
            "run": str(self.run),
            "start_from": None if parent is None else str(parent.run),
            "samples": str(self.samples),
            "ended": str(self.ended),
        }
        write_json(self.file, {"row": asdict(self.row), "seed": self.seed, **facts, **options})

    def read_ended(self) -> dict[str, Any] | None:
        """What the worker has left; None if the run has not ended."""
        found = read_json(self.ended) if self.ended.is_file() else None
        return found if isinstance(found, dict) and found.get("recipe", self.row.hash) == self.row.hash else None

    def forget(self) -> None:
        """Remove what served the worker."""
        for path in (self.ended, self.file, self.file.with_name(f".{self.file.name}.lock")):
            path.unlink(missing_ok=True)
