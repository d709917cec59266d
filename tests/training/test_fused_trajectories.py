"""Twenty steps with the fast paths on and off end in the same networks: convolutions fused with resampling, and those by
minimal filtering, batch for batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from longhand import images, outputs, recipe

from sparring.networks import image_conv, kernels, resampling, second_order, winograd
from sparring.networks.kernels import PLAIN, Kernels, using
from sparring.networks.resampling import ConvPool, UpConv
from sparring.training.state import TrainingState, build
from sparring.training.step import train_step

STEPS = 20

FORCED = {
    "all": Kernels(winograd=(4, 1)),  # these networks are narrow
    "resampling": PLAIN.model_copy(update={"resampling": True}),
    "winograd": PLAIN.model_copy(update={"winograd": (4, 1)}),
    "image_conv": PLAIN.model_copy(update={"image_conv": True}),
    "batch_norm": PLAIN.model_copy(update={"batch_norm": True}),
}

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
    monkeypatch.setattr(kernels, "TABLE", dict.fromkeys(kernels.TABLE, FORCED["all"]))
    monkeypatch.setattr(kernels, "OTHER", FORCED["all"])
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


@pytest.mark.parametrize("choice", FORCED)
def test_each_choice_of_kernels_makes_the_same_updates(choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step with a gradient penalty on a discriminator with batch norm, which meets every kernel."""
    taken = set()
    for name, (module, function) in {
        "resampling": (resampling, "folded"),
        "winograd": (winograd, "_convolve"),
        "image_conv": (image_conv.F, "fold"),
        "batch_norm": (second_order, "_batch_norm"),
    }.items():
        plain = getattr(module, function)
        monkeypatch.setattr(module, function, lambda *a, _n=name, _f=plain, **k: taken.add(_n) or _f(*a, **k))
    results = []
    for row in (PLAIN, FORCED[choice]):
        taken.clear()
        outcomes = []
        for size, judge in (
            (8, {"kind": "sngan", "width": 4, "spectral_norm": "none"}),
            (16, {"kind": "dcgan", "width": 4, "normalisation": "batch"}),
        ):
            changes = {f"{player}__optimizer": {"kind": "sgd", "lr": 0.01} for player in ("generator", "discriminator")}
            changes |= {"generator__network": {"kind": "sngan", "width": 4}, "discriminator__network": judge}
            penalised = recipe({"wasserstein": {}, "gradient_penalty": {}}, **changes)
            with using(row):
                state = build(penalised, images(size=size), dtype=torch.float64)
                train_step(state)
            outcomes += [p.detach() for each in (state.generator, state.discriminator) for p in each.parameters()]
        results.append(outcomes)
        assert taken == (set() if row is PLAIN else set(FORCED) - {"all"} if choice == "all" else {choice})
    for before, after in zip(*results, strict=True):
        torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-11)
