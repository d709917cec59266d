"""Which images of a run's data it was not trained on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparring.data.packed import PackedImages
from sparring.errors import SparringError
from sparring.run.data import RunData
from tiny import tiny_images


@pytest.mark.parametrize(
    ("trained_on", "splits", "expected"),
    [
        ("train", ("train", "val", "test"), "test"),
        ("train", ("train", "val"), "val"),
        ("train", ("train",), None),
        ("test", ("val", "test"), None),
        ("val", ("train", "val"), None),
    ],
)
def test_held_out_images_are_of_test_or_else_of_val(
    trained_on: str, splits: tuple[str, ...], expected: str | None
) -> None:
    sets = {name: replace(tiny_images(seed=number), split=name) for number, name in enumerate(splits)}

    def load_split(name: str) -> PackedImages:
        if name not in sets:
            raise SparringError(f"no split {name}")
        return sets[name]

    held = RunData(sets[trained_on], load_split=load_split).held_out()
    assert (None if held is None else held.split) == expected
