"""The convolution with which torch corrupts memory on some CPUs: what is one, which CPUs take it, and who is told."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import sparring
from sparring.classify.networks import Strided1x1, build_classifier
from sparring.errors import SparringError
from sparring.networks import faulty_convolution
from sparring.networks.faulty_convolution import strided_1x1_refused, this_cpu_is_affected


def found(pass_through) -> list[str]:
    lines: list[str] = []
    with strided_1x1_refused("N", lines.append):
        pass_through()
    return lines


@pytest.fixture(autouse=True)
def unaffected(monkeypatch):
    monkeypatch.setattr(faulty_convolution, "this_cpu_is_affected", lambda: False)


def convolve(*, channels=3, kernel=1, stride=2, padding=0, groups=1, last=True, weights_last=True, dtype=torch.float32):
    x = torch.zeros(2, channels, 8, 8, dtype=dtype)
    weight = torch.zeros(8 * groups, channels // groups, kernel, kernel, dtype=dtype)
    x = x.to(memory_format=torch.channels_last) if last else x
    weight = weight.to(memory_format=torch.channels_last) if weights_last else weight
    return lambda: F.conv2d(x, weight, stride=stride, padding=padding, groups=groups)


@pytest.mark.parametrize("channels", range(1, 9))
def test_few_channels_are_found(channels):
    assert bool(found(convolve(channels=channels))) == (channels < 7)


@pytest.mark.parametrize("stride", [2, 3, 4, (1, 2), (2, 1)])
def test_every_stride_is_found(stride):
    assert found(convolve(stride=stride))


def test_either_of_image_and_weight_makes_it_channels_last():
    """As torch decides; tried with a checking malloc for each of the four."""
    for last, weights_last in itertools.product((False, True), repeat=2):
        assert bool(found(convolve(last=last, weights_last=weights_last))) == (last or weights_last)


@pytest.mark.parametrize(
    "sound",
    [{"stride": 1}, {"kernel": 2}, {"kernel": 3}, {"padding": 1}, {"groups": 3}, {"dtype": torch.float64}],
    ids=str,
)
def test_sound_ones_are_left_alone(sound):
    assert not found(convolve(**sound))


def test_a_transposed_one_is_told_by_its_output_channels():
    def up(inputs, outputs):
        x = torch.zeros(2, inputs, 4, 4).to(memory_format=torch.channels_last)
        return lambda: F.conv_transpose2d(x, torch.zeros(inputs, outputs, 1, 1), stride=2, output_padding=1)

    assert "transposed" in found(up(16, 3))[0] and not found(up(3, 16))


@pytest.mark.parametrize(
    ("limit", "avx2", "avx512", "expected"),
    [
        ("", True, False, True),
        ("", True, True, False),
        ("", False, False, False),
        ("avx2", True, True, True),
        ("AVX2_VNNI", True, True, True),
        ("AVX512_CORE", True, True, False),
        ("AVX512_CORE", True, False, True),
        ("AVX", True, False, False),
        ("SSE41", True, True, False),
    ],
)
def test_which_cpus_take_the_kernel(monkeypatch, limit, avx2, avx512, expected):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    monkeypatch.setattr(torch.cpu, "_is_avx2_supported", lambda: avx2)
    monkeypatch.setattr(torch.cpu, "_is_avx512_supported", lambda: avx512)
    assert this_cpu_is_affected() == expected


def test_what_an_affected_cpu_says(monkeypatch):
    monkeypatch.setattr(faulty_convolution, "this_cpu_is_affected", lambda: True)
    with pytest.raises(SparringError, match=r"N has a 1x1 convolution of stride 2 with 3 input channels.*x\[:, :, ::2"):
        found(convolve())


# --- ours ---


def test_no_layer_of_our_classifiers_is_one():
    for options in ({"width": 1}, {"width": 2}, {"width": 6, "blocks": (1, 1, 1)}):
        network = build_classifier("resnet18", options, image_size=16, image_channels=3, outputs=2, seed=0)
        images = torch.zeros(2, 3, 16, 16).to(memory_format=torch.channels_last)
        assert not found(lambda network=network, images=images: network(images))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [6, 7])
def test_the_shortcut_is_the_strided_convolution(stride, side):
    torch.manual_seed(0)
    layer = Strided1x1(3, 5, stride).double()
    x = torch.randn(2, 3, side, side, dtype=torch.float64, requires_grad=True)
    ours, plain = layer(x), F.conv2d(x, layer.weight, stride=stride)
    torch.testing.assert_close(ours, plain)
    weights = torch.randn_like(plain)
    for a, b in zip(
        torch.autograd.grad((ours * weights).sum(), (x, layer.weight)),
        torch.autograd.grad((plain * weights).sum(), (x, layer.weight)),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


# --- a user's ---


class Strided(nn.Module):
    """A discriminator with such a layer; `last` runs it channels-last in anyone's loop."""

    channels = 8

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 8, 1, stride=2)

    def forward(self, images, labels=None):
        return self.layer(images).mean((2, 3)), []


class Score(Strided):
    def forward(self, images):
        return self.layer(images).mean((1, 2, 3))


def test_ones_own_loop(monkeypatch):
    objective = sparring.Objective(hinge=sparring.Hinge())
    real, fake = (torch.rand(4, 3, 8, 8).to(memory_format=torch.channels_last) for _ in range(2))
    D = objective.attach(Score())
    with pytest.warns(UserWarning, match="cannot be trained"):
        objective.discriminator(D, real, fake, step=0)
    objective.discriminator(D, real, fake, step=1)  # said once
    contiguous = objective.attach(Score())
    objective.discriminator(contiguous, real.contiguous(), fake.contiguous(), step=0)
    monkeypatch.setattr(faulty_convolution, "this_cpu_is_affected", lambda: True)
    with pytest.raises(SparringError, match="this discriminator has a 1x1"):
        objective.discriminator(objective.attach(Score()), real, fake, step=0)
