"""One training step of a recipe, the library's against the textbook one, on synthetic data."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch

from sparring.bench.pairs import alternate
from sparring.bench.textbook_step import Batch, Textbook
from sparring.data.packed import PackedImages
from sparring.errors import SparringError
from sparring.messages import Note
from sparring.metrics.features import check_whole
from sparring.objective.context import Player
from sparring.objective.term import period
from sparring.randomness import generator_for
from sparring.recipe.gan import Recipe
from sparring.run.numerics import numerics
from sparring.run.process import threads
from sparring.run.runtime import Runtime
from sparring.training.operations import CountedOperations
from sparring.training.own_step import step_function
from sparring.training.state import TrainingState, build

LONGEST_CYCLE = 64  # most steps of one measurement, if terms act periodically
SIZE, CHANNELS, CLASSES = 32, 3, 10  # if the recipe does not say
READY = 4  # batches prepared for the textbook step


def bench_step(
    recipe: Any,
    overrides: Iterable[str] | Mapping[str, Any] = (),
    *,
    iterations: int = 20,
    at: int | None = None,
    device: str | None = None,
    cpu_time: bool = False,
    note: Note | None = None,
    allow_code: bool = False,
) -> dict[str, float]:
    """Milliseconds per training step of a recipe and of its textbook twin, in `iterations` alternating pairs.

    ours_ms and textbook_ms are medians; ratio is the median of textbook / ours within each pair, with its quartiles
    ratio_low and ratio_high. ours_gflops and textbook_gflops count the multiplications and additions of convolutions and
    matrix products per step, which do not depend on the machine's load.

    at: the generator step at which schedules are read; by default late in the run, when they have ended. If terms act only
    at every n-th update, a measurement is a whole cycle of steps. Ours includes drawing batches from packed images; the
    textbook's batches are prepared. cpu_time measures the process's own time instead of the clock's, on one thread, for busy
    machines.
    """
    check_whole(iterations, "iterations", 1)
    chosen = Recipe.load(
        recipe, overrides if isinstance(overrides, Mapping) else list(overrides), allow_code=allow_code
    )
    with numerics(chosen.precision, fixed_shapes=True, device=device), threads(chosen.threads):
        state = synthetic_state(chosen, device=device, at=at, note=note)
        if state.recipe.accumulate > 1 or state.recipe.precision == "bfloat16":
            raise SparringError(
                "bench step takes accumulate=1, and precision=float32 or tf32, which the textbook step is written for"
            )
        twin = Textbook(state)
        batches = itertools.cycle([batch for i in range(READY) for batch in synthetic_batches(state, i)])
        ours, cycle = ours_step(state), cycle_of(state.recipe)
        counts = [flops(lambda: ours(cycle)), flops(lambda: _repeat(twin, batches, cycle))]
        found = alternate(
            lambda: ours(cycle),
            lambda: _repeat(twin, batches, cycle),
            pairs=iterations,
            device=state.runtime.device,
            clock=time.process_time if cpu_time else time.perf_counter,
        )
        state.check_finite()
    return {
        "ours_ms": found.ours_ms / cycle,
        "textbook_ms": found.other_ms / cycle,
        "ratio": found.ratio,
        "ratio_low": found.ratio_low,
        "ratio_high": found.ratio_high,
        "iterations": found.pairs,
        "ours_gflops": counts[0] / cycle,
        "textbook_gflops": counts[1] / cycle,
    }


def ours_step(state: TrainingState) -> Callable[[int], None]:
    """`call(n)` trains n steps with the recipe's step function; schedules do not advance."""
    step, at = step_function(state.recipe), state.step

    def call(count: int) -> None:
        for _ in range(count):
            step(state)
            state.step = at + (state.step - at) % LONGEST_CYCLE
        state.term_log.tick()

    return call


def cycle_of(recipe: Recipe) -> int:
    """Generator steps after which all terms that act periodically have acted equally often."""
    every = period(recipe.objective.terms.values())
    return min(LONGEST_CYCLE, every // math.gcd(every, recipe.d_steps))


def synthetic_state(
    recipe: Recipe, *, device: str | None = None, at: int | None = None, note: Note | None = None
) -> TrainingState:
    """The recipe's run on random pixels of its data's shape, at a step at which its schedules have ended."""
    data = recipe.data
    classes = len(data.classes) if isinstance(data.classes, list) and data.num_classes is None else data.num_classes
    size, channels = data.size or SIZE, data.channels or CHANNELS
    if note is not None and (data.size is None or data.channels is None or classes is None):
        note(f"the recipe does not say all of its data's shape: timed at data.size={size} data.channels={channels}")
    classes = CLASSES if classes is None else classes
    count = max(1024, 2 * recipe.batch_size)
    real = synthetic_images(count, size, channels, classes, "real")
    unlabelled = recipe.unlabelled is not None or data.labelled is not None
    state = build(
        recipe,
        real,
        negatives=synthetic_images(count, size, channels, 0, "negatives") if recipe.negatives is not None else None,
        unlabelled=synthetic_images(count, size, channels, 0, "unlabelled") if unlabelled else None,
        runtime=Runtime.start(device, recipe.precision),
    )
    cycle = cycle_of(recipe)
    state.step = max(0, recipe.steps - LONGEST_CYCLE) // cycle * cycle if at is None else at
    state.updates = state.step * recipe.d_steps
    return state


def synthetic_images(count: int, size: int, channels: int, classes: int, name: str) -> PackedImages:
    """Uniform noise as images, labelled with each class in turn, or not labelled if there are no classes."""
    pixels = torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=generator_for(name))
    return PackedImages(pixels, torch.arange(count) % classes if classes else None, name=f"synthetic {name}")


def synthetic_batches(state: TrainingState, nth: int) -> Iterator[Batch]:
    """The batches of one step: `d_steps` for the discriminator, then one for the generator."""
    updates = [nth * state.recipe.d_steps + i for i in range(state.recipe.d_steps)]
    for update in updates:
        yield batch_of(state, "discriminator", update)
    yield batch_of(state, "generator", nth, updates[-1])


def batch_of(state: TrainingState, player: Player, update: int, data_update: int | None = None) -> Batch:
    """What the library's feed draws for an update, in torch's default memory order."""
    rows = {name: count for t in state.objective.terms.values() for name, count in t.rows().items()}
    (share,) = state.feed.shares(player, update, ("real", "negative", "unlabelled"), rows, data_update)
    sides = {name: (images.contiguous(), labels) for name, (images, labels) in share.sides.items()}
    generator = generator_for(state.recipe.seed, player, update, False, "gradient_penalty", 0)
    uniform = torch.rand(len(share.latents), *[1] * (sides["real"][0].ndim - 1), generator=generator)
    return Batch(share.latents, share.fake_labels, sides, uniform.to(share.latents), share.totals)


def _repeat(twin: Textbook, batches: Iterator[Batch], count: int) -> None:
    for _ in range(count):
        twin.step(batches)


def flops(function: Callable[[], Any]) -> float:
    """Billions of floating-point operations, two for each multiplication with its addition."""
    with CountedOperations() as counted:
        function()
    return counted.total / 1e9
