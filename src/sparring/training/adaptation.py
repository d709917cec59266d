"""How ADA's probability p follows the discriminator: the augmentation of a run whose recipe lets p adapt.

    r_t = E sign(D(x) - b)        p <- min(1, max(0, p + sign(r_t - target) n / ramp_images))

    D(x)    the host's realness of the transformed training images, in the discriminator's updates since p last changed
    n       how many images these are
    b       the host's boundary between real and fake: 0 for hinge, non-saturating and minimax, the middle of the two targets
            for least squares. Losses without one, on differences of scores or on class logits, take the middle between
            the mean realness of the update's training images and that of its fakes, as `diagnose` does

r_t is 0 for a discriminator that guesses and 1 for one that is right about every training image.

Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020, Eq. 1 and section 3.1. The limit of 1 is
added: the authors' p grows on, which changes nothing until it falls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sparring.errors import SparringError
from sparring.recipe.ada import ADA
from sparring.recipe.augment import Augment, Draw, make_augment
from sparring.trust import VALIDATED

if TYPE_CHECKING:
    from sparring.objective.round import Round
    from sparring.objective.side import Side
    from sparring.recipe.gan import Recipe
    from sparring.run.runtime import Runtime


def augmentation_of(recipe: Recipe, runtime: Runtime) -> Augment | None:
    """The augmentation of every judged image. Raises SparringError if it cannot repeat its bits and has to."""
    augment = make_augment(recipe.augment, VALIDATED)
    if not isinstance(augment, ADA):
        return augment
    if recipe.deterministic and runtime.device.type == "cuda" and "geometric" in augment.transforms:
        raise SparringError(
            "deterministic=true excludes geometric transforms of augment 'ada' on a GPU, whose gradient torch adds up in "
            "any order: leave one of them out"
        )
    return augment if augment.p is not None else Adaptation(augment, runtime)


class Adaptation:
    """ADA with its p. All of it stays on the device, and every rank has the same."""

    def __init__(self, ada: ADA, runtime: Runtime):
        self.ada, self.runtime = ada, runtime
        self.p, self.signs = (torch.zeros((), device=runtime.device) for _ in range(2))
        self.images = 0  # that signs are the sum of

    def __call__(self, images: Tensor, draw: Draw) -> Tensor:
        return self.ada(images, draw, self.p)

    @torch.no_grad()
    def follow(self, rounds: list[Round], update: int) -> dict[str, Tensor]:
        """Count the training images of a discriminator update, and change p after each `interval`-th; numbers to log."""
        logged = {}
        host, real = rounds[0].host, _judged(rounds, "real")
        if real and (host.boundary is not None or _judged(rounds, "fake")):
            boundary = _middle(rounds, self.runtime) if host.boundary is None else host.boundary
            signs = (_realness(rounds, "real") - boundary).sign().sum()
            # a sum of whole numbers, so that no rounding depends on the number of ranks
            signs = (self.runtime.average(signs) * self.runtime.world).round().to(self.signs)
            self.signs, self.images = self.signs + signs, self.images + real[0].total
            logged = {"ada_p": self.p, "ada_r": signs / real[0].total}
        if (update + 1) % self.ada.interval == 0 and self.images:
            step = (self.signs / self.images - self.ada.target).sign() * (self.images / self.ada.ramp_images)
            self.p = (self.p + step).clamp(0, 1)
            self.signs, self.images = torch.zeros_like(self.signs), 0
        return logged

    def state_dict(self) -> dict[str, Any]:
        return {"p": self.p, "signs": self.signs, "images": self.images}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in ("p", "signs"):
            if state[name].shape != ():
                raise ValueError(f"ADA's {name} has the shape {tuple(state[name].shape)}")
            setattr(self, name, state[name].to(getattr(self, name), copy=True))
        self.images = int(state["images"])


def _judged(rounds: list[Round], name: str) -> list[Side]:
    """The side in each of an update's shares; none if no term judged it."""
    sides = [r.sides[name] for r in rounds if name in r.sides]
    return sides if all(side.is_judged for side in sides) else []


def _realness(rounds: list[Round], name: str) -> Tensor:
    return torch.cat([rounds[0].host.realness(side) for side in _judged(rounds, name)])


def _middle(rounds: list[Round], runtime: Runtime) -> Tensor:
    """Between the mean realness of the update's training images and that of its fakes."""
    return runtime.average(torch.stack([_realness(rounds, name).mean() for name in ("real", "fake")])).mean()
