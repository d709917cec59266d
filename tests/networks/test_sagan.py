"""SAGAN against its parameter counts and against attention and the networks written out."""

import network_formulas as longhand
import pytest
import torch
from network_formulas import (
    assert_same,
    conv3,
    discriminator_block,
    generator_block,
    parameter_count,
    random,
    scrambled,
)

from sparring.networks.discriminator import Discriminator, Head
from sparring.networks.sagan import SAGANBackbone, SAGANGenerator, SelfAttention
from sparring.networks.spectral import normalised_layers

SCORE = {"score": Head(name="score")}
CLASSES = {"class_logits": Head(name="class_logits", outputs="num_classes")}


@pytest.mark.parametrize(
    "size, classes, generator, discriminator, auxiliary",
    [
        (128, 1000, 42_078_852, 39_463_618, 1_025_000),
        (64, 1000, 13_354_628, 10_111_170, 513_000),
        (32, 10, 3_249_923, 3_222_337, 2_570),
        (32, 100, 3_491_843, 3_245_377, 25_700),
    ],
)
def test_parameter_counts(size, classes, generator, discriminator, auxiliary):
    with torch.device("meta"):
        G = SAGANGenerator(image_size=size, num_classes=classes, conditioning="conditional_batch_norm")
        options = {"num_classes": classes, "conditioning": "projection"}
        plain = Discriminator(SAGANBackbone(image_size=size), SCORE, **options)
        with_classes = Discriminator(SAGANBackbone(image_size=size), SCORE | CLASSES, **options)
    assert parameter_count(G) == generator
    assert parameter_count(plain) == discriminator
    assert parameter_count(with_classes) == discriminator + auxiliary


def attention_sizes(network, inputs):
    """The output sizes of a network's attention layers in one pass, and what the pass gave."""
    sizes = []

    def note(module, inputs, output):
        sizes.append(output.shape[-1])

    for module in network.modules():
        if isinstance(module, SelfAttention):
            module.register_forward_hook(note)
    return sizes, network(inputs)


def test_attention_stands_at_a_quarter_of_the_size_above_32_pixels():
    for size in (16, 32, 64, 128):
        generator_sizes, images = attention_sizes(SAGANGenerator(image_size=size, width=1), torch.zeros(2, 128))
        backbone_sizes, _ = attention_sizes(SAGANBackbone(image_size=size, width=1), images)
        assert generator_sizes == backbone_sizes == ([size // 4] if size > 32 else [])
    assert any(isinstance(m, SelfAttention) for m in SAGANBackbone(image_size=32, width=8, attention=True).modules())
    assert not any(
        isinstance(m, SelfAttention) for m in SAGANGenerator(image_size=64, width=1, attention=False).modules()
    )


def attention_longhand(layer, x):
    """Pixel by pixel: each query against every pooled key."""
    theta, phi, values = (longhand.conv(x, conv.weight) for conv in (layer.theta, layer.phi, layer.values))
    phi, values = longhand.max_pool(phi).flatten(2), longhand.max_pool(values).flatten(2)
    gathered = torch.zeros(len(x), values.shape[1], *x.shape[2:], dtype=x.dtype)
    for row in range(x.shape[2]):
        for column in range(x.shape[3]):
            logits = torch.einsum("bc,bck->bk", theta[:, :, row, column], phi)
            weights = logits.exp() / logits.exp().sum(1, keepdim=True)
            gathered[:, :, row, column] = torch.einsum("bk,bck->bc", weights, values)
    return x + layer.sigma * longhand.conv(gathered, layer.out.weight)


def test_attention_equals_the_longhand_sum_over_pixels():
    layer = scrambled(SelfAttention(16, "none"))
    x = random(2, 16, 6, 6).requires_grad_()
    assert layer.theta.weight.shape == (2, 16, 1, 1) and layer.values.weight.shape == (8, 16, 1, 1)
    assert_same(layer(x), attention_longhand(layer, x), [x], layer)


def test_attention_starts_as_the_identity_and_sigma_learns():
    torch.manual_seed(0)
    layer, x = SelfAttention(8).double(), random(2, 8, 4, 4)
    assert torch.equal(layer(x), x)
    layer(x).square().sum().backward()
    assert layer.sigma.grad.abs() > 0
    assert layer.theta.parametrizations.weight.original.grad.abs().max() == 0


def test_generator_equals_the_longhand_network():
    options = {"image_size": 16, "latent_size": 3, "width": 2, "num_classes": 4, "attention": True}
    G = SAGANGenerator(**options, conditioning="conditional_batch_norm", spectral_norm="none")
    G, labels, z = scrambled(G), torch.tensor([3, 0, 3]), random(3, 3).requires_grad_()

    def norm(layer, x, labels):
        return longhand.batch_norm(x, layer.gamma.weight[labels], layer.beta.weight[labels], eps=1e-3)

    h = (z @ G.linear.weight.t() + G.linear.bias).view(3, 4, 4, 4)
    h = attention_longhand(G.stage_ends[0], generator_block(G.blocks[0], h, labels, "nearest", norm))
    h = generator_block(G.blocks[1], h, labels, "nearest", norm)
    last = longhand.batch_norm(h, G.last_norm.weight, G.last_norm.bias, eps=1e-3)
    assert_same(G(z, labels), torch.tanh(conv3(G.to_image, longhand.relu(last))), [z], G)
    assert [block.conv1.out_channels for block in G.blocks] == [4, 2]


def test_backbone_equals_the_longhand_network():
    D = scrambled(SAGANBackbone(image_size=16, width=2, attention=True, spectral_norm="none"))
    h = images = random(2, 3, 16, 16).requires_grad_()
    expected = []
    for i, (stage, halve) in enumerate(zip(D.stages, [True, True, False], strict=True)):
        h = discriminator_block(stage, h, first=i == 0, halve=halve)
        h = attention_longhand(D.stage_ends[1], h) if i == 1 else h
        expected.append(longhand.relu(h))
    assert [stage.conv1.out_channels for stage in D.stages] == [2, 4, 4]  # hidden: the outputs'
    features, blocks = D(images)
    for ours, theirs in zip(blocks, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-11)
    assert_same(features, expected[-1].sum((2, 3)), [images], D)


def test_every_weight_is_clamped_but_attentions_which_are_exact():
    D = SAGANBackbone(image_size=64, width=2)
    G = SAGANGenerator(image_size=64, width=2, num_classes=3, conditioning="conditional_batch_norm")
    for network, layers in ((D, 3 * 4 + 2), (G, 3 * 4 + 2)):
        attention = {
            id(norm) for m in network.modules() if isinstance(m, SelfAttention) for norm, _ in normalised_layers(m)
        }
        found = [(norm.clamp, id(norm) in attention) for norm, _ in normalised_layers(network)]
        assert found.count((False, True)) == 4 and found.count((True, False)) == layers
        assert len(found) == 4 + layers
    heads = Discriminator(D, SCORE | CLASSES, num_classes=3, conditioning="projection")
    assert [norm.clamp for norm, _ in normalised_layers(heads)][-3:] == [True] * 3
    exact = SAGANBackbone(image_size=64, width=2, spectral_norm="exact")
    assert not any(norm.clamp for norm, _ in normalised_layers(exact))
    assert not list(normalised_layers(SAGANGenerator(image_size=64, width=2, spectral_norm="none")))


def test_starts_as_plain_batch_norm_whatever_the_class():
    torch.manual_seed(0)
    G = SAGANGenerator(image_size=32, width=2, num_classes=4, conditioning="conditional_batch_norm").double().eval()
    z = random(2, 128)
    torch.testing.assert_close(G(z, torch.tensor([0, 1])), G(z, torch.tensor([3, 2])))
    twin = SAGANGenerator(image_size=32, width=2).double().eval()
    twin.load_state_dict(G.state_dict(), strict=False)
    torch.testing.assert_close(G(z, torch.tensor([0, 1])), twin(z))


def test_starts_xavier_uniform_with_gain_one():
    torch.manual_seed(0)
    D = SAGANBackbone(image_size=32, width=16, spectral_norm="none")
    G = SAGANGenerator(image_size=32, width=16, spectral_norm="none")
    for weight in (D.stages[2].conv1.weight, G.blocks[0].conv2.weight):
        bound = (6 / (9 * 128)) ** 0.5
        assert 0.97 * bound < weight.abs().max() <= bound


def test_batch_norm_moves_slowly_unless_told_otherwise():
    for options, momentum in (({}, 0.001), ({"batch_norm_momentum": 0.1}, 0.1)):
        G = SAGANGenerator(image_size=32, width=2, **options)
        G(torch.randn(8, 128))
        assert (1 - G.blocks[0].norm1.running_var).abs().max() <= momentum * 1.0001
        assert G.blocks[0].norm1.momentum == momentum and G.blocks[0].norm1.eps == 1e-3
