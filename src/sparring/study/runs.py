"""The runs of a study, one for each row and seed, and where they lie in its folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparring.files import write_json
from sparring.parsing import read_json
from sparring.study.resolve import ReadyRow, Study

Key = tuple[str, int]  # a row's label and a seed


@dataclass(frozen=True)
class Task:
    """One run. An executor needs `file`, which a worker is given, `log`, for what it says, and `threads`."""

    row: ReadyRow
    seed: int
    folder: StudyFolder

    @property
    def key(self) -> Key:
        return self.row.label, self.seed

    @property
    def name(self) -> str:
        return f"{self.row.slug}-{self.seed}"

    @property
    def threads(self) -> int:
        return int(self.row.recipe.get("threads") or 1)

    @property
    def run(self) -> Path:
        return self.folder.run(self.row, self.seed)

    @property
    def file(self) -> Path:
        return self.folder.path / "work" / f"{self.name}.task.json"

    @property
    def ended(self) -> Path:
        """What a worker writes when the run has ended: its result, or {"error": ...}."""
        return self.folder.path / "work" / f"{self.name}.ended.json"

    @property
    def log(self) -> Path:
        return self.folder.path / "logs" / f"{self.name}.log"

    def is_trained(self) -> bool:
        """Whether the run's folder holds its last checkpoint, from which another row may start."""
        return (self.run / "checkpoints" / f"step-{self.row.steps:06d}.pt").is_file()

    def write(self, study: Study, device: str | None) -> None:
        """The file that a worker is given: all that it needs."""
        parent = None if self.row.start is None else self.folder.run(study.rows[self.row.start], self.seed)
        write_json(
            self.file,
            {
                "row": self.row.label,
                "seed": self.seed,
                "kind": self.row.kind,
                "recipe": self.row.recipe,
                "hash": self.row.hash,
                "steps": self.row.steps,
                "threads": self.threads,
                "device": device,
                "diagnose": study.plan.diagnose,
                "cwd": os.getcwd(),
                "beside": self.row.beside,
                "run": str(self.run.absolute()),
                "start_from": None if parent is None else str(parent.absolute()),
                "samples": str((self.folder.path / "files" / f"{self.name}-samples.png").absolute()),
                "ended": str(self.ended.absolute()),
            },
        )

    def read_ended(self) -> dict[str, Any] | None:
        """What the worker has left; None if the run has not ended."""
        found = read_json(self.ended) if self.ended.is_file() else None
        return found if isinstance(found, dict) and found.get("recipe", self.row.hash) == self.row.hash else None

    def forget(self) -> None:
        """Remove what served the worker."""
        for path in (self.ended, self.file, self.file.with_name(f".{self.file.name}.lock")):
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class StudyFolder:
    """Where everything of a study lies."""

    path: Path

    def run(self, row: ReadyRow, seed: int) -> Path:
        return self.path / "runs" / row.slug / str(seed)

    @property
    def results(self) -> Path:
        return self.path / "results.jsonl"

    @property
    def status(self) -> Path:
        return self.path / "status.json"


def tasks_of(study: Study, folder: StudyFolder) -> list[Task]:
    """All runs, seed by seed, so that a study that is cut off has whole seeds; a row comes after the one it starts from."""
    return [Task(row, seed, folder) for seed in study.seeds for row in study.rows.values()]
