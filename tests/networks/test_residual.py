"""The shared residual blocks against the formulas in their usual order (resampling before a shortcut's convolution)."""

import network_formulas as longhand
import pytest
import torch
from network_formulas import (
    UPSAMPLING,
    assert_same,
    batch,
    conditional,
    conv3,
    discriminator_block,
    generator_block,
    layer_wise,
    plain,
    random,
    scrambled,
)
from torch import nn

from sparring.networks.layers import norm_layer
from sparring.networks.residual import ConvPool, DiscriminatorBlock, GeneratorBlock, Start, UpConv

NORMS = {"none": ("none", 0, plain), "batch": ("batch", 0, batch), "conditional": ("batch", 4, conditional)}


@pytest.mark.parametrize("mode", UPSAMPLING)
@pytest.mark.parametrize("kind", NORMS)
def test_generator_block(mode, kind):
    name, classes, formula = NORMS[kind]
    block = scrambled(GeneratorBlock(3, 2, Start(), lambda c: norm_layer(name, c, num_classes=classes), mode))
    x, labels = random(3, 3, 4, 4).requires_grad_(), torch.tensor([3, 0, 3])
    before = x.detach().clone()
    ours = block(x, labels)
    assert torch.equal(x, before)  # the ReLU is not in place
    assert_same(ours, generator_block(block, x, labels, mode, formula), [x], block)


@pytest.mark.parametrize("kind, formula", [("none", plain), ("batch", batch), ("layer", layer_wise)])
@pytest.mark.parametrize(
    "inputs, outputs, halve, first",
    [(3, 4, True, True), (3, 4, True, False), (3, 3, True, False), (3, 3, False, False), (3, 4, False, False)],
)
def test_discriminator_block(kind, formula, inputs, outputs, halve, first):
    block = scrambled(
        DiscriminatorBlock(inputs, 2, outputs, Start(), lambda c: norm_layer(kind, c), halve=halve, first=first)
    )
    x = random(3, inputs, 4, 4).requires_grad_()
    before = x.detach().clone()
    ours = block(x, x if first else torch.relu(x))
    assert torch.equal(x, before)
    assert_same(ours, discriminator_block(block, x, first=first, halve=halve, norm=formula), [x], block)
    assert isinstance(block.shortcut, nn.Identity) == (inputs == outputs and not halve)


def test_resampling_convolutions_hold_an_ordinary_3x3_weight():
    for layer, formula in (
        (UpConv(2, 3), lambda layer, x: conv3(layer, longhand.nearest(x))),
        (UpConv(2, 3, mode="bilinear"), lambda layer, x: conv3(layer, longhand.bilinear(x))),
        (ConvPool(2, 3), lambda layer, x: longhand.average_pool(conv3(layer, x))),
    ):
        assert layer.weight.shape == (3, 2, 3, 3) and list(layer.state_dict()) == ["weight", "bias"]
        x = random(2, 2, 6, 6).requires_grad_()
        assert_same(scrambled(layer)(x), formula(layer, x), [x], layer)


def test_layers_start_xavier_uniform_with_their_gain_and_zero_biases():
    torch.manual_seed(0)
    start = Start()
    for layer, gain, fans in (
        (nn.Conv2d(16, 32, 3), 2**0.5, 9 * 48),
        (nn.Conv2d(64, 32, 1), 1.0, 96),
        (nn.Linear(64, 32), 1.0, 96),
    ):
        start(layer, gain)
        bound = gain * (6 / fans) ** 0.5
        assert 0.97 * bound < layer.weight.abs().max() <= bound
        assert abs(layer.weight.std() / (bound / 3**0.5) - 1) < 0.05
        assert (layer.bias == 0).all()
    untouched = nn.Linear(4, 4)
    before = untouched.weight.clone()
    assert torch.equal(Start(linear=False)(untouched).weight, before)
    convolution = nn.Conv2d(4, 4, 1)
    before = convolution.weight.clone()
    assert torch.equal(Start(convolutions=False)(convolution).weight, before)
