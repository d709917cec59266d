"""Adversarial sampling's ResNets against their parameter counts and against the networks written out."""

import network_formulas as longhand
import pytest
import torch
from network_formulas import (
    assert_same,
    batch,
    conv1,
    discriminator_block,
    generator_block,
    parameter_count,
    random,
    scrambled,
)

from sparring.networks.discriminator import Discriminator, Head
from sparring.networks.resnet_as import ASBackbone, ASGenerator
from sparring.networks.spectral import normalised_layers

SCORE = {"score": Head(name="score")}


@pytest.mark.parametrize(
    "size, layout, generator, discriminator",
    [
        (32, "constant", 4_155_907, 4_336_385),
        (64, "constant", 5_402_883, 5_582_337),
        (32, "pyramid", 3_326_211, 5_702_785),
        (64, "pyramid", 11_760_387, 10_141_441),
    ],
)
def test_parameter_counts_of_the_authors(size, layout, generator, discriminator):
    with torch.device("meta"):
        assert parameter_count(ASGenerator(image_size=size, latent_size=100, layout=layout)) == generator
        D = Discriminator(ASBackbone(image_size=size, layout=layout), SCORE)
    assert parameter_count(D) == discriminator
    assert not list(normalised_layers(D))


def test_generator_equals_the_longhand_network():
    G = scrambled(ASGenerator(image_size=16, latent_size=3, width=2, layout="pyramid"))
    z = random(3, 3).requires_grad_()
    h = (z @ G.linear.weight.t() + G.linear.bias).view(3, 8, 4, 4)
    for block in G.blocks:
        h = generator_block(block, h, None, "bilinear", batch)
    assert_same(G(z), torch.tanh(conv1(G.to_image, longhand.relu(batch(G.last_norm, h, None)))), [z], G)


@pytest.mark.parametrize("normalisation", ["none", "batch"])
def test_backbone_equals_the_longhand_network(normalisation):
    D = scrambled(ASBackbone(image_size=16, width=2, layout="pyramid", normalisation=normalisation))
    norm = {"norm": batch} if normalisation == "batch" else {}
    h = images = random(3, 3, 16, 16).requires_grad_()
    for i, stage in enumerate(D.stages):
        h = discriminator_block(stage, h, first=i == 0, halve=True, **norm)
    features, blocks = D(images)
    assert [block.shape[-1] for block in blocks] == [8, 4, 2]
    assert_same(features, longhand.relu(h).sum((2, 3)), [images], D)
    assert D.couples_batch == (normalisation == "batch")


def test_generator_starts_xavier_or_as_torch_does():
    torch.manual_seed(0)
    xavier = ASGenerator(image_size=32, width=32)
    bound = 2**0.5 * (6 / (9 * 64)) ** 0.5
    assert 0.97 * bound < xavier.blocks[0].conv2.weight.abs().max() <= bound
    assert (xavier.blocks[0].conv2.bias == 0).all()
    default = ASGenerator(image_size=32, width=32, initialisation="default")
    assert default.blocks[0].conv2.weight.abs().max() <= (9 * 32) ** -0.5  # torch's: uniform within 1 / sqrt(fan-in)
    assert (default.blocks[0].conv2.bias != 0).any() and (default.linear.bias != 0).any()


def test_spectral_norm_is_an_option_of_every_layer():
    D = Discriminator(ASBackbone(image_size=32, width=4, spectral_norm="exact"), SCORE)
    assert len(list(normalised_layers(D))) == 4 * 3 + 1
