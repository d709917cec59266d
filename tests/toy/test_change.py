"""Settings that change while a session trains, and moments to return to."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sparring.errors import SparringError
from sparring.toy.methods import METHODS, toy_recipe
from sparring.toy.session import ToySession
from sparring.toy.worlds import world
from tiny import same_bits


def a_session(name: str = "ring-8", method: str | None = "non_saturating", **changes: Any) -> ToySession:
    here = world(name, seed=0)
    return ToySession(here, toy_recipe(here, method, {"batch_size": 16, **changes}, steps=400, seed=0))


def test_rates_batches_and_steps_change_as_in_a_run_of_their_own() -> None:
    """The state at a step, trained on by a recipe of the new settings, gives what `change` gives."""
    changes = {
        "discriminator.optimizer.lr": 1e-4,
        "generator.optimizer.betas": [0.0, 0.9],
        "d_steps": 2,
        "batch_size": 32,
    }
    session = a_session()
    session.step(5)
    other = a_session(method="non_saturating", **changes)
    other.state.load_state_dict(session.snapshot().state)
    assert session.change(changes) == []
    session.step(5), other.step(5)
    same_bits(session.state.state_dict(), other.state.state_dict())
    assert session.state.step == 10 and session.state.updates == 15


def test_a_changed_setting_acts() -> None:
    changed, plain = a_session(), a_session()
    for session in (changed, plain):
        session.step(5)
    changed.change({"generator.optimizer.lr": 1e-4})
    before = changed.state.generator.to_point.weight.detach().clone()
    changed.step(1), plain.step(1)
    moved = [(s.state.generator.to_point.weight.detach() - before).abs().max() for s in (changed, plain)]
    assert 0 < moved[0] < moved[1] / 10


def test_terms_come_and_go_and_the_weights_stay() -> None:
    session = a_session()
    session.step(3)
    weights = {k: v.clone() for k, v in session.state.discriminator.state_dict().items()}
    moments = session.state.state_dict()["optimizers"]["discriminator"]["heads.score.weight"]["exp_avg"].clone()
    assert session.change({"objective.r1": {"weight": 0.1}, "objective.sdp": {}}) == []
    same_bits(dict(session.state.discriminator.state_dict()), weights)
    carried = session.state.state_dict()["optimizers"]["discriminator"]["heads.score.weight"]["exp_avg"]
    assert torch.equal(carried, moments)
    session.step(20)
    assert {"discriminator/r1", "discriminator/sdp", "generator/sdp"} <= session.losses.keys()
    session.change({"objective.r1": None})
    session.step(1)
    assert "discriminator/r1" not in session.losses and "discriminator/sdp" in session.losses
    assert session.recipe.objective.terms["sdp"].t == 12  # as in a new run: 3% of its length


def test_another_host_replaces_the_present_one_with_new_heads() -> None:
    session = a_session("ring-8", "non_saturating")
    session.step(3)
    body = session.state.discriminator.state_dict()["backbone.hidden.0.weight"].clone()
    notes = session.change({"objective.am_gan": {}})
    assert list(session.recipe.objective.terms) == ["am_gan"]
    assert any("class_logits" in note for note in notes) and any("score" in note for note in notes)
    assert torch.equal(session.state.discriminator.state_dict()["backbone.hidden.0.weight"], body)
    session.step(2)
    assert "discriminator/am_gan" in session.losses and session.state.step == 5


def test_classes_and_negatives_can_be_switched_on() -> None:
    session = a_session("ring-8", "hinge")
    session.step(2)
    notes = session.change(
        {
            "discriminator.conditioning": "projection",
            "generator.network.conditioning": "concat",
            "objective.multi_hinge": {},
        }
    )
    assert any(note.startswith("generator") and "hidden.0.weight" in note for note in notes), notes
    session.change({"objective.negatives": {"per_batch": 8}})
    assert session.negatives is not None
    session.step(2)
    assert {"discriminator/multi_hinge", "discriminator/negatives"} <= session.losses.keys()
    session.look()


def test_the_memory_of_a_term_that_stays_carries_over() -> None:
    session = a_session(**{"objective.lecam": {"weight": 0.1}})
    session.step(5)
    memory = {k: v.clone() for k, v in session.state.objective.memory["lecam"].items()}
    session.change({"objective.lecam.weight": 0.2})
    same_bits(session.state.objective.memory["lecam"], memory)
    session.change({"objective.lecam": None})
    session.change({"objective.lecam": {"weight": 0.1}})
    assert not all(torch.equal(session.state.objective.memory["lecam"][k], v) for k, v in memory.items())


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"seed": 3}, "seed cannot change while a run trains"),
        ({"generator.network.width": 7}, "cannot change while a run trains"),
        ({"objectives.sdp": {}}, "did you mean 'objective'"),
        ({"data": "x"}, "cannot be set"),
        ({"objective.sdp.weight": "much"}, r"objective\.sdp"),
        ({"objective.sdp.k": 0}, r"objective\.sdp"),
        ({"objective.non_saturating": None}, "adversarial loss"),
        ({"objective.semi_supervised": {}}, "unlabelled"),
        ({"batch_size": 10**6}, "fewer than a batch"),
        ({"discriminator.optimizer.lr": float("nan")}, "lr"),
    ],
)
def test_what_does_not_fit_changes_nothing(changes: dict[str, Any], why: str) -> None:
    session = a_session()
    session.step(1)
    before, recipe = session.snapshot(), session.recipe
    with pytest.raises(SparringError, match=why):
        session.change(changes)
    assert session.recipe is recipe
    same_bits(session.snapshot().state, before.state)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_moment_of_every_method_can_be_returned_to(method: str) -> None:
    session = a_session(method=method)
    session.step(13)
    moment = session.snapshot()
    session.step(3)
    first = session.snapshot()
    session.step(2)
    session.restore(moment)
    assert session.state.step == moment.step == 13
    session.step(3)
    same_bits(session.snapshot().state, first.state)


def test_rewinding_crosses_changes_bit_for_bit() -> None:
    """Back to before two changes, and through them again: the same bits, and the recipe of each moment."""
    session = a_session("ring-8", "non_saturating")
    start = session.snapshot()

    def play() -> list[Any]:
        session.step(10)
        session.change({"objective.sdp": {"t": 0}, "d_steps": 2})
        session.step(10)
        session.change({"objective.hinge": {}, "objective.sdp": None, "discriminator.optimizer.lr": 1e-3})
        session.step(10)
        return [session.snapshot().state, session.recipe, session.look().samples]

    first = play()
    session.restore(start)
    assert session.state.step == 0 and list(session.recipe.objective.terms) == ["non_saturating"]
    assert not session.state.optimizers["generator"].state
    again = play()
    same_bits(first[0], again[0])
    assert first[1] == again[1] and (first[2] == again[2]).all()


def test_a_snapshot_does_not_move_with_training() -> None:
    session = a_session()
    session.step(2)
    moment = session.snapshot()
    kept = moment.state["generator"]["to_point.weight"].clone()
    session.step(2)
    session.restore(moment)
    session.step(2)
    assert torch.equal(moment.state["generator"]["to_point.weight"], kept)
