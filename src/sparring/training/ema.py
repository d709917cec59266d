"""The moving average of the generator, which is sampled and measured if a recipe has one."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn

from sparring.schedule import value_at

if TYPE_CHECKING:
    from sparring.recipe.gan import EMA


class MovingAverage:
    """average <- decay * average + (1 - decay) * parameter after each generator step; buffers are copied.

    Before `start`, the average is the generator itself.
    """

    def __init__(self, generator: nn.Module, recipe: EMA):
        self.recipe = recipe
        self.module = copy.deepcopy(generator).requires_grad_(False)

    @torch.no_grad()
    def update(self, generator: nn.Module, step: int) -> None:
        """step: generator steps taken, this one not counted."""
        decay = value_at(self.recipe.decay, step) if step >= self.recipe.start else 0.0
        averages = [p.data for p in self.module.parameters()]
        torch._foreach_lerp_(averages, [p.data for p in generator.parameters()], 1 - decay)
        for average, buffer in zip(self.module.buffers(), generator.buffers(), strict=True):
            average.copy_(buffer)
