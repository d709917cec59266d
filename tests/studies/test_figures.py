"""docs/figures.md: its numbers are those of the runs in docs/figures/numbers.json, and a plan draws each of its pictures."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sparring.study.plan import Plan, shipped_plans

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "figures.md").read_text(encoding="utf-8")
IN_NO_PLAN = {"nat-5a", "nat-6a", "mhgan-6"}  # until studies replace the others of their sections


def numbers_in(values: Any) -> Iterator[float]:
    if isinstance(values, dict | list):
        for value in values.values() if isinstance(values, dict) else values:
            yield from numbers_in(value)
    elif isinstance(values, int | float):
        yield values


def test_every_number_of_the_runs_is_on_the_page() -> None:
    for name, found in json.loads((DOCS / "figures" / "numbers.json").read_text()).items():
        heading = re.sub(r"^(.*)-(\d+)$", r"\1, figure \2", name)
        (part,) = [each for each in re.split(r"^## ", PAGE, flags=re.M) if re.match(rf"{heading}\b", each.lower())]
        for value in numbers_in(found["numbers"]):
            assert (f"{value:.4g}" if isinstance(value, float) else str(value)) in part, f"{name}: {value}"
        for run, steps in found["steps"].items():
            assert f"{run} {steps}" in part


def test_the_pictures_of_the_page_are_there_and_no_others() -> None:
    shown = set(re.findall(r'src="figures/([\w-]+\.png)"', PAGE))
    assert shown == {path.name for path in (DOCS / "figures").glob("*.png")}


def test_each_section_names_the_plans_that_draw_its_pictures() -> None:
    by_plan = {name: {figure.name for figure in Plan.load(name).figures} for name in shipped_plans()}
    for part in re.split(r"^## ", PAGE, flags=re.M)[1:]:
        pictures = set(re.findall(r'src="figures/([\w-]+)\.png"', part))
        if not pictures:
            continue
        said = {line.partition(":")[0]: line for line in re.findall(r"^- (.*)$", part, flags=re.M)}
        assert {"Plan", "Paper", "Departures"} <= set(said), part[:40]
        named = {name for name in by_plan if f"`{name}`" in said["Plan"]}
        drawn = set().union(*(by_plan[name] for name in named))
        assert named and pictures <= drawn | IN_NO_PLAN, part[:40]
        assert set(re.findall(r"`([\w-]+)\.png`", said["Plan"])) <= drawn | IN_NO_PLAN, part[:40]
