"""One step of training: `d_steps` discriminator updates, each with its second updates, then one generator update.

This page is the whole algorithm; what the losses are is the objective's business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from sparring.errors import SparringError, one_line
from sparring.networks import BACKBONES, GENERATORS
from sparring.networks.contract import class_name
from sparring.networks.frozen import frozen
from sparring.networks.spectral import held
from sparring.plugins import find
from sparring.recipe.augment import AUGMENTATIONS
from sparring.trust import VALIDATED

if TYPE_CHECKING:
    from sparring.recipe.gan import Recipe
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

    # second updates: the same batches, judged at the weights that the update before led to
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


# --- which step a recipe takes ---
IN_PLACE = "; no block, feature or image may be changed in place"


def step_function(recipe: Recipe) -> Callable[[TrainingState], None]:
    """One step of the recipe: its own function, or `train_step`."""
    return train_step if recipe.step is None else find(recipe.step, {}, "step", VALIDATED)


def checked_step(recipe: Recipe, step: Callable[[TrainingState], None]) -> Callable[[TrainingState], None]:
    """The step, which for a recipe with users' code raises SparringError, in one line, if that fails.

    It also raises if one call is not one step.
    """
    kinds = [recipe.generator.network.kind, recipe.discriminator.network.kind]
    kinds += [recipe.step] if recipe.step else []
    kinds += [str(recipe.augment.get("kind"))] if recipe.augment else []
    kinds += [name for term in recipe.objective.terms.values() if ":" in (name := class_name(term))]
    ours = {path for names in (GENERATORS, BACKBONES, AUGMENTATIONS) for item in names.items() for path in item}
    theirs = ", ".join(kind for kind in kinds if kind not in ours)
    if not theirs:
        return step

    def checked(s: TrainingState) -> None:
        at = s.step
        with one_line(f"step {at} failed, with {theirs}: ", lambda error: IN_PLACE if "inplace" in str(error) else ""):
            step(s)
        if s.step != at + 1:
            raise SparringError(f"step {recipe.step} went from step {at} to {s.step}: call s.update_generator once")

    return checked
