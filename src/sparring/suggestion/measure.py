"""What a recipe costs on this machine: a few of its steps, and the extractor's time for an image."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from sparring.data.packed import PackedImages
from sparring.evaluation.extractors.choice import extractor_for
from sparring.recipe.gan import Recipe
from sparring.run.process import process_as_before
from sparring.run.runtime import Runtime
from sparring.training.own_step import step_function
from sparring.training.state import build

WARM_UP = 3  # steps before the measured ones
FEWEST, SECONDS = 5, 2.0  # steps, and seconds, that are measured at least
IMAGES = 50  # that the extractor's time is measured on


@dataclass(frozen=True)
class Cost:
    """Of one step or one image: seconds by the clock, and of all processor cores together."""

    seconds: float
    cpu_seconds: float


def cost_of_a_step(recipe: Recipe, images: PackedImages, device: str | None = None) -> Cost:
    """Train a few steps of a recipe on these images. Raises SparringError where it cannot be trained."""
    with process_as_before():
        runtime = Runtime.start(device, recipe.precision)
        state = build(recipe, images, runtime=runtime)
        step = step_function(recipe)
        for _ in range(WARM_UP):
            step(state)
        return _timed(lambda: step(state), runtime.device)


def cost_of_an_image(extractor: str, images: PackedImages, device: str | None = None) -> Cost:
    """Let an extractor look at some images."""
    runtime = Runtime.start(device)
    found = extractor_for(extractor, images, runtime.device)
    assert found is not None
    batch = images.uint8_batch(torch.arange(IMAGES) % len(images))[0]
    found(batch)
    cost = _timed(lambda: found(batch), runtime.device, fewest=1)
    return Cost(cost.seconds / IMAGES, cost.cpu_seconds / IMAGES)


def _timed(call: Callable[[], object], device: torch.device, fewest: int = FEWEST) -> Cost:
    """The mean cost of a call, over at least so many calls and `SECONDS`."""
    count, began, cpu_began = 0, time.perf_counter(), time.process_time()
    while count < fewest or time.perf_counter() - began < SECONDS:
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        count += 1
    return Cost((time.perf_counter() - began) / count, (time.process_time() - cpu_began) / count)
