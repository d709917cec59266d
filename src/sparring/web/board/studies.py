"""One study on the board: how far it is, its verdicts, tables and pictures. Nothing here imports torch."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from sparring.errors import SparringError
from sparring.limits import RECIPE_BYTES
from sparring.parsing import parse_yaml
from sparring.run.alive import STATUS_FILE, read_sign
from sparring.study.plan import slug
from sparring.study.resolve import Study as Resolved
from sparring.study.results import read, rows_of
from sparring.study.said import NUMBERS, TESTED, about, made
from sparring.study.status import status
from sparring.study.table import PLAN_YAML, Metric, Table, open_study
from sparring.web.board.curves import Curve
from sparring.web.board.folders import PLAN, RESULTS, Entry
from sparring.web.board.opening import PICTURE_BYTES
from sparring.web.board.records import as_number, text

AGAIN = 2.0  # seconds after which what a study knows of its runs is looked at again
READ = (PLAN, RESULTS, STATUS_FILE, PLAN_YAML)
PICTURES = 400  # in the study's `files`
SHOWN_SEEDS = 200  # of a row, in drawings
DAMAGED = (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, OSError)
SHEET = "-samples.png"  # how a run's last picture of samples is called there


class Study:
    """A study's folder."""

    def __init__(self, entry: Entry):
        self.entry, self.place = entry, entry.place
        self._summary: tuple[Any, dict[str, Any]] | None = None
        self._detail: tuple[Any, dict[str, Any]] | None = None
        self._states: tuple[float, dict[tuple[str, str], dict[str, Any]]] | None = None

    def summary(self) -> dict[str, Any]:
        """How far the study is: counts of its runs, the rows, and what runs now."""
        signature = self._signature()
        running = self._summary is not None and self._summary[1].get("is_running")
        if self._summary is None or self._summary[0] != signature or running:
            self._summary = (signature, self._look())
        return self._summary[1]

    def _signature(self) -> list[Any]:
        return [self.place.signature(name) for name in (*READ, "files")]

    def _look(self) -> dict[str, Any]:
        found = {"id": self.entry.id, "folder": self.entry.shown, "name": self.entry.shown, "message": None}
        try:
            self._check_links()
            if self.place.has(PLAN):
                said = status(self.place.path)
                said |= {"name": said.pop("study"), "folder": self.entry.shown}
                said["seconds_left"] = as_number(said["seconds_left"])
                said["errors"] = {text(k): text(v) for k, v in list(said["errors"].items())[:100]}
                return found | said | {"state": "training" if said["is_running"] else _state(said)}
            table = self._table()
            runs, failed = len(table.results()), sum(len(row.failed) for row in table.rows.values())
            counts = {"runs": runs, "done": runs, "failed": failed, "running": 0, "left": 0, "is_running": False}
            return found | counts | {"name": table.plan.name, "state": "finished", "scale": ""}
        except SparringError as error:
            return found | {"state": "damaged", "message": str(error)}
        except DAMAGED as error:
            return found | {"state": "damaged", "message": f"its files are damaged ({type(error).__name__})"}

    def _check_links(self) -> None:
        """Raise SparringError if one of the study's files is a link, or its plan names others, which may lie anywhere."""
        for name in READ:
            if os.path.islink(self.place.path / name):
                raise SparringError(f"its {name} is a link, and the board follows none: copy the file there instead")
        if self.place.has(PLAN_YAML) and not self.place.has(PLAN):
            values = parse_yaml(self.place.read(PLAN_YAML, most=RECIPE_BYTES).decode(errors="replace"), PLAN_YAML)
            if isinstance(values, dict) and "extends" in values:
                raise SparringError(f"its {PLAN_YAML} extends another file, and the board opens only what was given")

    def _table(self) -> Table:
        return open_study(self.place.path)

    def detail(self) -> dict[str, Any]:
        """The study's page, without its runs."""
        signature, summary = self._signature(), self.summary()
        if summary["state"] == "damaged":
            return summary
        if self._detail is None or self._detail[0] != signature:
            try:
                self._detail = (signature, self._content(self._table()))
            except SparringError as error:
                return summary | {"tables": [], "problem": str(error)}
            except DAMAGED as error:
                return summary | {"tables": [], "problem": f"its files are damaged ({type(error).__name__})"}
        return summary | self._detail[1]

    def _content(self, table: Table) -> dict[str, Any]:
        return {
            "about": list(map(text, about(table))),
            "title": text(table.plan.about or table.plan.name),
            "verdicts": [{"verdict": f.verdict, "says": text(f.says), "why": text(f.why)} for f in table.findings],
            "tested": TESTED,
            "tables": [section._asdict() for section in table.sections()],
            "remark": NUMBERS,
            "metrics": {name: _dots(metric) for name, metric in table.metrics.items()},
            "curves": {name: _curves(table, name) for name in table.metrics},
            "notes": [text(note) for note in table.notes],
            "made": [text(line) for line in made(table)],
            "sheets": self._sheets(table),
            "pictures": [each for each in self._pictures() if not each["name"].endswith(SHEET)],
        }

    def states(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What the study knows of its runs, by the folder of the row and the seed: their row, and how they are doing.

        Runs need not say so themselves: one that is not measurable has failed only in the study's eyes.
        """
        now = time.monotonic()
        if self._states is None or now - self._states[0] > AGAIN:
            try:
                self._states = (now, self._read_states())
            except (SparringError, *DAMAGED):
                self._states = (now, {})
        return self._states[1]

    def _read_states(self) -> dict[tuple[str, str], dict[str, Any]]:
        if self.summary()["state"] == "damaged":
            return {}
        found: dict[tuple[str, str], dict[str, Any]] = {}
        if self.place.has(PLAN):
            study = Resolved.load(self.place.path)
            for row in study.rows.values():
                found |= {(row.slug, str(seed)): {"row": row.label} for seed in study.seeds}
        for label, runs in rows_of(read(self.place.path)).items():
            for each in runs.results:
                why = runs.failed.get(each.seed)
                found[slug(label), str(each.seed)] = {
                    "row": label,
                    "state": "failed" if why else "finished",
                    "message": text(why) or None,
                }
        said = read_sign(self.place.path) if self.summary()["is_running"] else {}
        for each in said.get("running", ()):
            found[slug(each["row"]), str(each["seed"])] = {"row": each["row"], "state": "training", "message": None}
        return found

    def picture(self, name: str) -> bytes:
        """A picture in the study's `files`. Raises SparringError if there is none of that name."""
        if name not in {each["name"] for each in self._pictures()}:
            raise SparringError("there is no such picture")
        return self.place.read("files", name, most=PICTURE_BYTES)

    def _pictures(self) -> list[dict[str, str]]:
        found = list[dict[str, str]]()
        for name, is_folder in self.place.listing("files").items():
            plain = name.endswith(".png") and not is_folder and not name.startswith(".")
            if plain and len(found) < PICTURES and (changed := self.place.signature("files", name)):
                title = name.removesuffix(".png").replace("-", " ")
                found.append({"name": name, "version": f"{changed[1]:x}", "title": title})
        return found

    def _sheets(self, table: Table) -> list[dict[str, Any]]:
        """Each row's pictures of samples, by seed."""
        known = {each["name"]: each["version"] for each in self._pictures()}
        found = []
        for label, row in table.rows.items():
            for each in row.results:
                name = os.path.basename(each.files.get("samples", "")) if isinstance(each.files, Mapping) else ""
                if name in known:
                    found.append({"row": label, "seed": each.seed, "name": name, "version": known[name]})
        return found


def _state(said: Mapping[str, Any]) -> str:
    return "finished" if not said["left"] and not said["running"] else "interrupted"


def _dots(metric: Metric) -> dict[str, Any]:
    """Every run of every row by a metric: its value by seed, and which runs failed."""
    rows = [
        {
            "row": cell.row,
            "seeds": [[seed, as_number(value)] for seed, value in list(cell.seeds.items())[:SHOWN_SEEDS]],
            "failed": [[seed, text(why)] for seed, why in list(cell.failed.items())[:SHOWN_SEEDS]],
            "mean": None if cell.spread is None else as_number(cell.spread.mean),
            "paper": as_number(cell.paper),
        }
        for cell in metric.rows
    ]
    return {"better": metric.better, "rows": rows}


def _curves(table: Table, name: str) -> list[dict[str, Any]]:
    """The measurements over training of every run by a metric."""
    found = []
    for label, row in table.rows.items():
        for seed, (steps, values) in list(row.curve(name).items())[:SHOWN_SEEDS]:
            curve = Curve()
            for step, value in zip(steps, values, strict=True):
                if as_number(step) is not None and isinstance(value, int | float):
                    curve.add(int(step), float(value))
            if curve.count > 1:
                found.append({"row": label, "seed": seed, **curve.plain()})
    return found
