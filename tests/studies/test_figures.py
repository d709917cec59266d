"""docs/figures.md: its pictures and numbers are those of the runs that docs/figures/numbers.json records."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "figures.md").read_text(encoding="utf-8")


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
