"""3x3 convolutions by minimal filtering against the plain sum, in float64: values, both gradients, second derivatives, and
when the detour is taken."""

import pytest
import torch
import torch.nn.functional as F
from network_formulas import random

from sparring.networks import winograd
from sparring.networks.kernels import Kernels, using
from sparring.networks.spectral import held, spectral_norm
from sparring.networks.winograd import Conv3x3


@pytest.fixture
def open_to_all(monkeypatch):
    """The detour for narrow layers too, two images of 6 windows at a time, so that three are not one lot."""
    monkeypatch.setattr(winograd, "WINDOWS_AT_ONCE", 12)
    with using(Kernels(winograd=(4, 1))):
        yield


@pytest.fixture
def detours(monkeypatch):
    """How often the detour is taken."""
    taken = []
    real = winograd._convolve
    monkeypatch.setattr(winograd, "_convolve", lambda x, w: taken.append(x.shape) or real(x, w))
    return taken


def by_loops(x, weight, bias):
    padded = F.pad(x, (1, 1, 1, 1))
    y = torch.empty(len(x), len(weight), *x.shape[2:], dtype=x.dtype)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            y[:, :, i, j] = (padded[:, None, :, i : i + 3, j : j + 3] * weight).sum((2, 3, 4)) + bias
    return y


@pytest.mark.parametrize("batch", [1, 2, 3, 5])
@pytest.mark.parametrize(("height", "width"), [(8, 12), (4, 4), (16, 4)])
def test_values_are_those_of_loops_over_pixels(open_to_all, detours, batch, height, width):
    layer = Conv3x3(3, 5).double()
    x = random(batch, 3, height, width)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), by_loops(x, layer.weight, layer.bias), rtol=1e-12, atol=1e-12)
    assert len(detours) == 1


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_gradients_are_those_of_the_plain_sum(open_to_all, memory):
    fast, plain = Conv3x3(3, 5).double(), Conv3x3(3, 5, fused=False).double()
    plain.load_state_dict(fast.state_dict())
    found = []
    for layer in (fast, plain):
        x = random(3, 3, 8, 12).contiguous(memory_format=memory).requires_grad_()
        (layer(x) * random(3, 5, 8, 12, seed=1)).sum().backward()
        found.append((x.grad, layer.weight.grad, layer.bias.grad))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12)


def test_first_and_second_derivatives_by_differences(open_to_all):
    layer = Conv3x3(2, 3).double()

    def made(x, weight):
        return torch.func.functional_call(layer, {"weight": weight}, (x,))

    arguments = (random(2, 2, 4, 8).requires_grad_(), random(3, 2, 3, 3, seed=1).requires_grad_())
    assert torch.autograd.gradcheck(made, arguments)
    assert torch.autograd.gradgradcheck(made, arguments)


def test_only_what_is_asked_for_is_computed(open_to_all, monkeypatch):
    layer = Conv3x3(2, 2).double().requires_grad_(False)
    monkeypatch.setattr(winograd, "_kernels_gradient", None)  # frozen weights, as in the generator's update
    x = random(1, 2, 4, 4).requires_grad_()
    layer(x).sum().backward()
    assert x.grad.abs().max() > 0


def test_with_spectral_norm_and_its_gradient(open_to_all):
    pair = [spectral_norm(Conv3x3(2, 3, fused=fused).double(), "exact") for fused in (True, False)]
    pair[1].load_state_dict(pair[0].state_dict())
    for layer in pair:
        with held(layer, iterate=True):
            (layer(random(2, 2, 8, 8)).square().sum()).backward()
    raw = [layer.parametrizations.weight.original.grad for layer in pair]
    torch.testing.assert_close(raw[0], raw[1], rtol=1e-10, atol=1e-12)


def test_wide_layers_at_most_sizes_take_it(detours):
    wide = Conv3x3(128, 128)
    for size, expected in ((8, 1), (12, 2), (10, 2), (4, 2), (16, 3)):
        wide(torch.zeros(1, 128, size, size))
        assert len(detours) == expected
    Conv3x3(128, 64)(torch.zeros(1, 128, 8, 8))
    Conv3x3(128, 128, fused=False)(torch.zeros(1, 128, 8, 8))
    with torch.autocast("cpu", torch.bfloat16):
        assert wide(torch.zeros(1, 128, 8, 8)).dtype == torch.bfloat16
    Conv3x3(128, 128).to("meta")(torch.zeros(1, 128, 8, 8, device="meta"))
    wide.bfloat16()(torch.zeros(1, 128, 8, 8, dtype=torch.bfloat16))
    assert len(detours) == 3


def test_a_sample_is_the_same_in_any_batch():
    layer, x = Conv3x3(128, 128), random(9, 128, 8, 8).float()
    with torch.no_grad():
        torch.testing.assert_close(layer(x)[:2], layer(x[:2]), rtol=1e-4, atol=1e-5)


def test_in_single_precision_rounding_is_a_hundred_thousandth():
    layer, x = Conv3x3(128, 128), random(2, 128, 16, 16).float()
    with torch.no_grad():
        exact = F.conv2d(x.double(), layer.weight.double(), layer.bias.double(), padding=1)
        assert (layer(x) - exact).abs().max() < 3e-5 * exact.abs().max()
