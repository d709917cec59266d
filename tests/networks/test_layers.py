"""Shared layers against their formulas, in float64."""

import network_formulas as longhand
import pytest
import torch
from network_formulas import random, scrambled
from torch import nn

from sparring.networks.layers import ConditionalBatchNorm2d, base_and_doublings, norm_layer, normalised


@pytest.mark.parametrize(
    "size, expected",
    [(8, (4, 1)), (12, (6, 1)), (28, (7, 2)), (32, (4, 3)), (40, (5, 3)), (48, (6, 3)), (1024, (4, 8))],
)
def test_a_size_is_a_base_doubled(size, expected):
    assert base_and_doublings(size, "network") == expected


def test_conditional_batch_norm_starts_as_plain_batch_norm_in_training_and_evaluation():
    x, labels = random(4, 3, 5, 5), torch.tensor([0, 2, 1, 2])
    conditional, plain = ConditionalBatchNorm2d(3, 3).double(), nn.BatchNorm2d(3).double()
    torch.testing.assert_close(conditional(x, labels), plain(x))
    torch.testing.assert_close(conditional.eval()(x, labels), plain.eval()(x))
    assert not torch.allclose(plain(x), longhand.batch_norm(x))  # evaluation did use the running statistics


def test_conditional_batch_norm_scales_and_shifts_by_class():
    norm = scrambled(ConditionalBatchNorm2d(3, 4))
    x, labels = random(4, 3, 5, 5).requires_grad_(), torch.tensor([0, 3, 3, 1])
    expected = longhand.batch_norm(x, norm.gamma.weight[labels], norm.beta.weight[labels])
    torch.testing.assert_close(norm(x, labels), expected)
    aim = random(4, 3, 5, 5, seed=2)
    ours = torch.autograd.grad((norm(x, labels) * aim).sum(), [x, *norm.parameters()])
    theirs = torch.autograd.grad((expected * aim).sum(), [x, *norm.parameters()])
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)
    assert (ours[1][2] == 0).all() and (ours[1][[0, 1, 3]] != 0).all()  # class 2 is not in the batch


def test_conditional_batch_norm_keeps_channels_last():
    norm = ConditionalBatchNorm2d(3, 4)
    x = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    assert norm(x, torch.tensor([0, 1])).is_contiguous(memory_format=torch.channels_last)


def test_layer_norm_is_over_channels_and_pixels_of_each_sample():
    norm, x = scrambled(norm_layer("layer", 3)), random(4, 3, 5, 5)
    torch.testing.assert_close(normalised(norm, x, None), longhand.layer_norm(x, norm.weight, norm.bias))


def test_momentum_eps_and_statistics_reach_the_layer():
    for classes in (0, 3):
        norm = norm_layer("batch", 2, num_classes=classes, eps=1e-3, momentum=0.25)
        x, labels = random(4, 2, 3, 3).float(), torch.zeros(4, dtype=torch.int64)
        torch.testing.assert_close(normalised(norm, x, labels), longhand.batch_norm(x, eps=1e-3))
        inner = norm.normalise if classes else norm
        torch.testing.assert_close(inner.running_mean, 0.25 * x.mean((0, 2, 3)))
        batch = norm_layer("batch", 2, num_classes=classes, statistics="batch").eval()
        torch.testing.assert_close(normalised(batch, x, labels), longhand.batch_norm(x))
