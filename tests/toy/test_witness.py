"""Watching a step changes nothing and shows what its terms did."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sparring.terms.sdp import nearest_real
from sparring.toy.methods import METHODS, toy_recipe
from sparring.toy.session import ToySession
from sparring.toy.witness import watched_step
from sparring.toy.worlds import world
from tiny import same_bits


def a_session(method: str, **changes: object) -> ToySession:
    here = world("ring-8", seed=0)
    return ToySession(here, toy_recipe(here, method, {"batch_size": 16, **changes}, steps=400, seed=0))


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_watched_step_has_the_bits_of_any_other(method: str) -> None:
    watched, alone = a_session(method), a_session(method)
    watched.step(2), alone.step(2)
    updates = watched_step(watched, weights=True)
    alone.step(1)
    same_bits(watched.state.state_dict(), alone.state.state_dict())
    assert [u.player for u in updates if not u.second] == ["discriminator"] * watched.recipe.d_steps + ["generator"]
    assert updates[-1].weights is not None
    same_bits(updates[-1].weights, dict(watched.state.discriminator.state_dict()))
    watched.step(1), alone.step(1)  # nobody listens any more
    same_bits(watched.state.state_dict(), alone.state.state_dict())


def test_sdps_pairs_are_its_most_realistic_fakes_and_their_nearest_reals() -> None:
    session = a_session("sdp", **{"objective.sdp.t": 0, "objective.sdp.k": 4})
    session.step(2)
    before = {k: v.clone() for k, v in session.state.discriminator.state_dict().items()}
    update = watched_step(session)[0]
    assert update.pairs is not None and update.pairs.shape == (4, 2, 2)
    real, fake = (torch.from_numpy(update.sides[name]) for name in ("real", "fake"))
    session.state.discriminator.load_state_dict(before)
    top = fake[session.realness(fake).topk(4).indices]
    np.testing.assert_array_equal(update.pairs[:, 0], top.numpy())
    np.testing.assert_array_equal(update.pairs[:, 1], real[nearest_real(top, real)].numpy())


def test_attacked_samples_are_within_eps_of_the_real_ones() -> None:
    session = a_session("as_gan", **{"objective.as_gan.eps": 0.05, "objective.as_gan.warmup": 0})
    first, second, last = watched_step(session)
    assert (first.second, second.second, last.player) == (False, True, "generator")
    assert first.attacked is None and second.attacked is not None and second.attacked.shape == (16, 2, 2)
    np.testing.assert_array_equal(second.attacked[:, 0], first.sides["real"])
    moved = np.abs(second.attacked[:, 1] - second.attacked[:, 0])
    assert moved.max() == pytest.approx(0.05, abs=1e-6) and second.terms["as_gan/second_update"] > 0


def test_a_penaltys_points_lie_between_reals_and_fakes() -> None:
    update = watched_step(a_session("wgan-gp"))[0]
    assert update.probes is not None and update.probes.shape == (16, 2)
    real, fake = update.sides["real"], update.sides["fake"]
    low, high = np.minimum(real, fake) - 1e-6, np.maximum(real, fake) + 1e-6
    assert ((update.probes >= low) & (update.probes <= high)).all()
    assert set(update.terms) >= {"wasserstein", "gradient_penalty"}
