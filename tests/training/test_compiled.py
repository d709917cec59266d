"""`compile: true` changes no number of a run, and is refused where torch.compile cannot work."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
import torch
from torch import Tensor

import sparring
from sparring.errors import SparringError
from sparring.objective.context import Player
from sparring.objective.term import Penalty
from sparring.recipe.gan import Recipe
from sparring.training import compiled
from sparring.training.state import TrainingState, build
from sparring.training.step import train_step
from tiny import same_bits, tiny_images, tiny_recipe


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's compiler without generated code."""
    monkeypatch.setattr(compiled, "BACKEND", "aot_eager")


def a_state(objective: dict[str, Any], **changes: Any) -> TrainingState:
    recipe = tiny_recipe(objective=objective, **changes)
    recipe["discriminator"] = recipe["discriminator"] | {
        "network": {"kind": "dcgan", "width": 4, "spectral_norm": "exact"}
    }
    torch.manual_seed(0)
    return build(Recipe.load(recipe), tiny_images())


# SDP judges another number of pairs at each step, and reads pixels beside the host, so that AS takes a gradient of its own
ALL = {"hinge": {}, "sdp": {"t": 1, "k": 2, "I_p": 1}, "as_gan": {"warmup": 1, "eps": 0.01}}


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    "objective",
    [
        ALL,
        pytest.param({"non_saturating": {}, "as_gan": {"warmup": 0, "craft": "realness"}}, marks=pytest.mark.slow),
        pytest.param({"hinge": {}, "as_gan": {"warmup": 0, "attack": "pgd", "pgd_steps": 2}}, marks=pytest.mark.slow),
    ],
)
def test_compiled_networks_train_to_the_same_bits(objective: dict[str, Any]) -> None:
    torch._dynamo.reset()
    plain, other = a_state(objective), a_state(objective, compile=True)
    for s in (plain, other):
        for _ in range(3):
            train_step(s)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 4  # both networks, for both players
    assert not torch._dynamo.utils.counters["graph_break"]
    same_bits(plain.state_dict(), other.state_dict())


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("objective", "names"),
    [
        ({"hinge": {}, "r1": {"every": 16}}, "r1"),
        ({"hinge": {}, "zero": {"kind": "r2"}}, "zero"),
        ({"wasserstein": {}, "gradient_penalty": {}}, "gradient_penalty"),
        ({"non_saturating": {}, "r1": {}, "r2": {}}, "r1 and r2"),
        ({"hinge": {}, "mine": {"kind": f"{__name__}:OwnPenalty"}}, "mine"),
    ],
)
def test_a_term_that_differentiates_twice_is_named(objective: dict[str, Any], names: str) -> None:
    with pytest.raises(SparringError, match=f"compile=true does not work with {names}: torch.compile cannot differ"):
        a_state(objective, compile=True)
    recipe = tiny_recipe(
        objective=objective, compile=True, data={"source": "x", "size": 8, "channels": 1, "num_classes": 3}
    )
    with pytest.raises(SparringError, match=f"compile=true does not work with {names}"):
        sparring.show(recipe)


class OwnPenalty(Penalty):
    """A user's penalty, which says what it needs as the library's do."""

    def needs(self, player: Player, update: int) -> set[str]:
        return {"real", "real.second_order"} if player == "discriminator" else set()

    def discriminator_loss(self, r: Any) -> Tensor:
        return r.real.input.sum()


@pytest.mark.usefixtures("eager")
def test_a_term_that_never_acts_does_not_stand_in_the_way() -> None:
    assert a_state({"hinge": {}, "r1": {"weight": 0}}, compile=True).compiled_judge is not None
    assert a_state({"hinge": {}}).compiled_judge is None


def test_without_a_compiler_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SparringError, match=r"compile=true needs a .* compiler, and there is none"):
        a_state({"hinge": {}}, compile=True)
