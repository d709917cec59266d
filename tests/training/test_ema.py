"""The moving average against the formula, in float64."""

import pytest
import torch
from torch import nn

from sparring.recipe.gan import EMA, Recipe
from sparring.schedule import Schedule
from sparring.training.ema import MovingAverage
from sparring.training.state import build
from sparring.training.step import train_step
from tiny import tiny_images, tiny_recipe


def _network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).double()


@pytest.mark.parametrize(
    ("recipe", "decays"),
    [
        (EMA(decay=0.9), [0.9, 0.9, 0.9]),
        (EMA(decay=0.9, start=2), [0.0, 0.0, 0.9]),
        (EMA(decay=Schedule(knots=((0, 0.5), (2, 0.7)))), [0.5, 0.6, 0.7]),
        (EMA(decay=1.0), [1.0, 1.0, 1.0]),
    ],
)
def test_the_average_follows_its_formula(recipe, decays):
    network = _network()
    average = MovingAverage(network, recipe)
    wanted = {name: value.clone() for name, value in network.named_parameters()}
    for step, decay in enumerate(decays):
        with torch.no_grad():
            for i, p in enumerate(network.parameters()):
                p += 0.1 * (i + 1) * (step + 1)
        network[1].running_mean += 1
        average.update(network, step)
        for name, value in network.named_parameters():
            wanted[name] = decay * wanted[name] + (1 - decay) * value.detach()
            torch.testing.assert_close(
                dict(average.module.named_parameters())[name].data, wanted[name], rtol=1e-12, atol=0
            )
        assert torch.equal(average.module[1].running_mean, network[1].running_mean)  # buffers are copied
    assert not any(p.requires_grad for p in average.module.parameters())


def test_the_trainer_averages_once_per_step_whatever_the_number_of_discriminator_updates():
    recipe = tiny_recipe(d_steps=2)
    recipe["generator"] = {**recipe["generator"], "ema": 0.75}
    state = build(Recipe.load(recipe), tiny_images(), dtype=torch.float64)
    wanted = {name: value.detach().clone() for name, value in state.generator.named_parameters()}
    moved = 0.0
    for _ in range(4):
        train_step(state)
        for name, value in state.generator.named_parameters():
            wanted[name] = 0.75 * wanted[name] + 0.25 * value.detach()
        average = dict(state.average.module.named_parameters())
        for name, value in wanted.items():
            torch.testing.assert_close(average[name].data, value, rtol=1e-9, atol=1e-12)
            moved += (dict(state.generator.named_parameters())[name].detach() - value).abs().max().item()
    assert moved > 1e-3


def test_before_its_start_the_average_is_the_generator_bit_for_bit():
    network = _network().float()
    average = MovingAverage(network, EMA(decay=0.999, start=5))
    with torch.no_grad():
        network[0].weight.mul_(1.1)
    average.update(network, 4)
    assert torch.equal(average.module[0].weight, network[0].weight)
    assert average.module[0].weight.data_ptr() != network[0].weight.data_ptr()


def test_a_recipe_takes_the_decay_alone_or_with_its_start():
    recipe = tiny_recipe()
    recipe["generator"] = {**recipe["generator"], "ema": 0.9}
    assert Recipe.load(recipe).generator.ema == EMA(decay=0.9)
    assert Recipe.load(recipe, ["generator.ema.start=3"]).generator.ema == EMA(decay=0.9, start=3)
