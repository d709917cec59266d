"""Warnings, pages, tables and numbers that said something untrue."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

import sparring
from tiny import tiny_images, tiny_recipe


def _on_the_bfloat16_grid(value: float) -> bool:
    """Whether a float32's last 16 bits are zero, as those of any number in bfloat16 are."""
    return struct.unpack("<I", struct.pack("<f", value))[0] & 0xFFFF == 0


OBJECTIVES: dict[str, dict[str, Any]] = {
    "hinge": {"hinge": {}},
    "non_saturating": {"non_saturating": {}},
    "wasserstein": {"wasserstein": {}},
    "least_squares": {"least_squares": {}},
    "pairing": {"relativistic_pairing": {}},
    "sdp": {"hinge": {}, "sdp": {"t": 0}},
    "as_gan": {"non_saturating": {}, "as_gan": {"warmup": 0, "eps": 0.01}},
    "lecam": {"hinge": {}, "lecam": {"start": 1}},
    "nat_gan": {"nat_gan": {}},
    "am_gan": {"am_gan": {}},
    "k_plus_one": {"k_plus_one": {}},
    "auxiliary": {"hinge": {}, "auxiliary_classifier": {}},
    "multi_hinge": {"hinge": {}, "multi_hinge": {}},
    "features": {"hinge": {"generator_weight": 0}, "feature_matching": {}},
}


@pytest.mark.usefixtures("without_reports")
@pytest.mark.parametrize("name", OBJECTIVES)
def test_case_16_scores_and_losses_of_bfloat16_runs_are_float32(name: str, tmp_path: Path) -> None:
    recipe = tiny_recipe(objective=OBJECTIVES[name], precision="bfloat16", steps=4, log_every=1)
    log = sparring.train(recipe, out=tmp_path / "run", data=tiny_images()).log
    keys = [key for key in log[0] if "/" in key and not key.endswith(("gradient_norm", "/k"))]
    assert len(keys) >= 3
    for key in keys:
        values = [row[key] for row in log if row.get(key)]
        assert not values or not all(map(_on_the_bfloat16_grid, values)), f"{key}: {values}"
