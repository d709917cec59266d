"""Sessions: bit-exact for a seed, unaffected by looks, and consistent with their networks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from sparring.errors import NonFiniteLossError, SparringError
from sparring.recipe.gan import Recipe
from sparring.toy.methods import METHODS, OF_THE_WORLD, READ, UNREAD, split_words, toy_recipe
from sparring.toy.session import MESH, PLANE, ToySession, background, numbers_of
from sparring.toy.worlds import World, world
from sparring.training.state import TrainingState
from sparring.training.step import train_step, update_discriminator
from tiny import same_bits


def a_session(name: str = "ring-8", method: str | None = None, seed: int = 0, **changes: Any) -> ToySession:
    here = world(name, seed=seed)
    return ToySession(here, toy_recipe(here, method, {"batch_size": 16, **changes}, steps=40, seed=seed))


@pytest.mark.parametrize("method", sorted(METHODS))
def test_each_method_trains_and_is_bit_exact_from_its_seed(method: str) -> None:
    states = []
    for noise in (1, 2):
        torch.manual_seed(noise)  # other use of torch's global generator must change nothing
        session = a_session(method=method)
        session.step(4)
        states.append(session.state.state_dict())
    same_bits(states[0]["generator"], states[1]["generator"])
    same_bits(states[0]["discriminator"], states[1]["discriminator"])
    fresh = a_session(method=method).state.generator.state_dict()
    assert not torch.equal(fresh["to_point.weight"], states[0]["generator"]["to_point.weight"])


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_term_of_a_method_acts(method: str) -> None:
    session = a_session(method=method)
    for _ in range(6):
        train_step(session.state)
    noted = {key.split("/")[1] for key in session.state.term_log.means()}
    assert set(session.recipe.objective.terms) <= noted
    if method.startswith("sdp"):
        assert session.state.term_log.means()["discriminator/sdp"] > 0  # t is 1 of 40 steps


def test_negatives_teach_the_discriminator_what_is_not_data() -> None:
    plain, aware = a_session("nat-1d", "non_saturating"), a_session("nat-1d", "negatives")
    plain.step(60), aware.step(60)
    far = torch.tensor([[13.0], [-6.0], [4.0]])
    (right, left, data), unaware = aware.realness(far).tolist(), plain.realness(far).tolist()
    assert right < data - 1 and left < data - 1
    assert max(right, left) < max(unaware[:2])


def test_another_seed_is_another_run() -> None:
    a, b = a_session(seed=0), a_session(seed=1)
    a.step(2), b.step(2)
    assert a.look().numbers != b.look().numbers


def test_looking_changes_nothing() -> None:
    looked_at, alone = a_session(method="sdp"), a_session(method="sdp")
    for _ in range(3):
        looked_at.look()
        looked_at.step(2)
    alone.step(6)
    same_bits(looked_at.state.state_dict()["generator"], alone.state.state_dict()["generator"])
    same_bits(looked_at.state.state_dict()["optimizers"], alone.state.state_dict()["optimizers"])


def test_a_session_uses_one_thread_and_restores_the_callers_number() -> None:
    before = torch.get_num_threads()
    session = a_session()
    seen: list[int] = []
    session.state.discriminator.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    session.state.discriminator.backbone.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    torch.set_num_threads(2)
    try:
        session.step(1)
        assert set(seen) == {1} and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_realness_and_arrows_are_the_discriminators() -> None:
    session = a_session()
    session.step(3)
    look = session.look()
    points = torch.from_numpy(look.arrows[0]).requires_grad_()
    score = session.state.discriminator(points)
    (gradient,) = torch.autograd.grad(score.sum(), points)
    assert torch.allclose(torch.from_numpy(look.arrows[1]), gradient, atol=1e-6) and gradient.abs().max() > 0
    places = torch.from_numpy(look.places)
    assert torch.allclose(torch.from_numpy(look.realness), session.state.discriminator(places), atol=1e-5)
    assert look.places.shape == (PLANE**2, 2) and look.places[1, 0] > look.places[0, 0]  # rows along x, from below
    assert look.places[PLANE, 1] > look.places[0, 1]
    samples = torch.from_numpy(look.samples)
    assert look.of_samples == pytest.approx(float(session.state.discriminator(samples).mean().detach()), abs=1e-5)


def test_a_conditional_discriminator_answers_for_the_best_class() -> None:
    session = a_session(method="projection")
    session.step(2)
    points = session.world.data.points[:5]
    D = session.state.discriminator
    by_class = torch.stack([D(points, torch.full((5,), k)) for k in range(8)])
    assert torch.allclose(session.realness(points), by_class.amax(0), atol=1e-6)
    assert session.look().mesh is None  # a conditional generator has no single grid


def test_the_mesh_is_where_the_generator_sends_cells_of_equal_probability() -> None:
    session = a_session()
    mesh = session.look().mesh
    assert mesh is not None and mesh.shape == (MESH, MESH, 2)
    middle: Tensor = session.state.generator(torch.zeros(1, 2))
    assert torch.allclose(torch.from_numpy(mesh[MESH // 2, MESH // 2]), middle[0], atol=1e-6)
    quarter = float(torch.distributions.Normal(0, 1).icdf(torch.tensor((4 + 0.5) / MESH)))
    there = session.state.generator(torch.tensor([[quarter, 0.0]]))
    assert torch.allclose(torch.from_numpy(mesh[4, MESH // 2]), there[0], atol=1e-5)


def test_a_worlds_own_points_get_good_numbers() -> None:
    ring, line, spiral = world("ring-8"), world("nat-1d"), world("spiral")
    own = numbers_of(ring, ring.data.points[:1000])
    assert own["sliced_wasserstein"] == 0 and own["modes"] == 8 and own["high_quality"] > 0.97
    assert numbers_of(line, line.data.points)["wasserstein"] < 0.02
    assert set(numbers_of(spiral, spiral.data.points[:1000])) == {"sliced_wasserstein"}


@pytest.mark.parametrize(("name", "method"), [("ring-8", "hinge"), ("ring-8", "projection"), ("nat-1d", None)])
def test_a_look_equals_its_parts_taken_alone(name: str, method: str | None) -> None:
    """It judges all points in one pass, and generates samples and mesh in another."""
    session = a_session(name, method)
    session.step(3)
    look, state = session.look(), session.state
    with torch.no_grad():
        samples = state.evaluated_generator(session._latents, session._labels)
        groups = [session.places, session.world.data.points[:1000], samples]
        places, data, own = (session.realness(points) for points in groups)
    close = {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(torch.from_numpy(look.samples), samples, **close)
    torch.testing.assert_close(torch.from_numpy(look.realness), places, **close)
    assert look.of_data == pytest.approx(data.mean().item(), rel=1e-5)
    assert look.of_samples == pytest.approx(own.mean().item(), rel=1e-5)
    assert look.numbers == pytest.approx(numbers_of(session.world, samples), rel=1e-5)
    state.discriminator.couples_batch = True  # then each group of points keeps a pass of its own
    assert session.look().realness == pytest.approx(look.realness, rel=1e-5, abs=1e-6)


def test_background_keeps_away_from_data() -> None:
    ring = world("ring-8")
    points = background(ring, 0).points
    assert torch.cdist(points, ring.data.points[:2000]).min() > 0.25 * ring.scale and len(points) == 2000
    assert points.abs().max() < 3.2


def test_negatives_come_from_the_world_if_it_has_some() -> None:
    nat = a_session("nat-1d")
    assert nat.recipe.objective.terms.keys() == {"non_saturating", "negatives"}  # the paper's own form
    assert nat.negatives is nat.world.negatives
    assert a_session("ring-8", "negatives").negatives is not None and a_session("ring-8").negatives is None


def _recipe(*words: str, on: World | None = None, steps: int = 1000) -> Recipe:
    method, changes, _ = split_words(words)
    return toy_recipe(on or world("ring-8"), method, changes, steps=steps, seed=0)


def test_terms_begin_at_the_papers_share_of_a_run() -> None:
    sdp = _recipe("objective.sdp.k=7").objective.terms["sdp"]
    assert (sdp.t, sdp.I_p, sdp.k) == (30, 50, 7)
    assert _recipe("sdp", "objective.sdp.t=5").objective.terms["sdp"].t == 5
    assert _recipe("sdp", steps=200).objective.terms["sdp"].t == 6
    attack = _recipe("as_gan").objective.terms["as_gan"]
    assert attack.warmup == 2 and attack.eps == pytest.approx(0.008 * 2**0.5, rel=0.01)  # the ring's scale is sqrt 2


def test_another_loss_replaces_that_of_the_method() -> None:
    assert list(_recipe("sdp", "objective.hinge={}").objective.terms) == ["sdp", "hinge"]
    assert list(_recipe("objective.hinge={}").objective.terms) == ["hinge"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["spd"], "unknown method 'spd', which is not key=value either: did you mean 'sdp'"),
        (["sdp", "hinge"], "two methods"),
        (["objective.sdp.kk=5"], "unknown key objective.sdp.kk"),
        (["stepz=5"], "unknown key stepz: did you mean 'step'"),
        (["ema=0.9"], "unknown key ema: choose one of (?!.*evaluation)(?!.*threads).*generator.*world"),
        (["generator.network.kind=dcgan"], "generator.network.kind=dcgan is a network for images: points take 'toy'"),
        (["discriminator.network=sngan_cnn"], "discriminator.network.kind=sngan_cnn is a network for images"),
        (["objective.spd={}"], "did you mean 'sdp'"),
        (["data=mine.csv"], "takes its data from its world"),
        (["steps=7"], "steps=7 and --steps 1000 differ"),
        (["seed=3"], "seed=3 and --seed 0 differ"),
        (["threads=4"], "does not read threads: it has one thread"),
        (["evaluation.every=5"], "does not read evaluation.every"),
        (["objective=5"], "mapping"),
        (["objective.hinge={}", "objective.wasserstein={}"], "exactly one adversarial loss"),
    ],
)
def test_wrong_arguments(words: list[str], message: str) -> None:
    with pytest.raises(SparringError, match=message):
        _recipe(*words)


def test_a_world_of_one_cluster_has_no_classes() -> None:
    with pytest.raises(SparringError, match="of 'ring-8' have none: take moons, spiral, or two or more Gaussians"):
        toy_recipe(world("ring-8", {"modes": 1}), "projection", steps=5, seed=0)


def test_every_key_of_a_recipe_is_followed_or_refused() -> None:
    keys = set(Recipe.model_fields) | {"extends"}
    assert sorted(keys) == sorted((*READ, *OF_THE_WORLD, *UNREAD))
    for key in (*OF_THE_WORLD, *UNREAD):
        with pytest.raises(SparringError, match=f"{key}( |:)"):
            toy_recipe(world("ring-8"), None, {key: 1}, steps=5, seed=0)


def test_non_finite_outputs_end_a_run() -> None:
    session = a_session()
    with torch.no_grad():
        session.state.generator.get_parameter("to_point.bias").fill_(float("inf"))
    with pytest.raises(NonFiniteLossError, match="the generator's samples became infinite or NaN by step 0"):
        session.look()


def slower_step(s: TrainingState) -> None:
    """A user's step with two discriminator updates."""
    update_discriminator(s)
    train_step(s)


def stuck_step(s: TrainingState) -> None:
    """A user's step that does nothing."""


def test_a_run_follows_the_recipes_step_and_precision() -> None:
    own, plain, coarse = a_session(step=f"{__name__}:slower_step"), a_session(), a_session(precision="bfloat16")
    for session in (own, plain, coarse):
        session.step(3)
    assert (own.state.updates, plain.state.updates) == (6, 3)
    weights = [session.state.generator.state_dict()["to_point.weight"] for session in (plain, coarse)]
    assert not torch.equal(*weights) and torch.allclose(*weights, atol=0.05) and weights[1].dtype == torch.float32
    with pytest.raises(SparringError, match="went from step 0 to 0: call"):
        a_session(step=f"{__name__}:stuck_step").step()


def test_a_method_that_needs_classes_gets_them() -> None:
    with pytest.raises(SparringError, match="nat_gan learns classes"):
        _recipe("nat_gan", on=world("nat-1d"))
