"""A study's folder as tables, pages and figures need it: its results, and its plan. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparring.errors import SparringError
from sparring.limits import DESCRIPTION_BYTES, DESCRIPTION_NODES
from sparring.parsing import read_json
from sparring.study.plan import Plan, shipped_plans
from sparring.study.resolve import PLAN_FILE, Study
from sparring.study.results import RESULTS_FILE, read
from sparring.study.table import Table, tabulate

PLAN_YAML = "plan.yaml"


@dataclass(frozen=True)
class Opened:
    """A study's folder as a page needs it. planned: runs; facts: of plan.json, empty where only results are kept."""

    folder: Path
    plan: Plan | None
    table: Table
    planned: int
    facts: dict[str, Any]

    @property
    def done(self) -> int:
        return sum(len(row.results) for row in self.table.rows.values())

    @property
    def failed(self) -> int:
        return sum(len(row.failed) for row in self.table.rows.values())


def open_study(folder: Path | str) -> Opened:
    """A study's results with its plan: plan.json where it was run; beside results that are kept a plan.yaml, or
    the plan that ships under the study's name.

    Raises SparringError for a folder with neither results nor a plan, and for runs that cannot be averaged.
    """
    folder = Path(folder)
    results = read(folder)
    if (folder / PLAN_FILE).is_file():
        study, facts = (
            Study.load(folder),
            read_json(folder / PLAN_FILE, most=DESCRIPTION_BYTES, nodes=DESCRIPTION_NODES),
        )
        return Opened(folder, study.plan, tabulate(results, study.plan), len(study.rows) * len(study.seeds), facts)
    if not results:
        raise SparringError(f"'{folder}' is not a study: it has no {PLAN_FILE} and no results")
    beside, shipped = folder / PLAN_YAML, shipped_plans().get(results[0].study)
    plan = Plan.load(beside if beside.is_file() else results[0].study) if beside.is_file() or shipped else None
    return Opened(folder, plan, tabulate(results, plan), len(results), {})


def is_study(folder: Path) -> bool:
    """Whether a folder is a study's, and not a run's."""
    return any((folder / name).is_file() for name in (PLAN_FILE, RESULTS_FILE))
