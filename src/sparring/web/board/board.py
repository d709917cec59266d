"""All runs and studies of the given folders, and what each of them shows. Nothing here imports torch.

One thread reads: the board's methods must not be called at once by several.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sparring.errors import SparringError
from sparring.web.board.folders import Entry, find, given
from sparring.web.board.runs import Run
from sparring.web.board.studies import Study

FRESH = 0.5  # seconds for which a list is given again
SCANNING = 20  # times as long as a search for runs took, until the next one
FIRST = 0.6  # seconds that a list may take; the runs that it does not come to are in the next one
HELD = 40  # runs whose curves are kept in memory
MOST_IN_LIST = 200  # characters of a message


class Board:
    """The runs and studies below some folders, by id. Raises SparringError for what is not a folder."""

    def __init__(self, folders: Iterable[str | Path]):
        self.roots = given(folders)
        self.runs: dict[str, Run] = {}
        self.studies: dict[str, Study] = {}
        self._whole = True
        self._next_scan = 0.0
        self._listed: tuple[float, dict[str, Any]] | None = None
        self._held: OrderedDict[str, Run] = OrderedDict()

    def overview(self) -> dict[str, Any]:
        """The list: `runs`, `studies`, whether it is `complete` (all have been looked at) and `whole` (all were found)."""
        now = time.monotonic()
        if self._listed is not None and now - self._listed[0] < FRESH and self._listed[1]["complete"]:
            return self._listed[1]
        self._scan()
        until = time.monotonic() + FIRST
        studies = [study.summary() for study in self.studies.values()]
        runs, complete = [], True
        for run in self.runs.values():
            late = time.monotonic() > until
            complete = complete and not (late and not run.is_known)
            runs.append(self._placeholder(run) if late and not run.is_known else self._in_list(run))
        found = {"runs": runs, "studies": studies, "complete": complete, "whole": self._whole}
        self._listed = (time.monotonic(), found)
        return found

    def run(self, key: str) -> Run:
        """A run by its id. Raises SparringError for one that is not here."""
        self._scan()
        return self._found(self.runs, key, "run")

    def study(self, key: str) -> Study:
        """A study by its id. Raises SparringError for one that is not here."""
        self._scan()
        return self._found(self.studies, key, "study")

    def run_page(self, key: str) -> dict[str, Any]:
        """What a run's page shows, except curves."""
        run = self._hold(self.run(key))
        return run.detail() | self._by_study(run)

    def curves(self, key: str) -> dict[str, Any]:
        """A run's curves. complete: whether its files have been read to their ends."""
        run = self._hold(self.run(key))
        if run.summary()["state"] == "damaged":
            return {"id": key, "curves": [], "complete": True}
        curves, complete = run.curves()
        return {"id": key, "curves": curves, "complete": complete}

    def study_page(self, key: str) -> dict[str, Any]:
        """What a study's page shows, with its runs."""
        study = self.study(key)
        own = [run for run in self.runs.values() if run.entry.study == key]
        return {**study.detail(), "members": [self._in_list(run) for run in own]}

    # --- what is there ---
    def _scan(self) -> None:
        began = time.monotonic()
        if began < self._next_scan:
            return
        entries, self._whole = find(self.roots)
        self.runs = {each.id: self.runs.get(each.id) or Run(each) for each in entries if each.kind == "run"}
        self.studies = {each.id: self.studies.get(each.id) or Study(each) for each in entries if each.kind == "study"}
        ended = time.monotonic()
        self._next_scan = ended + max(FRESH, SCANNING * (ended - began))

    @staticmethod
    def _found(among: dict[str, Any], key: str, what: str) -> Any:
        if key not in among:
            raise SparringError(f"there is no such {what} here: it may have been moved or removed")
        return among[key]

    def _hold(self, run: Run) -> Run:
        """Keep what was read of a run, and let go of the one that nobody has asked for the longest."""
        self._held[run.entry.id] = run
        self._held.move_to_end(run.entry.id)
        while len(self._held) > HELD:
            self._held.popitem(last=False)[1].forget()
        return run

    def _in_list(self, run: Run) -> dict[str, Any]:
        found = {**run.summary(), **self._by_study(run)}
        warned = [each["kind"] for each in found.pop("warned", ())]
        return found | {"warned": warned, "message": (found["message"] or "")[:MOST_IN_LIST] or None}

    def _by_study(self, run: Run) -> dict[str, Any]:
        """What a run's study says of it."""
        study = self.studies.get(run.entry.study or "")
        if study is None:
            return {}
        row, seed = run.place.path.parts[-2:]
        return dict(study.states().get((row, seed), {}))

    @staticmethod
    def _placeholder(run: Run) -> dict[str, Any]:
        entry: Entry = run.entry
        words = {"id": entry.id, "folder": entry.shown, "name": entry.shown, "study": entry.study}
        return {**words, "trains": "", "state": "unread", "message": None, "picture": None, "warned": []}
