"""Moments of runs on a line, for a figure."""

from __future__ import annotations

import pytest

from sparring.errors import SparringError
from sparring.toy.methods import toy_recipe
from sparring.toy.moments import picture
from sparring.toy.session import ToySession
from sparring.toy.worlds import world

TOY = {"world": "nat-1d", "options": {}, "changes": {"batch_size": 8}, "steps": 10, "seed": 3}


def test_moments_are_of_the_run_itself() -> None:
    rows = {"plain": [{**TOY, "method": "non_saturating"}], "NAT": [{**TOY, "method": "negatives"}]}
    figure, numbers = picture("moments", rows)
    here = world("nat-1d", seed=3)
    session = ToySession(here, toy_recipe(here, "negatives", {"batch_size": 8}, steps=10, seed=3))
    session.step(10)
    assert [*numbers["NAT"]] == [1, 2, 4, 10]
    assert numbers["NAT"][10] == session.look(pictures=False).numbers["wasserstein"] != numbers["plain"][10]
    assert figure.axes[0].get_title(loc="left").startswith("step 1, W1 ") and len(figure.axes) == 8
    assert figure.axes[4].get_ylabel() == "NAT: density"
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {
        "data",
        "negatives",
        "samples",
        "D(x), probability of real",
    }


@pytest.mark.parametrize("changes", [{"world": "ring-8", "method": "negatives"}, {"method": "hinge"}])
def test_what_has_no_probabilities_on_a_line_has_no_moments(changes: dict[str, str]) -> None:
    with pytest.raises(SparringError, match="'x' has no moments"):
        picture("moments", {"x": [{**TOY, **changes}]})
