"""Frozen parts keep every bit, take no gradient and no optimiser state; the others train as before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from longhand import images, outputs, recipe
from torch import Tensor

import sparring
from sparring.errors import SparringError
from sparring.run.checkpoint import load_checkpoint
from sparring.training.state import TrainingState, build
from sparring.training.step import train_step, update_discriminator
from tiny import tiny_images, tiny_recipe

SGD = {"kind": "sgd", "lr": 0.1}


def a_run(freeze: dict[str, Any] | None, objective: Any = None, **changes: Any) -> TrainingState:
    """Two stages in either network, on images of 16 pixels."""
    return build(
        recipe(objective or {"hinge": {}}, freeze=freeze, **changes), images(size=16, count=24), dtype=torch.float64
    )


def values(state: TrainingState, player: str) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in getattr(state, player).state_dict().items()}


def unchanged(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name, value in before.items() if torch.equal(value, after[name])}


D_NORMS = [{"discriminator__network__normalisation": "batch"}, {"discriminator__network__spectral_norm": "exact"}]


@pytest.mark.parametrize("norm", D_NORMS, ids=["batch norm", "spectral norm"])
@pytest.mark.parametrize(("freeze", "stages"), [(1, [0]), (2, [0, 1]), (["backbone.*.0"], [0])])
def test_frozen_blocks_of_the_discriminator_keep_their_bits(freeze: Any, stages: list[int], norm: Any) -> None:
    state = a_run({"discriminator": freeze}, {"hinge": {}, "as_gan": {"warmup": 0, "eps": 0.1}}, **norm)
    before = values(state, "discriminator")
    for _ in range(3):
        train_step(state)
    after = values(state, "discriminator")
    parts = tuple(f"backbone.{kind}.{stage}." for kind in ("convs", "norms") for stage in stages)
    frozen = {name for name in before if name.startswith(parts)}
    one_row = {"heads.score.parametrizations.weight.0.u"}  # a unit vector of one number
    assert frozen and unchanged(before, after) - one_row == frozen
    state_of = state.state_dict()["optimizers"]["discriminator"]
    names = {name for name, _ in state.discriminator.named_parameters()}
    assert set(state_of) == names - frozen
    assert all(p.grad is None for p in state.discriminator.parameters())


def test_frozen_parts_of_the_generator_and_of_its_average() -> None:
    freeze = {"generator": ["convs.1", "norms.1"]}
    state = a_run(freeze, generator__ema=0.5, generator__network__conditioning="conditional_batch_norm")
    before = values(state, "generator")
    for _ in range(3):
        train_step(state)
    for after in (values(state, "generator"), state.average.module.state_dict()):  # type: ignore[union-attr]
        kept = {name for name in before if name.startswith(("convs.1.", "norms.1."))}
        assert any("running" in name for name in kept) and unchanged(before, after) == kept
    norm = state.generator.norms[1]
    h, labels = torch.randn(4, 4, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 2, 3])
    assert not norm.training and state.generator.norms[0].training
    alone, together = norm(h[:1], labels[:1]), norm(h, labels)  # the running statistics, not the batch's
    torch.testing.assert_close(alone[0], together[0])


def test_other_weights_take_the_update_that_they_would_have_taken() -> None:
    changes = {"discriminator__optimizer": SGD}
    whole, part = (a_run(freeze, **changes) for freeze in (None, {"discriminator": ["backbone.convs.1"]}))
    start = values(whole, "discriminator")
    for state in (whole, part):
        update_discriminator(state)
    trained, partly = values(whole, "discriminator"), values(part, "discriminator")
    for name, value in partly.items():
        expected = start if name.startswith("backbone.convs.1") else trained
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-15)


def test_clipping_and_weight_decay_leave_frozen_weights() -> None:
    optimizer = {"kind": "adamw", "lr": 0.1, "weight_decay": 0.5}
    state = a_run(
        {"discriminator": 1}, {"wasserstein": {}}, discriminator__clip_weights=1e-3, discriminator__optimizer=optimizer
    )
    before = values(state, "discriminator")
    train_step(state)
    assert unchanged(before, values(state, "discriminator")) == {"backbone.convs.0.weight"}


def test_a_run_that_goes_on_ends_in_the_same_bits() -> None:
    freeze = {"discriminator": 1, "generator": "convs.0"}
    whole, first, rest = (a_run(freeze, generator__ema=0.9) for _ in range(3))
    for _ in range(5):
        train_step(whole)
    for _ in range(2):
        train_step(first)
    rest.load_state_dict(first.state_dict())
    for _ in range(3):
        train_step(rest)
    assert torch.equal(outputs(whole), outputs(rest))


def test_fine_tuning_another_run(tmp_path: Path) -> None:
    options: dict[str, Any] = {"data": tiny_images(), "device": "cpu", "report": False, "progress": False}
    sparring.train(tiny_recipe(steps=2), out=tmp_path / "first", **options)
    notes: list[str] = []
    changes = {"start_from": str(tmp_path / "first"), "freeze": {"discriminator": 1, "generator": ["convs.0"]}}
    sparring.train(tiny_recipe(steps=3, **changes), out=tmp_path / "tuned", note=notes.append, **options)
    first, tuned = (
        load_checkpoint(tmp_path / name / "checkpoints" / f"step-{step:06d}.pt")
        for name, step in (("first", 2), ("tuned", 3))
    )
    for player, part in (("discriminator", "backbone.convs.0."), ("generator", "convs.0.")):
        kept = unchanged(first[player], tuned[player])
        assert {name for name in first[player] if name.startswith(part)} <= kept < set(first[player])
        assert not any(name.startswith(part) for name in tuned["optimizers"][player])
    assert not any("optimiser starts afresh" in line for line in notes)


@pytest.mark.parametrize(
    ("freeze", "message"),
    [
        ({"discriminator": 3}, "freeze.discriminator is 3, and this backbone has 2 blocks: give a smaller number"),
        ({"discriminator": ["backbone.conv.0"]}, "is no part of this network: did you mean 'backbone.convs.0'?"),
        ({"generator": "zzzz"}, "freeze.generator: 'zzzz' is no part of this network: choose among convs, convs.0"),
        ({"generator": "*"}, "freeze.generator leaves nothing to train"),
    ],
)
def test_mistakes(freeze: dict[str, Any], message: str) -> None:
    with pytest.raises(SparringError) as error:
        a_run(freeze)
    assert message in str(error.value)
    with pytest.raises(SparringError, match="sampling_statistics=running"):
        a_run({"generator": "norms.0"}, generator__network__sampling_statistics="batch")
