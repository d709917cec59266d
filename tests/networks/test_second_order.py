"""Batch normalisation with a written-out second derivative: torch's own values and derivatives, in float64."""

import pytest
import torch
import torch.nn.functional as F
from network_formulas import random
from torch import nn

from sparring.networks.second_order import TwiceDifferentiable

SHAPES = [(4, 3, 2, 5), (6, 2), (3, 4, 1, 1), (5, 2, 7)]


def a_norm(shape, inside):
    norm = (nn.BatchNorm1d if len(shape) < 4 else nn.BatchNorm2d)(shape[1]).double()
    with torch.no_grad():
        norm.weight.copy_(random(shape[1], seed=7)), norm.bias.copy_(random(shape[1], seed=8))

    def normalise(x):
        if not inside:
            return norm(x)
        with TwiceDifferentiable():
            return norm(x)

    return norm, normalise


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("memory", ["plain", "channels-last"])
def test_all_derivatives_of_a_penalty_are_torchs(shape, memory):
    found = []
    for inside in (True, False):
        norm, normalise = a_norm(shape, inside)
        x = random(*shape)
        if memory == "channels-last" and len(shape) == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        x.requires_grad_()
        y = normalise(x)
        score = (torch.tanh(y) * random(*shape, seed=1)).sum()
        gradient, of_weight, of_bias = torch.autograd.grad(score, (x, norm.weight, norm.bias), create_graph=True)
        penalty = (gradient * random(*shape, seed=2)).square().sum() + (of_weight**3).sum() + (of_bias**3).sum() + score
        penalty.backward()
        found.append([y, gradient, x.grad, norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-9)  # of sums of thousands, which cancel


def test_the_gradient_of_the_input_alone():
    found = []
    for inside in (True, False):
        norm, normalise = a_norm(SHAPES[0], inside)
        x = random(*SHAPES[0]).requires_grad_()
        (gradient,) = torch.autograd.grad((normalise(x) ** 3).sum(), x, create_graph=True)
        (gradient.square().sum() - 1).square().backward()
        found.append([x.grad, norm.weight.grad, norm.bias.grad])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-9)


def test_differences_confirm_it():
    def normalised(x, weight, bias):
        with TwiceDifferentiable():
            return F.batch_norm(x, None, None, weight, bias, training=True)

    arguments = [random(*shape, seed=i).requires_grad_() for i, shape in enumerate([(3, 2, 2, 2), (2,), (2,)])]
    assert torch.autograd.gradcheck(normalised, arguments)
    assert torch.autograd.gradgradcheck(normalised, arguments)


def test_on_running_statistics_nothing_changes():
    norm, normalise = a_norm(SHAPES[0], True)
    norm.eval()
    x = random(*SHAPES[0])
    assert torch.equal(normalise(x), norm(x))
