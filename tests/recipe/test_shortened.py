"""`scale=`: a recipe at a share of its length, still with all that it does."""

from __future__ import annotations

import pytest

from sparring.objective.term import Build
from sparring.recipe.files import shipped_recipes
from sparring.recipe.gan import Recipe


@pytest.mark.parametrize("factor", [0.01, 0.1, 1])
def test_a_shortened_recipe_still_acts(factor: float) -> None:
    """`scale=` shrinks starts, warm-ups and decay with the length, so that no term ends up beyond it."""
    for name in shipped_recipes("GAN"):
        r = Recipe.load(name).scaled(factor)
        classes = r.data.num_classes or 0
        r.objective.check(
            Build(
                steps=r.steps,
                d_steps=r.d_steps,
                updates_per_epoch=781,
                num_classes=classes,
                has_labels=classes > 0,
                sides=frozenset({"real", "fake", "negative", "unlabelled"}),
            )
        )
        for part in (r.generator, r.discriminator):
            lr = part.optimizer.lr
            if not isinstance(lr, float):
                assert lr.knots[-1][0] == r.steps, name


def test_scaled_to_a_hundredth() -> None:
    r = Recipe.load("as-gan/as-dcgan-cifar10", ["scale=0.01"])
    assert (r.steps, r.objective.terms["as_gan"].warmup, r.evaluation and r.evaluation.every) == (1564, 3, 8)
    r = Recipe.load("sdp/hinge-sdp-cifar10", ["scale=0.01"])
    assert (r.steps, r.objective.terms["sdp"].t, r.objective.terms["sdp"].I_p) == (1000, 30, 50)


def test_measurements_may_start_late() -> None:
    r = Recipe.load("as-gan/as-dcgan-cifar10", ["evaluation.start=140000", "evaluation.every=7820", "scale=0.01"])
    assert r.evaluation and [step for step in range(1, r.steps) if r.evaluation.is_due(step)] == [1404, 1482, 1560]
    r = Recipe.load("quickstart")
    assert r.evaluation and not any(r.evaluation.is_due(step) for step in range(r.steps))
