"""What the trajectory tests need to write an algorithm out by hand: a run in float64, and plain pieces to rebuild it from.

The longhand loops share with the library only the networks' modules and the batches; losses, order of passes, gradients,
optimisers and draws are written out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sparring.data.packed import PackedImages
from sparring.networks.frozen import frozen
from sparring.randomness import generator_for
from sparring.recipe.gan import Recipe
from sparring.training.state import TrainingState, build

BETAS, LR = (0.5, 0.999), 2e-3
CLASSES = 4


def images(count: int = 48, size: int = 8, seed: int = 3, channels: int = 1) -> PackedImages:
    """Noise with labels 0..3, every class there, unevenly."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, channels, size, size), generator=generator, dtype=torch.uint8)
    labels = torch.arange(count) % 7 % CLASSES
    return PackedImages(pixels, labels, tuple(f"class {i}" for i in range(CLASSES)), name="noise")


def recipe(objective: dict[str, Any], **changes: Any) -> Recipe:
    """A tiny DCGAN recipe; keyword arguments are dotted keys with __ for the dots."""
    values: dict[str, Any] = {
        "data": "noise",
        "generator": {
            "network": {"kind": "dcgan", "width": 4},
            "latent_size": 5,
            "optimizer": {"lr": LR, "betas": BETAS},
        },
        "discriminator": {
            "network": {"kind": "dcgan", "width": 4, "normalisation": "none"},
            "optimizer": {"lr": LR, "betas": BETAS},
        },
        "objective": objective,
        "steps": 1000,
        "batch_size": 8,
        "threads": 1,
    }
    return Recipe.load(values, {key.replace("__", "."): value for key, value in changes.items()})


def a_run(objective: dict[str, Any], *, negatives: int = 0, unlabelled: bool = False, **changes: Any) -> TrainingState:
    """A run in float64 at step 0; two calls give two equal runs."""
    return build(
        recipe(objective, **changes),
        images(),
        negatives=images(negatives, seed=11) if negatives else None,
        unlabelled=images(40, seed=12) if unlabelled else None,
        dtype=torch.float64,
    )


class Hand:
    """The pieces of a run for a longhand loop: networks, plain Adam, batches."""

    def __init__(self, state: TrainingState):
        self.s, self.D, self.G = state, state.discriminator, state.generator
        self.adam_d = torch.optim.Adam(self.D.parameters(), LR, BETAS, foreach=False)
        self.adam_g = torch.optim.Adam(self.G.parameters(), LR, BETAS, foreach=False)
        self.update = 0

    def backbone(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        return self.D.backbone(x, y)

    def head(self, name: str, features: Tensor) -> Tensor:
        return self.D.heads[name](features)

    def score(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """D(x), or D(x, y) with projection."""
        h, _ = self.backbone(x, y)
        score = self.head("score", h)[:, 0]
        if self.D.embedding is not None:
            assert y is not None
            score = score + torch.stack([h[i] @ self.D.embedding.weight[y[i]] for i in range(len(x))])
        return score

    def batch(
        self, player: str, update: int, data_update: int | None = None, rows: dict[str, int] | None = None
    ) -> Any:
        everything = ("real", "negative", "unlabelled")
        (share,) = self.s.feed.shares(player, update, everything, rows or {}, data_update)  # type: ignore[arg-type]
        return share

    def fake(self, share: Any, graph: bool) -> Tensor:
        """G on batch statistics; its running ones move in its own update alone."""
        if graph:
            return self.G(share.latents, share.fake_labels)
        with torch.no_grad(), frozen(self.G):
            return self.G(share.latents, share.fake_labels)

    def uniform(self, player: str, update: int, term: str, *shape: int, nth: int = 0, second: bool = False) -> Tensor:
        generator = generator_for(self.s.recipe.seed, player, update, second, term, nth)
        return torch.rand(*shape, generator=generator).double()

    def step_d(self, loss: Tensor) -> None:
        self.adam_d.zero_grad()
        loss.backward()
        self.adam_d.step()

    def step_g(self, loss: Tensor) -> None:
        self.adam_g.zero_grad()
        loss.backward()
        self.adam_g.step()

    @contextmanager
    def d_keeps_its_statistics(self) -> Iterator[None]:
        with frozen(self.D):
            yield


def outputs(state: TrainingState) -> Tensor:
    """What the networks compute now, on fixed inputs, in evaluation mode and in training mode."""
    latents, labels = state.feed.latents(6, "compare")
    found = []
    for training in (False, True):
        for network in (state.generator, state.discriminator):
            network.train(training)
        with torch.no_grad(), frozen(state.generator), frozen(state.discriminator):
            x = state.generator(latents, labels)
            real, y = state.feed.real.batch(torch.arange(6))
            found += [
                x.flatten(),
                state.discriminator(real.double(), y).flatten(),
                state.discriminator(x, labels).flatten(),
            ]
    state.generator.train()
    state.discriminator.train()
    return torch.cat(found)


def log_sigmoid(x: Tensor) -> Tensor:
    """log sigmoid(x) by its definition, stable enough for the scores of a tiny network."""
    return -torch.log1p(torch.exp(-x))


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """-log softmax(logits)[y] per sample, by a loop."""
    return torch.stack(
        [torch.log(torch.exp(row).sum()) - row[int(label)] for row, label in zip(logits, y, strict=True)]
    )


def norm(x: Tensor) -> Tensor:
    return x.flatten(1).square().sum(1).sqrt()


def moved(before: nn.Module, after: nn.Module) -> float:
    """The largest difference between two networks' parameters."""
    pairs = zip(before.parameters(), after.parameters(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


class Stages(nn.Module):
    """A user's backbone: two convolutions with smooth activations, the second with batch norm if asked; features [B, 8]."""

    channels = 8

    def __init__(self, *, image_channels: int = 1, norm: bool = False):
        super().__init__()
        self.layer1 = nn.Sequential(nn.Conv2d(image_channels, 4, 4, 2, 1), nn.SiLU())
        self.layer2 = nn.Sequential(nn.Conv2d(4, 8, 4, 2, 1), nn.BatchNorm2d(8) if norm else nn.Identity(), nn.SiLU())

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        first = self.layer1(x)
        second = self.layer2(first)
        return second.mean((2, 3)), [first, second]
