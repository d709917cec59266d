"""What a study would cost: operations of steps on networks without memory, and hours at a stated speed."""

from __future__ import annotations

from typing import Any

import pytest

from sparring.errors import SparringError
from sparring.study.check import SPEED, cost_of
from tiny import tiny_recipe

DATA = {"source": "nowhere", "size": 8, "channels": 1, "num_classes": 3}


def plan(**rows: dict[str, Any]) -> dict[str, Any]:
    return {"name": "planned", "seeds": 3, "rows": rows}


def test_hours_are_of_all_steps_and_seeds_and_nothing_is_loaded() -> None:
    recipe = tiny_recipe(data=DATA, steps=1000)
    toy = {"toy": {"world": "nat-1d"}}
    found = cost_of(
        plan(one={"recipe": recipe}, two={"recipe": recipe, "set": {"batch_size": 16}}, toy=toy),
        rows=["one", "two", "toy"],
    )
    one, two = found["rows"]["one"], found["rows"]["two"]
    assert two["operations"] == 2 * one["operations"] > 0
    assert one["hours"] == one["operations"] * 1000 * 3 / SPEED / 3600
    assert found["rows"]["toy"]["hours"] is None and found["hours"] == one["hours"] + two["hours"]


def test_a_classifiers_operations_by_hand() -> None:
    """A linear layer: 64 values to 3 outputs for 16 images, a product and a sum each, forward once and backward twice."""
    recipe = {"data": DATA, "network": "studies_linear:Linear", "criterion": "baseline", "steps": 10, "batch_size": 16}
    found = cost_of(plan(linear={"recipe": recipe}))["rows"]["linear"]
    assert found["operations"] == 3 * 2 * 16 * 64 * 3 and found["parameters"] == 64 * 3 + 3


def test_rows_that_cannot_be_built_are_said_in_one_line() -> None:
    wrong = tiny_recipe(data={**DATA, "size": 9})
    with pytest.raises(SparringError, match=r"^rows 'one', 'two': "):
        cost_of(plan(one={"recipe": wrong}, two={"recipe": wrong}))
