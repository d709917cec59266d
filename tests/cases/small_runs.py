"""A classifier's small recipe, and what a run leaves."""

from __future__ import annotations

from pathlib import Path

CLASSIFIER = {
    "name": "tiny",
    "network": {"kind": "small_cnn", "width": 4},
    "criterion": "baseline",
    "data": "images.npz",
    "steps": 4,
    "batch_size": 4,
    "validation": 0.2,
    "checkpoint_every": 1,
    "log_every": 1,
    "threads": 1,
}


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
