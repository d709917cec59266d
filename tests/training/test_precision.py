"""Under bfloat16, what 16 bits cannot hold is computed in float32: attacks, penalties, scores and losses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import sparring
from sparring.objective.objective import Objective
from sparring.recipe.gan import Recipe
from sparring.run.runtime import Runtime
from sparring.terms.as_gan import ASGAN
from sparring.terms.non_saturating import NonSaturating
from sparring.training.state import TrainingState, build
from sparring.training.step import update_discriminator, update_generator
from tiny import tiny_images, tiny_recipe

EPS = 0.2 / 255


def a_state(precision: Any, objective: dict[str, Any], **changes: Any) -> TrainingState:
    recipe = Recipe.load(tiny_recipe(objective=objective, precision=precision, **changes))
    torch.manual_seed(0)
    return build(recipe, tiny_images(), runtime=Runtime(precision=precision))


def passes_of(s: TrainingState) -> list[tuple[Tensor, bool, Tensor]]:
    """Lets every pass through the discriminator write down its images, whether it is in bfloat16, and its features."""
    found: list[tuple[Tensor, bool, Tensor]] = []
    extract = s.discriminator.extract

    def watched(images: Tensor, labels: Tensor | None = None) -> Any:
        activations = extract(images, labels)
        found.append((images.detach(), torch.is_autocast_enabled("cpu"), activations.features))
        return activations

    s.discriminator.extract = watched  # type: ignore[method-assign]
    return found


def as_gan(**options: Any) -> dict[str, Any]:
    return {"non_saturating": {}, "as_gan": {"warmup": 0, "eps": EPS, **options}}


OPTIONS: list[dict[str, Any]] = [
    {},
    {"craft": "realness"},
    {"attack": "pgd", "pgd_steps": 2, "pgd_step_size": EPS},
    {"target": "both"},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_an_attack_moves_every_pixel_by_eps_along_the_float32_gradient(options: dict[str, Any]) -> None:
    """eps is below half of bfloat16's spacing for most of the 256 levels, so that a pass in bfloat16 would see the reals."""
    coarse, fine = (a_state(precision, as_gan(**options)) for precision in ("bfloat16", "float32"))
    seen, expected = passes_of(coarse), passes_of(fine)
    for s in (coarse, fine):
        update_discriminator(s)
    (real, mixed, _), (attacked, mixed_again, features) = seen[0], next(each for each in seen if _is_attack(seen, each))
    assert mixed is (options.get("attack") == "pgd")  # which takes its gradients from passes of their own
    assert not mixed_again and features.dtype == torch.float32
    real = real[: len(attacked)]
    moved = attacked - real
    assert torch.allclose(moved.abs(), torch.full_like(moved, EPS), rtol=0, atol=1e-7)
    assert torch.equal(attacked, next(each for each in expected if _is_attack(expected, each))[0])
    assert (attacked.bfloat16() == real.bfloat16()).double().mean() > 0.4  # so this could have failed


def _is_attack(seen: list[Any], each: Any) -> bool:
    real = seen[0][0][:8]
    return len(each[0]) == 8 and 0.9 * EPS < (each[0] - real).abs().mean() < 1.1 * EPS


@pytest.mark.parametrize("objective", [as_gan(), {"hinge": {}, "r1": {}}, {"wasserstein": {}, "gradient_penalty": {}}])
def test_only_passes_that_need_all_bits_are_in_float32(objective: dict[str, Any]) -> None:
    s = a_state("bfloat16", objective)
    seen = passes_of(s)
    update_discriminator(s)
    full = {"as_gan": [True, False, True], "r1": [True, False], "gradient_penalty": [False, True]}
    assert [not mixed for _, mixed, _ in seen] == next(full[name] for name in objective if name in full)
    assert all(features.dtype == (torch.bfloat16 if mixed else torch.float32) for _, mixed, features in seen)
    seen.clear()
    update_generator(s)
    assert [mixed for _, mixed, _ in seen] == [True]


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_scores_losses_and_gradients_of_both_players_are_float32(player: Any) -> None:
    s = a_state("bfloat16", {"hinge": {}, "sdp": {"t": 0}})
    rounds = []
    apply = s.apply

    def watched(who: Any, of_update: Any) -> None:
        network = getattr(s, who)
        assert {p.grad.dtype for p in network.parameters() if p.grad is not None} == {torch.float32}
        rounds.append((who, *of_update))
        apply(who, of_update)

    s.apply = watched  # type: ignore[method-assign]
    update_discriminator(s)
    update_generator(s)
    r = next(r for who, r in rounds if who == player)
    assert r.fake.score.dtype == torch.float32 and {value.dtype for value in r.logs.values()} == {torch.float32}
    assert {p.dtype for p in s.discriminator.parameters()} == {torch.float32}


def test_a_second_update_has_the_gradient_of_float32() -> None:
    """With the first update's weights set alike, the second one's gradient equals that of a run in float32."""
    gradients = []
    for precision in ("bfloat16", "float32"):
        s = a_state(precision, as_gan())
        found: list[Tensor] = []
        optimizer = s.optimizers["discriminator"]

        def step(s: TrainingState = s, found: list[Tensor] = found) -> None:
            """Keeps the weights, so that both updates are at the same ones."""
            found.append(torch.cat([p.grad.flatten() for p in s.discriminator.parameters() if p.grad is not None]))

        optimizer.step = step  # type: ignore[method-assign,assignment]
        update_discriminator(s)
        gradients.append(found)
    (first, second), (first_fine, second_fine) = gradients
    assert torch.equal(second, second_fine) and not torch.equal(first, first_fine)


def test_in_a_users_loop_under_autocast_attacks_are_in_float32_too() -> None:
    objective = Objective(non_saturating=NonSaturating(), as_gan=ASGAN(eps=EPS, warmup=0))
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    seen: list[tuple[Tensor, bool]] = []
    layers.register_forward_pre_hook(lambda _, images: seen.append((images[0], torch.is_autocast_enabled("cpu"))))
    D = objective.attach(layers)
    real, fake = (torch.rand(4, 1, 4, 4) for _ in range(2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        update = objective.discriminator(D, real, fake.bfloat16(), step=0)
        update.loss.backward()
        again = list(update.second_updates())
    assert [mixed for _, mixed in seen] == [False, True, False] and again[0].dtype == torch.float32
    assert torch.allclose((seen[2][0] - real).abs(), torch.full_like(real, EPS), rtol=0, atol=1e-7)


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_on_a_cpu_tf32_is_float32(precision: Any) -> None:
    first = a_state(precision, {"hinge": {}})
    other = a_state("float32", {"hinge": {}})
    for s in (first, other):
        sparring.training.step.train_step(s)
    for a, b in zip(first.generator.parameters(), other.generator.parameters(), strict=True):
        assert torch.equal(a, b)
