"""One run of a study, for a row and a seed, and where its parts lie in the study's folder."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sparring.files import write_json
from sparring.parsing import read_json
from sparring.study.resolve import ReadyRow

Key = tuple[str, int]  # a row's label and a seed


@dataclass(frozen=True)
class Task:
    """One run. An executor needs `file`, which a worker is given, `log`, for what it says, `name` and `threads`.

    folder: the study's, absolute.
    """

    row: ReadyRow
    seed: int
    folder: Path

    @property
    def key(self) -> Key:
        return self.row.label, self.seed

    @property
    def name(self) -> str:
        return f"{self.row.slug}-{self.seed}"

    @property
    def threads(self) -> int:
        return self.row.threads

    @property
    def run(self) -> Path:
        return self.folder / "runs" / self.row.slug / str(self.seed)

    @property
    def file(self) -> Path:
        return self.folder / "work" / f"{self.name}.task.json"

    @property
    def ended(self) -> Path:
        """What a worker writes when the run has ended: its result, or {"error": ...}."""
        return self.folder / "work" / f"{self.name}.ended.json"

    @property
    def log(self) -> Path:
        return self.folder / "logs" / f"{self.name}.log"

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
            "samples": str(self.folder / "files" / f"{self.name}-samples.png"),
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
