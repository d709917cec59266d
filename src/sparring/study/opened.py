"""A study's folder as tables, pages and figures need it: its results, and its plan. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparring.errors import SparringError
from sparring.limits import DESCRIPTION_BYTES, DESCRIPTION_NODES
from sparring.parsing import read_json
from sparring.study.plan import Plan, shipped_plans
from sparring.study.resolve import FILE as PLAN
from sparring.study.resolve import Study
from sparring.study.results import FILE as RESULTS
from sparring.study.results import read
from sparring.study.table import Table, tabulate

PLAN_YAML = "plan.yaml"


@dataclass(frozen=True)
class Opened:
    """A study's folder as a page needs it. facts: of plan.json; empty where only a plan.yaml is kept."""

    folder: Path
    plan: Plan | None
    table: Table
    planned: int  # runs
    facts: dict[str, Any] = field(default_factory=dict)

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
    if (folder / PLAN).is_file():
        study, facts = Study.load(folder), read_json(folder / PLAN, most=DESCRIPTION_BYTES, nodes=DESCRIPTION_NODES)
        shown = tabulate(results, study.plan)
        planned = len(study.rows) * len(study.seeds)
        return Opened(folder, study.plan, shown, planned, facts)
    if not results:
        raise SparringError(f"'{folder}' is not a study: it has no {PLAN} and no results")
    beside, study_name = folder / PLAN_YAML, results[0].study
    source = beside if beside.is_file() else study_name if study_name in shipped_plans() else None
    plan = None if source is None else Plan.load(source)
    return Opened(folder, plan, tabulate(results, plan), len(results))


def is_study(folder: Path) -> bool:
    """Whether a folder is a study's, and not a run's."""
    return any((folder / name).is_file() for name in (PLAN, RESULTS))
