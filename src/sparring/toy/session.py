"""A toy run that is stepped manually and inspected, with the same networks, terms and step as for images."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparring.errors import NonFiniteLossError
from sparring.networks.frozen import frozen
from sparring.networks.spectral import held
from sparring.objective.context import StepContext
from sparring.objective.round import Round
from sparring.randomness import generator_for
from sparring.recipe.gan import Recipe
from sparring.run.process import threads
from sparring.toy import yardsticks
from sparring.toy.methods import changed_recipe
from sparring.toy.worlds import Points, World
from sparring.training.own_step import checked_step, step_function
from sparring.training.start_from import carry_over
from sparring.training.state import TrainingState, build

SAMPLES = 1000  # for each look's numbers, from the same latents throughout a run
LINE, PLANE = 241, 48  # places at which D is read: on a line, along each side of a plane
ARROWS = 40  # samples whose gradient is drawn
MESH = 17  # lines of the generator's grid in each direction
BACKGROUND = 0.25  # of the data's scale: the least distance of drawn negatives from data


@dataclass(frozen=True)
class Look:
    """A run at one step. Arrays are float32; D's answers are its host's realness, the largest over any classes.

    samples [n, D]; places [G, D] and realness [G] there; arrows: positions and gradients of the realness, [m, D] each;
    mesh [k, k, 2]: where the generator sends a grid of latents, cells of equal probability, or None; of_data, of_samples:
    mean realness; numbers: the yardsticks.
    """

    step: int
    samples: np.ndarray
    places: np.ndarray
    realness: np.ndarray
    arrows: tuple[np.ndarray, np.ndarray]
    mesh: np.ndarray | None
    of_data: float
    of_samples: float
    numbers: dict[str, float]


@dataclass(frozen=True)
class Snapshot:
    """A moment of a session: its recipe, and the state of training."""

    recipe: Recipe
    state: dict[str, Any] = field(repr=False)

    @property
    def step(self) -> int:
        return self.state["step"]


class ToySession:
    """A recipe on a world, on one thread: bits depend on the number, and such small layers gain nothing from more."""

    def __init__(self, world: World, recipe: Recipe):
        self.world = world
        self.losses: dict[str, float] = {}  # means over the last call of `step`, by player/term
        self._begin(recipe, self._built(recipe))
        self._latents, self._labels = self.state.feed.latents(SAMPLES, "toy")
        self.places = places_of(world)
        self._data = world.data.points[:SAMPLES]
        self._sliced = yardsticks.SlicedDistance(self._data) if world.dimensions == 2 else None

    def _built(self, recipe: Recipe) -> TrainingState:
        """A run of a recipe on this world, at step 0."""
        with threads(1):
            return build(recipe, self.world.data, negatives=self._negatives_of(recipe))

    def _negatives_of(self, recipe: Recipe) -> Points | None:
        return None if recipe.negatives is None else self.world.negatives or background(self.world, recipe.seed)

    def _begin(self, recipe: Recipe, state: TrainingState) -> None:
        """Train this state by this recipe from now on."""
        self.recipe, self.state = recipe, state
        negatives = state.feed.negatives
        self.negatives = negatives if isinstance(negatives, Points) else None
        self._step = checked_step(recipe, step_function(recipe))
        self._grid = self._even_grid()

    def step(self, count: int = 1) -> None:
        """Train for some steps. Raises NonFiniteLossError if a loss or a weight is not finite."""
        with threads(1):
            for _ in range(count):
                self._step(self.state)
            self.state.check_finite()
            self.losses = self.state.term_log.tick()

    def change(self, changes: Mapping[str, Any]) -> list[str]:
        """Train by changed settings from now on: `session.change({"objective.sdp": {}, "d_steps": 2})`.

        changes: keys of the recipe, as for `toy_recipe`; a term that becomes None is dropped, another host replaces the
        present one. Where the terms need other heads the discriminator is rebuilt; weights, the optimisers' state and the
        memory of terms carry over by name. Returns lines that say what starts afresh. Raises SparringError, and changes
        nothing, for keys that cannot change in a running session and for settings that do not fit.
        """
        recipe = changed_recipe(self.world, self.recipe, changes)
        if recipe == self.recipe:
            return []
        old, new = self.state, self._built(recipe)
        notes: list[str] = []
        saved = old.state_dict()
        weights = {name: saved[name] for name in ("generator", "discriminator")}
        weights["average"] = saved["average"] or saved["generator"]
        for name in carry_over(new, weights, saved["optimizers"], notes.append):
            notes.append(f"{name}: starts afresh")
        for name, memory in old.objective.memory.items():
            if type(old.objective.terms[name]) is type(new.objective.terms.get(name)):
                new.objective.memory[name] = {key: value.clone() for key, value in memory.items()}
        new.step, new.updates = old.step, old.updates
        self._begin(recipe, new)
        return notes

    def snapshot(self) -> Snapshot:
        """This moment of the run, to return to: copies of everything that training depends on."""
        return Snapshot(self.recipe, copy.deepcopy(self.state.state_dict()))

    def restore(self, snapshot: Snapshot) -> None:
        """Return to a moment of this run, with the settings that it had then. Training goes on from there bit for bit."""
        state = self._built(snapshot.recipe)
        state.load_state_dict(copy.deepcopy(snapshot.state))
        self._begin(snapshot.recipe, state)

    def look(self, *, pictures: bool = True, numbers: bool = True) -> Look:
        """The run at this step; training is not affected.

        Without `pictures` there are no arrows and no mesh, and without `numbers` no yardsticks.

        Raises NonFiniteLossError if a sample or an answer is not finite.
        """
        s = self.state
        with threads(1), frozen(s.discriminator), frozen(s.evaluated_generator), held(s.discriminator, iterate=False):
            with torch.no_grad(), held(s.evaluated_generator, iterate=False):
                samples, mesh = self._generated(pictures)
                realness, *others = self._realness_of([self.places, self._data, samples])
                of_data, of_samples = (float(each.mean()) for each in others)
            _check_finite(s.step, samples, realness)
            arrows = self._arrows(samples[:ARROWS]) if pictures else (np.zeros((0, 1)), np.zeros((0, 1)))
            found = numbers_of(self.world, samples, self._sliced) if numbers else {}
        return Look(
            step=s.step,
            samples=samples.numpy(),
            places=self.places.numpy(),
            realness=realness.numpy(),
            arrows=arrows,
            mesh=mesh,
            of_data=of_data,
            of_samples=of_samples,
            numbers=found,
        )

    def _realness_of(self, groups: list[Tensor]) -> Sequence[Tensor]:
        """How real the discriminator finds each group of points: one pass if it judges each point alone."""
        if self.state.discriminator.couples_batch:
            return [self.realness(points) for points in groups]
        return self.realness(torch.cat(groups)).split([len(points) for points in groups])

    def realness(self, points: Tensor) -> Tensor:
        """How real the discriminator finds points [N, D], [N]: for the most likely class of each if there are classes."""
        s, D = self.state, self.state.discriminator
        context = StepContext("generator", s.step, s.step, self.recipe.seed)
        r = Round(D, {}, context=context, active=[], host=s.objective.host(s.step), num_classes=D.num_classes)
        if D.embedding is None:
            return r.host.realness(r.judge(points))
        side = r.judge(points, torch.zeros(len(points), dtype=torch.int64))
        table = D.embedding.weight
        assert isinstance(table, Tensor)
        likeliest = (side.features @ table.t()).detach().argmax(1)  # a class only adds <features, its embedding>
        return r.host.realness(side.relabel(likeliest))

    def realness_with(self, weights: Mapping[str, Tensor]) -> Tensor:
        """The answers [G] at `places` of a discriminator with other weights; the session's own stay."""
        D = self.state.discriminator
        own = {name: value.clone() for name, value in D.state_dict().items()}
        with threads(1), torch.no_grad(), frozen(D):
            D.load_state_dict(dict(weights))
            with held(D, iterate=False):
                answers = self.realness(self.places)
            D.load_state_dict(own)
        return answers

    def _arrows(self, samples: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Positions of some samples, and the gradient of the realness there."""
        at = samples.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(self.realness(at).sum(), at)
        return at.detach().numpy(), gradient.numpy()

    def _generated(self, pictures: bool) -> tuple[Tensor, np.ndarray | None]:
        """The generator's samples, and where it sends the grid of latents; in one pass, as a mesh needs no labels."""
        generator, grid = self.state.evaluated_generator, self._grid if pictures else None
        if grid is None:
            return generator(self._latents, self._labels), None
        samples, mesh = generator(torch.cat([self._latents, grid]), None).split([len(self._latents), len(grid)])
        return samples, mesh.view(MESH, MESH, 2).numpy()

    def _even_grid(self) -> Tensor | None:
        """Latents [MESH * MESH, 2] in cells of equal probability; only for two latents, a plane and no classes."""
        if self.recipe.generator.latent_size != 2 or self.world.dimensions != 2 or self._takes_labels:
            return None
        u = torch.linspace(0.5 / MESH, 1 - 0.5 / MESH, MESH, dtype=torch.float64)
        z = torch.special.ndtri(u).float()
        return torch.cartesian_prod(z, z)

    @property
    def _takes_labels(self) -> bool:
        return getattr(self.state.evaluated_generator, "conditioning", "none") != "none"


def _check_finite(step: int, samples: Tensor, realness: Tensor) -> None:
    """Raise NonFiniteLossError for values that are not finite, which finite weights can give."""
    for what, values in (("the generator's samples", samples), ("the discriminator's answers", realness)):
        if not np.isfinite(values.numpy()).all():
            raise NonFiniteLossError(
                f"{what} became infinite or NaN by step {step}: the run stops. Lower the learning rate"
            )


def distance_of(world: World) -> str:
    """The name of the yardstick that is the distance to the data."""
    return "wasserstein" if world.dimensions == 1 else "sliced_wasserstein"


def numbers_of(world: World, samples: Tensor, sliced: yardsticks.SlicedDistance | None = None) -> dict[str, float]:
    """All yardsticks that a world allows, for samples [N, D]. sliced: the distance to as many points of the data."""
    found: dict[str, float] = {}
    if world.dimensions == 1:
        exact = world.mixture is not None
        found["wasserstein"] = (
            yardsticks.wasserstein_to_mixture(samples, world.mixture)
            if exact and world.mixture is not None
            else yardsticks.wasserstein_1d(samples, world.data.points)
        )
    else:
        sliced = sliced or yardsticks.SlicedDistance(world.data.points[: len(samples)])
        found["sliced_wasserstein"] = sliced(samples)
    if world.modes is not None and world.mode_std is not None:
        modes, high_quality = yardsticks.modes_and_quality(samples, world.modes, world.mode_std)
        found |= {"modes": modes, "high_quality": high_quality}
    return found


def places_of(world: World) -> Tensor:
    """Where D is read: evenly over the world's view, [LINE, 1] or [PLANE * PLANE, 2], rows from below."""
    if world.dimensions == 1:
        return torch.linspace(*world.view[0], LINE)[:, None]
    (x0, x1), (y0, y1) = world.view
    y, x = torch.meshgrid(torch.linspace(y0, y1, PLANE), torch.linspace(x0, x1, PLANE), indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1)


def background(world: World, seed: int, count: int = 2000) -> Points:
    """Negatives for a world that has none: anywhere in view except near data."""
    g = generator_for(seed, "world", world.name, "background")
    low = torch.tensor([limits[0] for limits in world.view])
    high = torch.tensor([limits[1] for limits in world.view])
    known = world.data.points[:2000]
    found, missing = [torch.empty(0, world.dimensions)], count
    for _ in range(1000):
        drawn = low + (high - low) * torch.rand(count, world.dimensions, generator=g)
        apart = torch.cdist(drawn, known).amin(1) > BACKGROUND * world.scale
        found.append(drawn[apart][:missing])
        missing -= len(found[-1])
        if not missing:
            break
    return Points(torch.cat(found))
