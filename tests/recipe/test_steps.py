"""Each distinct pair of networks with each distinct objective takes real steps, and every term acts in them.

At an eighth of the width, a batch of 4 and images as small as the networks allow, over two steps into which `scale` shortens
the recipe with its starts, warm-ups and decays. Real width is a slow job (`pytest -m slow`).
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from sparring.data.packed import PackedImages
from sparring.recipe.files import shipped_recipes
from sparring.recipe.gan import Recipe
from sparring.training.state import TrainingState, build
from sparring.training.step import train_step

STEPS, BATCH, CLASSES = 2, 4, 10
WIDTHS = {  # of the generator and the backbone in full; the size at which they are stepped here
    "amgan": (96, 64, 16),
    "autogan": (256, 128, 32),
    "dcgan": (128, 128, 16),
    "r3gan": (96, 96, 16),
    "resnet_as": (256, 256, 16),
    "sagan": (64, 64, 64),  # attention needs more than 32 pixels
    "sngan": (256, 128, 16),
    "sngan_cnn": (64, 64, 16),
}


def shape(value: Any) -> Any:
    """A recipe's part with its numbers left out: what remains is its structure."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return value if isinstance(value, bool | str) or value is None else "number"


def distinct() -> list[str]:
    """One recipe for each pair of networks and objective, numbers aside."""
    found: dict[str, str] = {}
    for name in shipped_recipes("GAN"):
        if name == "quickstart" or "/" not in name:
            continue
        d = Recipe.load(name).to_dict()
        parts = [d["generator"]["network"], d["discriminator"]["network"], d["discriminator"]["conditioning"]]
        found.setdefault(json.dumps([parts, shape(d["objective"])]), name)
    return sorted(found.values())


def images(size: int, seed: int) -> PackedImages:
    pixels = torch.randint(
        0, 256, (40, 3, size, size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8
    )
    return PackedImages(pixels, torch.arange(40) % CLASSES, tuple(map(str, range(CLASSES))), name="noise")


def shortened(name: str, size: int, **changes: Any) -> TrainingState:
    full = Recipe.load(name)
    epochs = any(getattr(term, "warmup_scope", "global") == "epoch" for term in full.objective.terms.values())
    if epochs:  # an epoch does not shrink with the run, and here it is the run
        changes["objective.as_gan.warmup"] = 0
    recipe = Recipe.load(full, {"batch_size": BATCH, "threads": 1, **changes}).scaled(STEPS / full.steps)
    return build(
        recipe,
        images(size, 1),
        negatives=images(size, 2) if recipe.negatives else None,
        unlabelled=images(size, 3) if recipe.data.labelled else None,
    )


def check_steps(state: TrainingState) -> None:
    """Two steps: every term has acted on its players, the optimisers have counted, and the weights moved."""
    recipe, terms = state.recipe, state.objective.terms
    before = [p.detach().clone() for p in state.generator.parameters()]
    assert recipe.steps == STEPS
    for _ in range(STEPS):
        train_step(state)
    values = state.term_log.tick()
    assert all(torch.isfinite(torch.tensor(list(values.values()))))
    for name, term in terms.items():
        acted = {f"{player}/{name}" for player in ("discriminator", "generator") if acts(term, player)}
        if term.has_second_update:
            acted = {f"discriminator/{name}/second_update"}
            assert term.warmup < STEPS * recipe.d_steps  # type: ignore[attr-defined]
        assert acted and all(abs(values[key]) > 0 for key in acted), (name, values)
    second = sum(term.has_second_update for term in terms.values())
    counts = {"discriminator": STEPS * recipe.d_steps * (1 + second), "generator": STEPS}
    for player, count in counts.items():
        adam = state.optimizers[player].state
        assert {int(s["step"]) for s in adam.values()} == {count}, player
    assert any(not torch.equal(a, b) for a, b in zip(before, state.generator.parameters(), strict=True))


def acts(term: Any, player: str) -> bool:
    """Whether the term has a loss for this player: it declares needs, and its weight there is not 0."""
    weight = term.weight if player == "discriminator" or term.generator_weight is None else term.generator_weight
    return bool(term.needs(player, STEPS - 1)) and weight != 0


@pytest.mark.parametrize("name", distinct())
def test_two_steps_at_an_eighth_of_the_width(name: str) -> None:
    kind = Recipe.load(name).generator.network.kind
    generator, backbone, size = WIDTHS[kind]
    changes: dict[str, Any] = {
        "generator.network.width": max(1, generator // 8),
        "discriminator.network.width": max(1, backbone // 8),
    }
    check_steps(shortened(name, size, **changes))


@pytest.mark.slow
@pytest.mark.parametrize("name", distinct())
def test_two_steps_at_the_real_width(name: str) -> None:
    check_steps(shortened(name, Recipe.load(name).data.size or 32))
