"""The least memory that a run needs, computed before it is allocated from networks on the meta device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from sparring.limits import check_memory, in_words, memory
from sparring.run.runtime import Runtime

if TYPE_CHECKING:
    from sparring.recipe.gan import Recipe

SHOWN = 2**42  # bytes of parameters that `show` accepts, 4 TB: the run may be for a larger machine
# of each parameter: itself, its gradient, the optimiser's means
COPIES = {"adam": 4, "adamw": 4, "rmsprop": 3, "sgd": 2}


def check_size(
    recipe: Recipe, discriminator: nn.Module, generator: nn.Module, image_values: int, runtime: Runtime
) -> None:
    """Raise SparringError if a run's parameters, latents and images alone exceed the machine's memory.

    image_values: C * H * W. Activations come on top and are not estimated.
    """
    cure = "lower generator.latent_size, batch_size or the networks' options"
    rows = max(recipe.batch_size, recipe.generator_batch_size)
    latents = 4 * rows * recipe.generator.latent_size
    check_memory(latents, f"{rows:,} latents of {recipe.generator.latent_size:,} values", cure)
    parameters = {"generator": _count(generator), "discriminator": _count(discriminator)}
    size = sum(4 * n * COPIES[getattr(recipe, player).optimizer.kind] for player, n in parameters.items())
    size += 4 * parameters["generator"] * (recipe.generator.ema is not None)
    counted = f"{parameters['generator']:,} and {parameters['discriminator']:,} parameters (G, D)"
    if runtime.device.type == "meta":
        check_memory(size, counted, cure, SHOWN)
        return
    size += latents + 2 * 4 * rows * image_values
    what = f"{counted}, and batches of {in_words(2 * 4 * rows * image_values)},"
    check_memory(size, what, cure, _memory_of(runtime.device))


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _memory_of(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else memory()
