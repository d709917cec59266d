"""SNGAN's ResNets and standard CNN against their parameter counts and against the networks written out."""

import network_formulas as longhand
import pytest
import torch
from network_formulas import (
    assert_same,
    batch,
    conditional,
    conv3,
    discriminator_block,
    generator_block,
    parameter_count,
    random,
    scrambled,
)

from sparring.networks.discriminator import Discriminator, Head
from sparring.networks.sngan import CNNBackbone, CNNGenerator, SNGANBackbone, SNGANGenerator
from sparring.networks.spectral import normalised_layers

SCORE = {"score": Head(name="score")}


def shapes(network):
    return [(block.conv1.in_channels, block.conv2.out_channels) for block in network]


def test_parameter_counts():
    with torch.device("meta"):
        assert parameter_count(SNGANGenerator(image_size=32)) == 4_276_739
        assert parameter_count(Discriminator(SNGANBackbone(image_size=32), SCORE)) == 1_053_825
        assert parameter_count(CNNGenerator(image_size=32)) == 3_812_355
        for normalisation, count in (("none", 2_927_680), ("batch", 2_930_496), ("layer", 2_930_496)):
            backbone = CNNBackbone(image_size=32, normalisation=normalisation)
            assert parameter_count(backbone) == count
            assert parameter_count(Discriminator(backbone, SCORE)) == count + 8192 + 1
        summed = Discriminator(CNNBackbone(image_size=32, pooling="sum"), SCORE)
        assert parameter_count(summed) == 2_927_680 + 512 + 1


def test_the_64_pixel_pair_is_a_pyramid():
    with torch.device("meta"):
        G, D = SNGANGenerator(image_size=64), SNGANBackbone(image_size=64)
    assert shapes(G.blocks) == [(1024, 512), (512, 256), (256, 128), (128, 64)]
    assert shapes(D.stages) == [(3, 64), (64, 128), (128, 256), (256, 512), (512, 1024)]
    assert [stage.conv1.out_channels for stage in D.stages] == [64, 64, 128, 256, 512]  # hidden: the inputs'
    assert all(stage.halve for stage in D.stages)


def test_layout_and_width_can_be_chosen():
    with torch.device("meta"):
        assert shapes(SNGANGenerator(image_size=64, layout="constant", width=8).blocks) == [(8, 8)] * 4
        D = SNGANBackbone(image_size=64, layout="constant", width=8)
        assert [stage.halve for stage in D.stages] == [True, True, True, False, False]
        assert shapes(SNGANGenerator(image_size=32, layout="pyramid", width=8).blocks) == [(64, 32), (32, 16), (16, 8)]
        assert shapes(SNGANGenerator(image_size=64, width=8, max_width=20).blocks)[0] == (20, 20)


@pytest.mark.parametrize("classes", [0, 4])
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_resnet_generator_equals_the_longhand_network(classes, mode):
    G = scrambled(
        SNGANGenerator(
            image_size=16,
            latent_size=3,
            width=2,
            num_classes=classes,
            upsampling=mode,
            conditioning="conditional_batch_norm" if classes else "none",
        )
    )
    z, labels = random(3, 3).requires_grad_(), torch.tensor([3, 0, 3])
    h = (z @ G.linear.weight.t() + G.linear.bias).view(3, 2, 4, 4)
    for block in G.blocks:
        h = generator_block(block, h, labels, mode, conditional if classes else batch)
    expected = torch.tanh(conv3(G.to_image, longhand.relu(batch(G.last_norm, h, None))))
    assert_same(G(z, labels if classes else None), expected, [z], G)


@pytest.mark.parametrize("layout, halving", [("constant", [1, 0, 0]), ("pyramid", [1, 1, 1])])
def test_resnet_backbone_equals_the_longhand_network(layout, halving):
    D = scrambled(SNGANBackbone(image_size=16, width=2, layout=layout, spectral_norm="none"))
    images = random(3, 3, 16, 16).requires_grad_()
    h, expected = images, []
    for i, stage in enumerate(D.stages):
        h = discriminator_block(stage, h, first=i == 0, halve=halving[i])
        expected.append(longhand.relu(h))
    features, blocks = D(images)
    for ours, theirs in zip(blocks, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-11)
    assert_same(features, longhand.relu(h).sum((2, 3)), [images], D)


def test_spectral_norm_is_on_all_of_d_and_none_of_g_by_default():
    D = Discriminator(SNGANBackbone(image_size=32, width=4), SCORE, num_classes=3, conditioning="projection")
    assert len(list(normalised_layers(D))) == 3 + 3 + 2 + 2 + 2  # two blocks with shortcuts, two without, two heads
    assert not list(normalised_layers(SNGANGenerator(image_size=32, width=4)))


@pytest.mark.parametrize("kind", ["none", "batch", "layer"])
def test_cnn_generator_equals_the_longhand_network(kind):
    G = scrambled(CNNGenerator(image_size=16, latent_size=3, width=2, normalisation=kind))
    norms = {
        "none": lambda n, x: x,
        "batch": lambda n, x: batch(n, x, None),
        "layer": lambda n, x: longhand.layer_norm(x, n.weight, n.bias),
    }
    z = random(3, 3).requires_grad_()
    h = (z @ G.linear.weight.t() + G.linear.bias).view(3, 8, 4, 4)
    for conv, norm in zip(G.convs, G.norms, strict=True):
        h = longhand.relu(norms[kind](norm, longhand.transposed_conv(h, conv.weight, conv.bias, stride=2, padding=1)))
    assert_same(G(z), torch.tanh(conv3(G.to_image, h)), [z], G)


@pytest.mark.parametrize("pooling", ["flatten", "sum"])
@pytest.mark.parametrize("kind", ["none", "batch"])
def test_cnn_backbone_equals_the_longhand_network(kind, pooling):
    D = scrambled(CNNBackbone(image_size=16, width=2, normalisation=kind, spectral_norm="none", pooling=pooling))
    images = random(3, 3, 16, 16).requires_grad_()
    assert [conv.kernel_size[0] for conv in D.convs] == [3, 4, 3, 4, 3]
    assert [conv.out_channels for conv in D.convs] == [2, 2, 4, 4, 8]
    h, outputs = images, []
    for conv, norm in zip(D.convs, D.norms, strict=True):
        h = longhand.conv(h, conv.weight, conv.bias, stride=2 if conv.kernel_size[0] == 4 else 1, padding=1)
        h = longhand.leaky(batch(norm, h, None) if kind == "batch" else h, 0.1)
        outputs.append(h)
    features, blocks = D(images)
    for ours, theirs in zip(blocks, [outputs[1], outputs[3], outputs[4]], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-11)
    assert_same(features, h.flatten(1) if pooling == "flatten" else h.sum((2, 3)), [images], D)


def test_the_cnn_shows_four_blocks_at_32_pixels_and_starts_as_dcgan():
    torch.manual_seed(0)
    D = CNNBackbone(image_size=32, width=16, spectral_norm="none")
    blocks = D(torch.randn(1, 3, 32, 32))[1]
    assert [tuple(block.shape[1:]) for block in blocks] == [(16, 16, 16), (32, 8, 8), (64, 4, 4), (128, 4, 4)]
    for layer in (D.convs[3], D.convs[6], D.make_head("score", 4), CNNGenerator(image_size=32, width=16).linear):
        assert abs(layer.weight.std() / 0.02 - 1) < 0.05 and (layer.bias == 0).all()
