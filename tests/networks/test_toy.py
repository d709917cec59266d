"""The toy networks against the formulas of a perceptron."""

import pytest
import torch
from network_formulas import leaky, parameter_count, random, relu, scrambled

from sparring.networks.discriminator import Discriminator, Head
from sparring.networks.spectral import normalised_layers
from sparring.networks.toy import ToyBackbone, ToyGenerator


@pytest.mark.parametrize("dimensions", [1, 2])
def test_generator_and_backbone_equal_the_longhand_perceptron(dimensions):
    G = scrambled(
        ToyGenerator(dimensions=dimensions, latent_size=3, num_classes=4, width=5, depth=2, conditioning="concat")
    )
    z, labels = random(6, 3), torch.tensor([0, 1, 2, 3, 3, 3])
    h = torch.cat([z, G.class_latent.embedding.weight[labels]], 1)
    for layer in G.hidden:
        h = relu(h @ layer.weight.t() + layer.bias)
    points = G(z, labels)
    torch.testing.assert_close(points, h @ G.to_point.weight.t() + G.to_point.bias)
    assert points.shape == (6, dimensions)

    D = scrambled(ToyBackbone(dimensions=dimensions, width=5, depth=2))
    first = leaky(points @ D.hidden[0].weight.t() + D.hidden[0].bias, 0.2)
    second = leaky(first @ D.hidden[1].weight.t() + D.hidden[1].bias, 0.2)
    features, blocks = D(points)
    torch.testing.assert_close(features, second)
    torch.testing.assert_close(blocks, [first, second])


def test_heads_fit_and_counts_follow_the_layers():
    D = Discriminator(ToyBackbone(dimensions=2, width=8, depth=3), {"score": Head(name="score")})
    assert D(torch.zeros(4, 2)).shape == (4,)
    assert parameter_count(D) == (2 * 8 + 8) + 2 * (8 * 8 + 8) + (8 + 1)
    assert parameter_count(ToyGenerator(dimensions=2, latent_size=4, width=8, depth=1)) == (4 * 8 + 8) + (8 * 2 + 2)


def test_spectral_norm_is_on_every_layer():
    D = Discriminator(ToyBackbone(dimensions=2, spectral_norm="exact"), {"score": Head(name="score")})
    assert len(list(normalised_layers(D))) == 4
    assert len(list(normalised_layers(ToyGenerator(dimensions=2, spectral_norm="clamp")))) == 4
