"""What users bring: networks that draw from every global generator, and a step and terms of their own."""

from __future__ import annotations

import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.terms.hinge import Hinge
from sparring.training.step import train_step
from sparring.training.step import update_generator as half_a_step  # noqa: F401 - named in a test's recipe


class NoisyGenerator(nn.Module):
    """A user's generator with dropout, and noise from the generators of torch, NumPy and Python."""

    def __init__(self, *, image_size: int, latent_size: int, width: int = 6):
        super().__init__()
        self.size = image_size
        self.lift, self.paint = nn.Linear(latent_size, width), nn.Linear(width, image_size**2)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        h = F.dropout(torch.relu(self.lift(z)), 0.3, self.training)
        if self.training:
            h = h + 0.1 * torch.randn(h.shape) + 0.1 * float(np.random.rand()) + 0.1 * random.random()
        return torch.tanh(self.paint(h)).view(-1, 1, self.size, self.size)


class NoisyBackbone(nn.Module):
    """A user's backbone with dropout and a buffer that counts its passes in training."""

    def __init__(self, *, image_size: int, width: int = 6):
        super().__init__()
        self.channels = width
        self.look = nn.Linear(image_size**2, width)
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        if self.training:
            self.passes += 1
        h = torch.relu(self.look(images.flatten(1) + 0.1 * torch.rand(images[0].numel())))
        return F.dropout(h, 0.2, self.training), []


class LabelledGenerator(nn.Module):
    """A user's generator that takes labels and has no word about conditioning."""

    def __init__(self, *, image_size: int, latent_size: int, num_classes: int):
        super().__init__()
        self.size = image_size
        self.table = nn.Embedding(num_classes, latent_size)
        self.paint = nn.Linear(latent_size, image_size**2)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        assert labels is not None
        return torch.tanh(self.paint(z + self.table(labels))).view(-1, 1, self.size, self.size)


class BreaksAtStepThree(Hinge):
    """A hinge loss that is no number from step 3 on."""

    def discriminator_loss(self, r):  # type: ignore[no-untyped-def]
        loss = super().discriminator_loss(r)
        return loss * float("nan") if r.step >= 3 else loss


class BadGradientAtStepThree(Hinge):
    """A hinge loss that stays finite at step 3 while its gradient does not."""

    def generator_loss(self, r):  # type: ignore[no-untyped-def]
        loss = super().generator_loss(r)
        return loss + (r.fake.score * 0).abs().sqrt().sum() if r.step == 3 else loss


def own_step(s) -> None:  # type: ignore[no-untyped-def]
    train_step(s)


class FreeBackbone(nn.Module):
    """No batch coupling, smooth, with a head that a recipe may leave unused."""

    def __init__(self, *, image_size: int, width: int = 8):
        super().__init__()
        self.channels = width
        self.look, self.more = nn.Linear(image_size**2, width), nn.Linear(width, width)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        first = torch.tanh(self.look(images.flatten(1)))
        return torch.tanh(self.more(first)), [first]
