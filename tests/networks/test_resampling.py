"""Fused convolutions, beside a resampling and to an image, against the plain order and loops over pixels, in float64:
values, first and second derivatives, what they hold and how many multiplications they take."""

import pytest
import torch
import torch.nn.functional as F
from network_formulas import random
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sparring.networks.autogan import AutoGANBackbone, AutoGANGenerator
from sparring.networks.image_conv import ImageConv
from sparring.networks.resampling import ConvPool, UpConv
from sparring.networks.resnet_as import ASBackbone, ASGenerator
from sparring.networks.sagan import SAGANBackbone, SAGANGenerator
from sparring.networks.sngan import SNGANBackbone, SNGANGenerator
from sparring.networks.spectral import held, spectral_norm

LAYERS = {"up": UpConv, "pool": ConvPool, "image": ImageConv}
SIZES = [(2, 2), (4, 6), (5, 7), (1, 3)]


def a_pair(name: str, **options: object) -> tuple[nn.Module, nn.Module]:
    """The layer in both forms, with equal weights."""
    pair = [LAYERS[name](2, 3, fused=fused, **options).double() for fused in (True, False)]
    pair[1].load_state_dict(pair[0].state_dict())
    return pair[0], pair[1]


def by_loops(name: str, layer: nn.Module, x: Tensor) -> Tensor:
    """The plain order, pixel by pixel."""
    if name == "up":
        x = torch.stack([x[:, :, i // 2] for i in range(2 * x.shape[2])], 2)
        x = torch.stack([x[:, :, :, j // 2] for j in range(2 * x.shape[3])], 3)
    height, width = x.shape[2:]
    padded = torch.zeros(*x.shape[:2], height + 2, width + 2, dtype=x.dtype)
    padded[:, :, 1:-1, 1:-1] = x
    y = torch.zeros(len(x), layer.weight.shape[0], height, width, dtype=x.dtype)
    for i in range(height):
        for j in range(width):
            window = padded[:, None, :, i : i + 3, j : j + 3]
            y[:, :, i, j] = (window * layer.weight).sum((2, 3, 4)) + layer.bias
    if name != "pool":
        return y
    rows = [(y[:, :, 2 * i] + y[:, :, 2 * i + 1]) / 2 for i in range(height // 2)]
    y = torch.stack(rows, 2)
    return torch.stack([(y[:, :, :, 2 * j] + y[:, :, :, 2 * j + 1]) / 2 for j in range(width // 2)], 3)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", LAYERS)
def test_values_are_those_of_loops_over_pixels(name, size):
    if name == "pool" and 1 in size:
        size = (3, 3)  # an odd row or column at the end is left out, as average pooling does
    for layer in a_pair(name):
        x = random(2, 2, *size)
        with torch.no_grad():
            torch.testing.assert_close(layer(x), by_loops(name, layer, x), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", LAYERS)
def test_first_and_second_derivatives_are_those_of_the_plain_order(name):
    found = []
    x = random(2, 2, 4, 6)
    for layer in a_pair(name):
        image = x.clone().requires_grad_()
        loss = layer(image).tanh().square().sum()
        (gradient,) = torch.autograd.grad(loss, image, create_graph=True)
        penalty = gradient.square().sum()
        found.append([gradient, *torch.autograd.grad(loss + penalty, [image, *layer.parameters()])])
    for ours, plain in zip(*found, strict=True):
        assert plain.abs().max() > 1e-2
        torch.testing.assert_close(ours, plain, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_a_spectrally_normalised_layer_is_normalised_as_the_3x3_one_is(name, channels_last):
    """sigma is that of the 3x3 weight, in both of its memory layouts, and the gradient reaches the raw weight."""
    found = []
    x = random(2, 2, 4, 4)
    for layer in a_pair(name):
        torch.manual_seed(1)
        layer = spectral_norm(layer)
        if channels_last:
            layer = layer.to(memory_format=torch.channels_last)
        with held(layer, iterate=True):
            y = layer(x)
        y.square().sum().backward()
        assert layer.weight.shape == (3, 2, 3, 3)
        found.append([y, layer.parametrizations.weight.original.grad, layer.bias.grad])
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-11, atol=1e-12)


def test_the_folded_taps_of_one_row():
    """Weights 1, 10, 100 along a row and an image of one line: numbers to check by eye."""
    up, pool = (LAYERS[name](1, 1).double() for name in ("up", "pool"))
    for layer in (up, pool):
        with torch.no_grad():
            layer.weight.zero_()
            layer.weight[0, 0, 1] = torch.tensor([1.0, 10.0, 100.0])
            layer.bias.fill_(0.5)
    with torch.no_grad():
        # 2 2 3 3 between zeros: 2 * 10 + 2 * 100; 2 + 20 + 300; 2 + 30 + 300; 3 + 30
        torch.testing.assert_close(
            up(torch.tensor([[[[2.0, 3.0]]]]).double())[0, 0, 0], random(0).new_tensor([220.5, 322.5, 332.5, 33.5])
        )
        # columns 2 5 on two rows: (20 + 500 + 2 + 50) / 2, the same in both rows
        image = torch.tensor([[[[2.0, 5.0], [2.0, 5.0]]]]).double()
        torch.testing.assert_close(pool(image), torch.full((1, 1, 1, 1), 286.5, dtype=torch.float64))


def test_bilinear_doubling_stays_in_the_plain_order():
    fused, plain = a_pair("up", mode="bilinear")
    assert not fused.fused
    x = random(2, 2, 3, 3)
    assert torch.equal(fused(x), plain(x))
    assert not torch.allclose(fused(x), a_pair("up")[0](x))


@pytest.mark.parametrize("name", ["up", "pool"])
def test_four_ninths_of_the_multiplications_forward_and_backward(name):
    counts = []
    for fused in (True, False):
        layer = LAYERS[name](32, 32, fused=fused)
        x = torch.randn(4, 32, 16, 16, requires_grad=True)
        with FlopCounterMode(display=False) as counter:
            layer(x).sum().backward()
        counts.append({op: n for op, n in counter.get_flop_counts()["Global"].items() if "conv" in str(op)})
    assert 9 * sum(counts[0].values()) == 4 * sum(counts[1].values()) > 0


def could_be(layer: nn.Module) -> bool:
    """Bilinear doubling and 1x1 convolutions have no other form."""
    return getattr(layer, "mode", "nearest") == "nearest" and layer.kernel_size != (1, 1)


NETWORKS = {
    "sngan": (SNGANGenerator, SNGANBackbone, {"width": 4}, 16),
    "sagan": (SAGANGenerator, SAGANBackbone, {"width": 4, "attention": True}, 16),
    "autogan": (AutoGANGenerator, AutoGANBackbone, {"width": 4}, 32),
    "resnet_as": (ASGenerator, ASBackbone, {"width": 4}, 16),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_whole_networks_fused_and_plain(name):
    """Fused by default, the same parameters under the same names, and the same values and gradients."""
    generator, backbone, options, size = NETWORKS[name]
    for make, more in ((generator, {"latent_size": 6}), (backbone, {})):
        found = []
        state = None
        for fused in ({}, {"fused": False}):
            torch.manual_seed(0)
            network = make(image_size=size, **options, **more, **fused).double()
            state = state or network.state_dict()
            assert list(state) == list(network.state_dict())
            network.load_state_dict(state)
            layers = [m for m in network.modules() if isinstance(m, UpConv | ConvPool | ImageConv)]
            assert layers and all(m.fused == (not fused and could_be(m)) for m in layers)
            x = (random(3, 6) if more else random(3, 3, size, size)).requires_grad_()
            with held(network, iterate=False):
                y = network(x) if more else network(x)[0]
                y.square().sum().backward()
            found.append([y.detach(), x.grad, *(p.grad for p in network.parameters() if p.grad is not None)])
        assert len(found[0]) > 10
        for ours, plain in zip(*found, strict=True):
            # rtol is of the largest entry: biases before batch norm have a gradient of zero but for rounding
            torch.testing.assert_close(ours, plain, rtol=0, atol=1e-10 * float(1 + plain.abs().max()))


def test_half_precision_folds_too():
    layer, plain = a_pair("pool")
    x = random(2, 2, 4, 4)
    ours = layer.to(torch.bfloat16)(x.to(torch.bfloat16)).double()
    torch.testing.assert_close(ours, F.avg_pool2d(nn.Conv2d.forward(plain, x), 2), rtol=0.05, atol=0.05)
