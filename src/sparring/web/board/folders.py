"""Finds the runs and studies below the folders that were given. Links are not followed; hidden folders are left out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sparring.errors import SparringError
from sparring.files import UNFINISHED
from sparring.web.board.opening import Place

RUN, PLAN, RESULTS = "recipe.json", "plan.json", "results.jsonl"
DEPTH = 6  # folders below a given one; a study's runs are three below the study
LOOKED_AT = 20_000  # folders
FOUND = 2_000  # runs and studies


@dataclass(frozen=True)
class Entry:
    """A run or a study. id: stands for its folder in addresses. study: the id of the study that it belongs to."""

    id: str
    kind: Literal["run", "study"]
    place: Place
    shown: str  # the folder, as people know it
    study: str | None = None


def given(folders: Iterable[str | Path]) -> list[Path]:
    """The given folders, resolved. Raises SparringError for what is not a folder, or cannot be read."""
    found = dict[Path, None]()
    for each in folders:
        path = Path(each)
        if not os.path.isdir(path):  # also False for a name that is too long
            raise SparringError(f"'{path}' is not a folder: give folders of runs or studies, such as runs")
        if not os.access(path, os.R_OK | os.X_OK):
            raise SparringError(f"cannot read {path}: give a folder that you may read")
        found[path.resolve()] = None
    return list(found)


def find(roots: Iterable[Path]) -> tuple[list[Entry], bool]:
    """The runs and studies below these folders, and whether that is all of them: the numbers of both are bounded."""
    found: dict[str, Entry] = {}
    looked = 0
    for root in roots:
        waiting: list[tuple[Place, str | None]] = [(Place(root), None)]
        while waiting:
            place, study = waiting.pop()
            looked += 1
            if looked > LOOKED_AT or len(found) >= FOUND:
                return list(found.values()), False
            names = place.listing()
            entry = _entry(place, names, study)
            if entry is not None:
                found.setdefault(entry.id, entry)
            if entry is None or entry.kind == "study":
                within = entry.id if entry else study
                waiting += [(place / name, within) for name in reversed(_to_look_at(place, names, entry))]
    return list(found.values()), True


def _entry(place: Place, names: dict[str, bool], study: str | None) -> Entry | None:
    if names.get(RUN) is False:
        return Entry(_id(place), "run", place, _shown(place), study)
    if names.get(PLAN) is False or names.get(RESULTS) is False:
        return Entry(_id(place), "study", place, _shown(place))
    return None


def _to_look_at(place: Place, names: dict[str, bool], entry: Entry | None) -> list[str]:
    """The folders below this one that may hold runs, in the order of their names. Of a study, its `runs`."""
    if len(place.names) >= DEPTH:
        return []
    inside = [name for name, is_folder in names.items() if is_folder and not name.startswith(".")]
    return [name for name in inside if not name.endswith(UNFINISHED) and (entry is None or name == "runs")]


def _id(place: Place) -> str:
    return hashlib.sha256(os.fsencode(place.path)).hexdigest()[:12]


def _shown(place: Place) -> str:
    """The path of a folder from the given one on, which is named, in text that JSON can hold."""
    return os.sep.join((place.root.name or str(place.root), *place.names)).encode(errors="replace").decode()
