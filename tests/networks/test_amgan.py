"""AM-GAN's pair against its parameter counts, its odd layers by hand, and the networks written out."""

import network_formulas as longhand
import pytest
import torch
import torch.nn.functional as F
from network_formulas import assert_same, parameter_count, random, scrambled

from sparring.errors import SparringError
from sparring.networks.amgan import (
    AMGANBackbone,
    AMGANGenerator,
    SameConv,
    SameTransposedConv,
    truncated_normal,
    weight_normalised,
)


def test_parameter_counts():
    with torch.device("meta"):
        assert parameter_count(AMGANGenerator(image_size=32, latent_size=100)) == 4_743_846
        D = AMGANBackbone(image_size=32)
        assert parameter_count(D, D.make_head("class_logits", 11)) == 1_559_382
        assert parameter_count(D, D.make_head("class_logits", 10)) == 1_558_868


def weight(layer):
    """g v / |v|, unit by unit."""
    g, v = layer.parametrizations.weight.original0, layer.parametrizations.weight.original1
    axis = 1 if isinstance(layer, torch.nn.ConvTranspose2d) else 0
    units = [v.select(axis, i) for i in range(v.shape[axis])]
    return torch.stack([g.flatten()[i] * unit / (unit**2).sum() ** 0.5 for i, unit in enumerate(units)], axis)


def same_conv(layer, x, stride):
    """Output pixel (i, j) looks at 3x3 pixels from (i s - p, j s - p), p being 1 for stride 1 and 0 for stride 2."""
    before = 1 if stride == 1 else 0
    padded = F.pad(x, (before, 2, before, 2))
    size = x.shape[-1] // stride
    rows = [
        torch.stack(
            [
                torch.einsum(
                    "bikl,oikl->bo",
                    padded[:, :, i * stride : i * stride + 3, j * stride : j * stride + 3],
                    weight(layer),
                )
                for j in range(size)
            ],
            -1,
        )
        for i in range(size)
    ]
    return torch.stack(rows, -2) + layer.bias[None, :, None, None]


def same_transposed(layer, x, stride):
    size = x.shape[-1] * stride
    full = longhand.transposed_conv(x, weight(layer), stride=stride)
    first = 1 if stride == 1 else 0
    return full[:, :, first : first + size, first : first + size] + layer.bias[None, :, None, None]


@pytest.mark.parametrize("stride", [1, 2])
def test_padding_is_tensorflows_same_and_the_transpose_is_the_transpose(stride):
    conv, transposed = scrambled(SameConv(2, 3, stride)), scrambled(SameTransposedConv(3, 2, stride))
    with torch.no_grad():
        transposed.weight.copy_(conv.weight)
        conv.bias.zero_()
        transposed.bias.zero_()
    x, y = random(2, 2, 8, 8), random(2, 3, 8 // stride, 8 // stride, seed=1)
    torch.testing.assert_close((conv(x) * y).sum(), (x * transposed(y)).sum())  # <A x, y> = <x, A^T y>
    corner = torch.zeros(1, 2, 8, 8, dtype=torch.float64)
    corner[0, 0, 0, 0] = 1
    seen = conv(corner)[0, :, 0, 0]
    torch.testing.assert_close(seen, conv.weight[:, 0, 1, 1] if stride == 1 else conv.weight[:, 0, 0, 0])


def test_weights_start_at_unit_norm_with_a_small_direction():
    torch.manual_seed(0)
    for layer, norm in (
        (torch.nn.Linear(64, 32), 1),
        (SameConv(16, 32, 2), 1),
        (SameTransposedConv(16, 32, 2), 2),
        (SameTransposedConv(16, 32, 1), 1),
    ):
        weight_normalised(layer)
        axis = 1 if isinstance(layer, SameTransposedConv) else 0
        norms = layer.weight.transpose(0, axis).flatten(1).norm(dim=1)
        torch.testing.assert_close(norms, torch.full((32,), float(norm)))
        direction = layer.parametrizations.weight.original1
        assert abs(direction.std() / 0.01 - 1) < 0.05 and direction.abs().max() <= 0.01 * 3**0.5
        assert (layer.bias == 0).all()


def test_generator_equals_the_longhand_network():
    G = scrambled(AMGANGenerator(image_size=16, latent_size=3, width=2))
    z = random(4, 3).requires_grad_()
    h = (z @ weight(G.linear).t() + G.linear.bias).view(4, 8, 4, 4)
    h = longhand.leaky(longhand.batch_norm(h, G.norms[0].weight, G.norms[0].bias, eps=1e-3), 0.2)
    for conv, norm in zip(G.convs, G.norms[1:], strict=True):
        h = longhand.batch_norm(same_transposed(conv, h, 2), norm.weight, norm.bias, eps=1e-3)
        h = longhand.leaky(h, 0.2)
    expected = torch.tanh(same_transposed(G.to_image, h, 1))
    assert_same(G(z), expected, [z], G)
    torch.testing.assert_close(G.eval()(z), expected)  # batch statistics in sampling too
    assert G.batch_statistics and not list(G.buffers())
    assert not AMGANGenerator(image_size=16, width=2, sampling_statistics="running").batch_statistics


def test_backbone_equals_the_longhand_network():
    D = scrambled(AMGANBackbone(image_size=16, width=2, noise=0, dropout=0))
    images = random(4, 3, 16, 16).requires_grad_()
    h, expected = images, []
    for i, (conv, norm) in enumerate(zip(D.convs, D.norms, strict=True)):
        h = same_conv(conv, h, 1 if i == 0 else 2)
        h = longhand.leaky(h if i == 0 else longhand.batch_norm(h, norm.weight, norm.bias, eps=1e-3), 0.2)
        expected.append(h)
    features, blocks = D(images)
    for ours, theirs in zip(blocks, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-11)
    assert_same(features, h.sum((2, 3)) / 4, [images], D)  # 4 times the mean over 4x4
    head = scrambled(D.make_head("score", 3))
    torch.testing.assert_close(head(features), features @ weight(head).t() + head.bias)


def test_noise_is_truncated_added_and_multiplied_in_training_alone():
    torch.manual_seed(0)
    D, zeros, ones = AMGANBackbone(image_size=32, width=2), torch.zeros(32, 3, 32, 32), torch.ones(32, 3, 32, 32)
    additive = truncated_normal(zeros, 0, 0.1)
    # a normal cut off at 2 sigma keeps 0.88 of its standard deviation
    assert abs(additive.std() / 0.088 - 1) < 0.02 and additive.abs().max() <= 0.2
    noisy = D._noisy(zeros)
    assert abs(noisy.std() / (0.088 * (1 + 0.088**2) ** 0.5) - 1) < 0.02 and noisy.abs().max() <= 0.2 * 1.2
    noisy = D._noisy(ones)
    variance = (1 + 0.088**2) ** 2 - 1  # of a product of two independent factors around 1
    assert abs(noisy.mean() - 1) < 0.003 and abs(noisy.std() / variance**0.5 - 1) < 0.02
    assert torch.equal(D.eval()._noisy(ones), ones)
    assert torch.equal(AMGANBackbone(image_size=32, width=2, noise=0)._noisy(ones), ones)


def test_dropout_keeps_the_second_moment_and_not_the_mean():
    torch.manual_seed(0)
    D, ones = AMGANBackbone(image_size=16, width=2), torch.ones(200_000)
    dropped = D._dropped(ones)
    torch.testing.assert_close(dropped.unique(), torch.tensor([0, 0.7**-0.5]))
    assert abs(dropped.square().mean() - 1) < 0.01 and abs(dropped.mean() - 0.7**0.5) < 0.01
    assert torch.equal(D.eval()._dropped(ones), ones)


def test_randomness_is_the_global_generators_and_reaches_the_features():
    D, images = AMGANBackbone(image_size=16, width=4, normalisation="none"), torch.rand(2, 3, 16, 16)
    torch.manual_seed(1)
    first, again = D(images)[0], D(images)[0]
    torch.manual_seed(1)
    torch.testing.assert_close(D(images)[0], first)
    assert not torch.allclose(first, again)
    D.eval()
    torch.testing.assert_close(D(images)[0], D(images)[0], rtol=0, atol=0)
    dropped = AMGANBackbone(image_size=16, width=32, noise=0, normalisation="none")(images)[0]
    assert all((block != 0).all() for block in D.train()(images)[1])  # blocks are taken before it
    assert 0.15 < (dropped == 0).float().mean() < 0.45  # the last dropout acts on the features


@pytest.mark.parametrize("option", [{"dropout": 1.0}, {"dropout": -0.1}, {"noise": -1.0}])
def test_impossible_options_are_refused(option):
    with pytest.raises(SparringError, match=f"got {next(iter(option.values()))}"):
        AMGANBackbone(image_size=32, **option)
