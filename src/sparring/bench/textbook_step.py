"""One training step as in a textbook: the reference for timing the library's step.

It is fair: fakes have no graph in the discriminator's update, the discriminator is frozen in the generator's, and Adam is
torch's with its default (foreach) kernels. It is plain: one pass for real and one for generated samples, networks from
`textbook_networks`, batches prepared in memory. An adversarial loss on the score, alone or with `gradient_penalty`, `r1` and
`r2`, is written out below; other objectives take their losses from the library's terms, judged in separate passes. Its
losses equal the library's to rounding, except for when spectral norm iterates.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.bench.textbook_networks import textbook_network
from sparring.networks.discriminator import Discriminator
from sparring.objective.context import Player, StepContext
from sparring.objective.round import Round
from sparring.objective.term import Term
from sparring.plugins import find
from sparring.schedule import value_at
from sparring.terms import REGISTRY
from sparring.training.state import TrainingState


def _term(kind: str) -> Any:
    return find(kind, REGISTRY, "term")


Hinge, LeastSquares, Minimax, NonSaturating, RelativisticPairing, Wasserstein = map(
    _term, ("hinge", "least_squares", "minimax", "non_saturating", "relativistic_pairing", "wasserstein")
)
GradientPenalty, R1, R2 = map(_term, ("gradient_penalty", "r1", "r2"))


@dataclass(frozen=True)
class Batch:
    """The draws of one update of one player. uniform [B, 1, 1, 1]: where a gradient penalty lies between real and fake."""

    latents: Tensor
    fake_labels: Tensor | None
    sides: dict[str, tuple[Tensor, Tensor | None]] = field(default_factory=dict)
    uniform: Tensor | None = None
    totals: dict[str, int] = field(default_factory=dict)


Losses = tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]


def host_losses(host: Term) -> Losses | None:
    """(discriminator's, generator's) loss of scores on real and fake samples, written out; None for other hosts."""
    known: dict[type[Term], Losses] = {
        Hinge: (lambda r, f: F.relu(1 - r).mean() + F.relu(1 + f).mean(), lambda r, f: -f.mean()),
        Wasserstein: (lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
        NonSaturating: (lambda r, f: F.softplus(-r).mean() + F.softplus(f).mean(), lambda r, f: F.softplus(-f).mean()),
        Minimax: (lambda r, f: F.softplus(-r).mean() + F.softplus(f).mean(), lambda r, f: -F.softplus(f).mean()),
        RelativisticPairing: (lambda r, f: F.softplus(f - r).mean(), lambda r, f: F.softplus(r - f).mean()),
    }
    if isinstance(host, LeastSquares):
        a, b, c = host.a, host.b, host.c
        return (
            lambda r, f: ((r - b) ** 2).mean() / 2 + ((f - a) ** 2).mean() / 2,
            lambda r, f: ((f - c) ** 2).mean() / 2,
        )
    return known.get(type(host))


class SeparateRound(Round):
    """A round in which every side has its own pass, unless batch norm couples sides."""

    def plan(self) -> list[list[str]]:
        joint = super().plan()
        return joint if self.judge_network.couples_batch else [[name] for group in joint for name in group]


class Textbook:
    """The textbook twin of a run: copies of its networks, its losses, its learning rates at `state.step`."""

    def __init__(self, state: TrainingState):
        recipe = self.recipe = state.recipe
        self.state, self.step_number, self.updates = state, state.step, state.updates
        D, G = textbook_network(state.discriminator), textbook_network(state.generator)
        assert isinstance(D, Discriminator)
        self.discriminator, self.generator = D, G
        self.optimizers = {
            player: _optimizer(getattr(self, player), getattr(recipe, player).optimizer, state.step)
            for player in ("discriminator", "generator")
        }
        self.average = None if recipe.generator.ema is None else copy.deepcopy(G)
        terms = state.objective.terms
        self.host = state.objective.host(state.step)
        known = (GradientPenalty, R1, R2)
        penalties = {name: t for name, t in terms.items() if name != state.objective.host_name}
        plain = all(isinstance(t, known) and type(t) in known for t in penalties.values())
        self.losses = host_losses(self.host) if plain and self.host.weight == 1 and state.augment is None else None
        self.logged: dict[str, Tensor] = {}

    @property
    def is_written_out(self) -> bool:
        """Whether the losses are written out in this file instead of taken from the terms."""
        return self.losses is not None

    def step(self, batches: Iterator[Batch]) -> None:
        """`d_steps` updates of the discriminator, then one of the generator."""
        for _ in range(self.recipe.d_steps):
            self._update_discriminator(next(batches))
            self.updates += 1
        self._update_generator(next(batches))
        if self.average is not None:
            self._move_average(self.average)
        self.step_number += 1

    def _update_discriminator(self, b: Batch) -> None:
        D, G, optimizer = self.discriminator, self.generator, self.optimizers["discriminator"]
        with torch.no_grad():
            fake = G(b.latents, b.fake_labels)
        optimizer.zero_grad()
        if self.losses is None:
            self._terms_discriminator(b, fake)
            return
        real, labels = b.sides["real"]
        host = self.losses[0](D(real, labels), D(fake, b.fake_labels))
        loss = host + self._penalties(b, real, labels, fake)
        loss.backward()
        optimizer.step()
        self.logged["discriminator"] = loss.detach()

    def _penalties(self, b: Batch, real: Tensor, labels: Tensor | None, fake: Tensor) -> Tensor | float:
        D: nn.Module = self.discriminator
        total: Tensor | float = 0.0
        for term in self.state.objective.terms.values():
            every = getattr(term, "every", 1)
            if not isinstance(term, GradientPenalty | R1 | R2) or self.updates % every:
                continue
            weight = value_at(term.weight, self.step_number) * every
            if isinstance(term, GradientPenalty):
                assert b.uniform is not None
                point, y = b.uniform * real + (1 - b.uniform) * fake, labels
            else:
                point, y = (real, labels) if isinstance(term, R1) else (fake, b.fake_labels)
            point = point.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(D(point, y).sum(), point, create_graph=True)
            norm = gradient.flatten(1).norm(dim=1)
            if isinstance(term, GradientPenalty):
                excess = norm - term.target
                penalty = ((F.relu(excess) if term.one_sided else excess) ** 2).mean()
            else:
                penalty = gradient.flatten(1).square().sum(1).mean()
            total = total + weight * penalty
        return total

    def _update_generator(self, b: Batch) -> None:
        D, G, optimizer = self.discriminator, self.generator, self.optimizers["generator"]
        for p in D.parameters():
            p.requires_grad_(False)
        optimizer.zero_grad()
        fake = G(b.latents, b.fake_labels)
        if self.losses is None:
            r = self._round("generator", b, fake)
            r.judge_sides()
            loss = self.state.objective.loss(r)
            assert loss is not None
        else:
            paired = isinstance(self.host, RelativisticPairing)
            real = D(*b.sides["real"]) if paired else fake.new_zeros(())
            loss = self.losses[1](real, D(fake, b.fake_labels))
        loss.backward()
        optimizer.step()
        for p in D.parameters():
            p.requires_grad_(True)
        self.logged["generator"] = loss.detach()

    def _move_average(self, average: nn.Module) -> None:
        ema = self.recipe.generator.ema
        assert ema is not None
        decay = value_at(ema.decay, self.step_number) if self.step_number >= ema.start else 0.0
        with torch.no_grad():
            for mean, p in zip(average.parameters(), self.generator.parameters(), strict=True):
                mean.lerp_(p, 1 - decay)

    # --- objectives that take their losses from the terms ---
    def _terms_discriminator(self, b: Batch, fake: Tensor) -> None:
        objective, optimizer = self.state.objective, self.optimizers["discriminator"]
        r = self._round("discriminator", b, fake)
        r.judge_sides()
        loss = objective.loss(r)
        if loss is not None:
            objective.prepare_gradients(r)
            loss.backward()
            self.logged["discriminator"] = loss.detach()
        optimizer.step()
        for term, again in objective.second_rounds(r):
            optimizer.zero_grad()
            again.judge_sides()
            second = objective.second_loss(term, again)
            if second is not None:
                second.backward()
            optimizer.step()

    def _round(self, player: Player, b: Batch, fake: Tensor) -> Round:
        s, update = self.state, self.updates if player == "discriminator" else self.step_number
        return SeparateRound(
            self.discriminator,
            {**b.sides, "fake": (fake, b.fake_labels)},
            context=StepContext(player, self.step_number, update, self.recipe.seed),
            active=s.objective.active(player, self.step_number, update),
            host=self.host,
            num_classes=self.discriminator.num_classes,
            totals=b.totals,
            latents=b.latents,
            generate=self.generator,
            memory=s.objective.memory,
            augment=s.augment,
        )


def _optimizer(network: nn.Module, given: Any, step: int) -> torch.optim.Optimizer:
    """Torch's optimiser with its default kernels, at the recipe's settings."""
    parameters, lr = list(network.parameters()), value_at(given.lr, step)
    common = {"lr": lr, "weight_decay": given.weight_decay, "foreach": True}
    if given.kind in ("adam", "adamw"):
        make = torch.optim.Adam if given.kind == "adam" else torch.optim.AdamW
        return make(parameters, betas=given.betas, eps=given.eps, **common)
    if given.kind == "rmsprop":
        return torch.optim.RMSprop(parameters, eps=given.eps, momentum=given.momentum, **common)
    return torch.optim.SGD(parameters, momentum=given.momentum, **common)
