"""The small R3GAN network against its blocks, resampling and whole written out."""

import network_formulas as longhand
import pytest
import torch
from network_formulas import assert_same, parameter_count, random, scrambled

from sparring.errors import SparringError
from sparring.networks.r3gan import Block, R3GANBackbone, R3GANGenerator, Resample


def grouped(layer, x, groups):
    parts = [
        longhand.conv(part, kernel, padding=1)
        for part, kernel in zip(x.chunk(groups, 1), layer.weight.chunk(groups), strict=True)
    ]
    return torch.cat(parts, 1) + layer.bias[None, :, None, None]


def block_longhand(block, x, groups):
    h = longhand.leaky(longhand.conv(x, block.enter.weight, block.enter.bias), 0.2)
    h = longhand.leaky(grouped(block.mix, h, groups), 0.2)
    return x + longhand.conv(h, block.leave.weight)


def double_longhand(x):
    y = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    for i in range(2 * x.shape[2]):
        for j in range(2 * x.shape[3]):
            rows = [i // 2] if i % 2 else [i // 2 - 1, i // 2]
            columns = [j // 2] if j % 2 else [j // 2 - 1, j // 2]
            inside = [x[:, :, r, c] for r in rows for c in columns if r >= 0 and c >= 0]
            y[:, :, i, j] = sum(inside) / (len(rows) * len(columns))
    return y


def halve_longhand(x):
    y = x.new_zeros(*x.shape[:2], x.shape[2] // 2, x.shape[3] // 2)
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            for r, row_share in ((2 * i - 1, 0.25), (2 * i, 0.5), (2 * i + 1, 0.25)):
                for c, share in ((2 * j - 1, 0.25), (2 * j, 0.5), (2 * j + 1, 0.25)):
                    if r >= 0 and c >= 0:
                        y[:, :, i, j] += row_share * share * x[:, :, r, c]
    return y


@pytest.mark.parametrize("direction, formula", [("double", double_longhand), ("halve", halve_longhand)])
def test_resampling_is_the_binomial_filter(direction, formula):
    x = random(2, 3, 6, 6).requires_grad_()
    layer = Resample(3, direction).double()
    assert_same(layer(x), formula(x), [x], layer)
    assert not list(layer.state_dict())


def test_block_equals_the_formula_and_starts_as_the_identity():
    block, x = Block(4, 2, 2, depth=8).double(), random(2, 4, 5, 5).requires_grad_()
    assert torch.equal(block(x), x)
    assert_same(scrambled(block)(x), block_longhand(block, x, 2), [x], block)


def test_networks_equal_the_longhand_ones():
    options = {"image_size": 16, "width": 4, "blocks": 1, "expansion": 2, "cardinality": 2}
    G, D = scrambled(R3GANGenerator(latent_size=3, **options)), scrambled(R3GANBackbone(**options))
    z = random(2, 3).requires_grad_()
    h = torch.einsum("bc,chw->bchw", z @ G.linear.weight.t(), G.basis)
    for i, stage in enumerate(G.stages):
        h = block_longhand(stage[0], double_longhand(h) if i else h, 2)
    assert_same(G(z), torch.tanh(longhand.conv(h, G.to_image.weight)), [z], G)

    images = random(2, 3, 16, 16).requires_grad_()
    h, expected = longhand.conv(images, D.from_image.weight), []
    for i, stage in enumerate(D.stages):
        h = block_longhand(stage[0], halve_longhand(h) if i else h, 2)
        expected.append(h)
    features, blocks = D(images)
    for ours, theirs in zip(blocks, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-11)
    assert_same(features, torch.einsum("bchw,chw->bc", h, D.basis.weight[:, 0]), [images], D)


def test_starts_at_the_scale_of_its_depth():
    torch.manual_seed(0)
    D = R3GANBackbone(image_size=32, width=48, cardinality=6)
    gain = (2 / 1.04) ** 0.5 * 8**-0.25  # four stages of two blocks
    block = D.stages[1][0]
    assert abs(block.enter.weight.std() / (gain * 48**-0.5) - 1) < 0.05
    assert abs(block.mix.weight.std() / (gain * (16 * 9) ** -0.5) - 1) < 0.05
    assert (block.leave.weight == 0).all() and (block.enter.bias == 0).all()
    assert abs(D.make_head("score", 64).weight.std() / 48**-0.5 - 1) < 0.05
    assert D.make_head("score", 1).bias is None


def test_the_authors_cifar_10_size_follows_from_its_options():
    with torch.device("meta"):
        D = R3GANBackbone(image_size=32, width=768, cardinality=96)
    inner = 1536
    block = (768 * inner + inner) + (inner * 16 * 9 + inner) + inner * 768
    assert parameter_count(D) == 3 * 768 + 8 * block + 768 * 16


def test_cardinality_must_divide_the_inner_width():
    with pytest.raises(SparringError, match="cardinality divides width \\* expansion = 20, got 12"):
        R3GANGenerator(image_size=32, width=10)
