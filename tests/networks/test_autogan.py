"""AutoGAN's networks against their parameter counts and against the cells written out."""

import network_formulas as longhand
import pytest
import torch
from network_formulas import assert_same, batch, conv1, conv3, discriminator_block, parameter_count, random, scrambled

from sparring.errors import SparringError
from sparring.networks.autogan import AutoGANBackbone, AutoGANGenerator
from sparring.networks.discriminator import Discriminator, Head
from sparring.networks.spectral import normalised_layers

SCORE = {"score": Head(name="score")}
UP = {"nearest": longhand.nearest, "bilinear": longhand.bilinear}


def test_parameter_counts():
    with torch.device("meta"):
        counts = {v: parameter_count(AutoGANGenerator(image_size=32, variant=v)) for v in ("a", "b", "c")}
        D = Discriminator(AutoGANBackbone(image_size=32), SCORE)
    # b has one more 1x1 shortcut than a, c two batch norms of 256 channels
    assert counts == {"a": 4_405_251, "b": 4_405_251 + 256 * 256 + 256, "c": 4_405_251 + 4 * 256}
    assert parameter_count(D) == 1_053_824


def cell(layer, x, skips, mode, shortcut, norm):
    h = longhand.relu(batch(layer.norm1, x, None) if norm else x)
    h = conv3(layer.conv1, UP[mode](h))
    for conv, skip in zip(layer.skips, skips, strict=True):
        while skip.shape[-1] < h.shape[-1]:
            skip = UP[mode](skip)  # repeated doubling is the direct resize where the mode is nearest, or one doubling
        h = h + conv1(conv, skip)
    y = conv3(layer.conv2, longhand.relu(batch(layer.norm2, h, None) if norm else h))
    return h, y + conv1(layer.shortcut, UP[mode](x)) if shortcut else y


@pytest.mark.parametrize(
    "variant, modes, shortcuts, norms",
    [
        ("a", ("nearest", "bilinear", "nearest"), (True, True, False), (False, False, False)),
        ("b", ("nearest", "nearest", "nearest"), (True, True, True), (False, False, False)),
        ("c", ("nearest", "bilinear", "nearest"), (True, True, False), (True, False, False)),
    ],
)
def test_generator_equals_the_longhand_network(variant, modes, shortcuts, norms):
    G = scrambled(AutoGANGenerator(image_size=32, latent_size=3, width=2, variant=variant))
    z = random(2, 3).requires_grad_()
    h = (z @ G.linear.weight.t() + G.linear.bias).view(2, 2, 4, 4)
    skip1, h = cell(G.cells[0], h, [], modes[0], shortcuts[0], norms[0])
    skip2, h = cell(G.cells[1], h, [skip1], modes[1], shortcuts[1], norms[1])
    _, h = cell(G.cells[2], h, [skip1, skip2], modes[2], shortcuts[2], norms[2])
    expected = torch.tanh(conv3(G.to_image, longhand.relu(batch(G.last_norm, h, None))))
    assert_same(G(z), expected, [z], G)
    assert [c.shortcut is not None for c in G.cells] == list(shortcuts)


def test_backbone_equals_the_longhand_network_and_its_head_has_no_bias():
    D = scrambled(AutoGANBackbone(image_size=32, width=2, spectral_norm="none"))
    h = images = random(2, 3, 32, 32).requires_grad_()
    for i, stage in enumerate(D.stages):
        h = discriminator_block(stage, h, first=i == 0, halve=i < 2)
    features, blocks = D(images)
    assert [block.shape[-1] for block in blocks] == [16, 8, 8, 8]
    assert_same(features, longhand.relu(h).sum((2, 3)), [images], D)
    assert D.make_head("score", 1).bias is None
    normalised = Discriminator(AutoGANBackbone(image_size=32, width=2), SCORE)
    assert len(list(normalised_layers(normalised))) == 3 + 3 + 2 + 2 + 1


def test_starts_with_gain_one_and_torchs_linear_layers():
    torch.manual_seed(0)
    G = AutoGANGenerator(image_size=32, width=32)
    bound = (6 / (9 * 64)) ** 0.5
    assert 0.97 * bound < G.cells[0].conv2.weight.abs().max() <= bound
    assert G.linear.weight.abs().max() <= 128**-0.5 and (G.linear.bias != 0).any()
    assert 0.01 < G.last_norm.weight.std() < 0.03


@pytest.mark.parametrize("size, cure", [(36, 32), (20, 32), (45, 48)])
def test_sizes_are_multiples_of_eight(size, cure):
    for network in (AutoGANGenerator, AutoGANBackbone):
        with pytest.raises(SparringError, match=f"image_size={size}: set data.size={cure}"):
            network(image_size=size)
    assert AutoGANGenerator(image_size=48, width=2)(torch.zeros(2, 128)).shape == (2, 3, 48, 48)
