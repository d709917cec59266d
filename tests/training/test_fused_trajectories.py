"""Twenty steps with the fast paths on and off end in the same networks: convolutions fused with resampling, and those by
minimal filtering, batch for batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from longhand import images, outputs, recipe

from sparring.networks import winograd
from sparring.networks.resampling import ConvPool, UpConv
from sparring.training.state import TrainingState, build
from sparring.training.step import train_step

STEPS = 20

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "sngan": ({"hinge": {}}, {"d_steps": 2}, 8),
    "sngan, second derivatives": (
        {"wasserstein": {}, "gradient_penalty": {}},
        {"discriminator__network__spectral_norm": "none"},
        8,
    ),
    "sagan, conditional": (
        {"hinge": {}},
        {
            "generator__network__conditioning": "conditional_batch_norm",
            "generator__network__batch_norm_momentum": 0.1,
            "discriminator__conditioning": "projection",
        },
        8,
    ),
    # on batch statistics: the gradient of the bias before its last norm is rounding, which Adam turns into motion
    "autogan": ({"hinge": {}}, {"generator__network__sampling_statistics": "batch"}, 32),
}


def run(name: str, fused: bool) -> TrainingState:
    objective, changes, size = CASES[name]
    kind = name.split(",")[0]
    network = {"kind": kind, "width": 4, "fused": fused}
    changes = {"generator__network": network, "discriminator__network": network, "batch_size": 4} | changes
    return build(recipe(objective, **changes), images(size=size), dtype=torch.float64)


@pytest.mark.parametrize("name", CASES)
def test_the_fused_form_trains_as_the_plain_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "FEWEST_CHANNELS", 1)  # these networks are narrow
    monkeypatch.setattr(winograd, "SHORTEST_SIDE", 4)
    fused, plain = run(name, True), run(name, False)
    layers = [m for s in (fused, plain) for m in (*s.generator.modules(), *s.discriminator.modules())]
    assert {m.fused for m in layers if isinstance(m, UpConv | ConvPool | winograd.Conv3x3)} == {True, False}
    start = outputs(fused)
    torch.testing.assert_close(start, outputs(plain), rtol=0, atol=1e-12)
    for _ in range(STEPS):
        train_step(fused)
        train_step(plain)
    assert (outputs(fused) - start).abs().max() > 1e-2  # it moved
    torch.testing.assert_close(outputs(fused), outputs(plain), rtol=0, atol=1e-8)
