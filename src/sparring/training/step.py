"""One step of training: `d_steps` discriminator updates, each with its second updates, then one generator update.

This page is the whole algorithm. The objective computes the losses, and `s.apply` takes the optimiser step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from sparring.networks.frozen import frozen
from sparring.networks.spectral import held

if TYPE_CHECKING:
    from sparring.training.state import TrainingState


def train_step(s: TrainingState) -> None:
    """One generator update and the discriminator updates before it."""
    for _ in range(s.recipe.d_steps):
        update_discriminator(s)
    update_generator(s)


def update_discriminator(s: TrainingState) -> None:
    """One discriminator update on a fresh batch, then the second updates of the terms that take one."""
    D, G, scale = s.discriminator, s.generator, 1 / s.feed.accumulate
    active = s.objective.active("discriminator", s.step, s.updates)
    rounds = []
    with frozen(G), held(G, iterate=False), held(D, iterate=True):
        for share in s.shares("discriminator", active):
            # judge: G generates without a graph, on batch statistics, and keeps its buffers; D sees all sides of the round
            with torch.no_grad():
                fake = s.generate(share.latents, share.fake_labels)
            r = s.round("discriminator", share, fake, active)
            r.judge_sides()

            # discriminator
            loss = s.objective.loss(r)
            if loss is not None:
                s.objective.prepare_gradients(r, scale)
                (loss * scale).backward()
            rounds.append(r)
        s.apply("discriminator", rounds)

    # second updates: the same batches, judged at the weights after the previous update
    for term in (a for a in active if a.term.has_second_update):
        with held(G, iterate=False), held(D, iterate=True):
            again = [r.after_update(term) for r in rounds]
            for r in again:
                s.seed_modules(r.context)
                r.judge_sides()
                loss = s.objective.second_loss(term, r)
                if loss is not None:
                    (loss * scale).backward()
            s.apply("discriminator", again)
    s.updates += 1


def update_generator(s: TrainingState) -> None:
    """One generator update on fresh latents; D is frozen, so its weights take no gradient and its buffers stay."""
    D, G, scale = s.discriminator, s.generator, 1 / s.feed.accumulate
    active = s.objective.active("generator", s.step, s.step)
    rounds = []
    with frozen(D), held(D, iterate=False), held(G, iterate=True):
        for share in s.shares("generator", active):
            # generator
            fake = s.generate(share.latents, share.fake_labels)
            r = s.round("generator", share, fake, active)
            r.judge_sides()
            loss = s.objective.loss(r)
            if loss is not None:
                (loss * scale).backward()
            rounds.append(r)
        s.apply("generator", rounds)

    # moving average
    if s.average is not None:
        s.average.update(G, s.step)
    s.step += 1
