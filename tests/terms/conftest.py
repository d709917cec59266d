"""Gradients without autograd: central differences of a formula written in plain floats."""

import pytest
import torch


@pytest.fixture
def slopes():
    """slopes(f, values): d f / d values for nested lists of numbers, as a float64 tensor of their shape."""

    def gradient(formula, values, h=1e-5):
        point = torch.tensor(values, dtype=torch.float64)
        found = torch.zeros_like(point)
        for i in range(point.numel()):
            for sign in (1, -1):
                moved = point.clone()
                moved.view(-1)[i] += sign * h
                found.view(-1)[i] += sign * formula(moved.tolist()) / (2 * h)
        return found

    return gradient


@pytest.fixture
def equal():
    """equal(value, formula's value, [(leaf, its gradient by the formula)]): differentiates the value and compares all."""

    def compare(value, expected, gradients):
        torch.testing.assert_close(value.detach(), torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=1e-12)
        found = torch.autograd.grad(value, [leaf for leaf, _ in gradients], allow_unused=True)
        for got, (leaf, want) in zip(found, gradients, strict=True):
            torch.testing.assert_close(torch.zeros_like(leaf) if got is None else got, want, rtol=1e-6, atol=1e-9)

    return compare


@pytest.fixture
def leaf():
    return lambda values: torch.tensor(values, dtype=torch.float64, requires_grad=True)
