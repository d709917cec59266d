"""What networks must return, and one-line errors for what goes wrong inside them, as many are users' own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from sparring.errors import SparringError, one_line

GENERATOR = "a generator is forward(z [B, Z], labels [B] or None) -> images [B, C, H, W], floats in [-1, 1]"
BACKBONE = "a backbone is forward(images, labels=None) -> (features [B, channels], blocks), blocks a list of tensors"
WITHOUT_CLASS = (
    "label -1 is a sample without a class, such as a negative, which a network with labels takes as in "
    "torch.where(labels >= 0, (h * embedding(labels.clamp_min(0))).sum(1), 0)"
)
WITHOUT_NUMBERS = (
    "a dry run has no numbers (torch's meta device): make tensors like others, or on their device, and read no values"
)


def class_name(thing: object) -> str:
    """The class of something, with its module if it is a user's, as recipes name it."""
    kind = type(thing)
    ours = kind.__module__.partition(".")[0] == "sparring"
    return kind.__qualname__ if ours else f"{kind.__module__}:{kind.__qualname__}"


def shape_of(value: Any) -> str:
    """A tensor's shape and, if it is not of floats, its type; the type of anything else."""
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"{list(value.shape)}" + ("" if value.is_floating_point() else f" {value.dtype}")


@contextmanager
def users_code(who: str, like: Tensor, must: str = "", labels: Tensor | None = None) -> Iterator[None]:
    """Wraps code that may be a user's: an error in it is one line, and in a dry run new tensors are on the meta device.

    must: what the code has to do. labels: those that it was given.
    """
    is_dry = like.device.type == "meta"

    def cure(error: Exception) -> str:
        without_class = labels is not None and labels.device.type == "cpu" and bool((labels < 0).any())
        said = [must, WITHOUT_CLASS if without_class else "", WITHOUT_NUMBERS if is_dry else ""]
        return "".join(f"; {each}" for each in said if each)

    with one_line(f"{who} failed: ", cure), torch.device("meta") if is_dry else nullcontext():
        yield


def images_of(
    generator: nn.Module, latents: Tensor, labels: Tensor | None, call: Callable[..., Any] | None = None
) -> Tensor:
    """The generator's images of latents [B, Z]. call: the generator, compiled.

    Raises SparringError if it fails or does not return images.
    """
    who = f"generator {class_name(generator)}"
    with users_code(f"{who} on latents {shape_of(latents)}", latents, GENERATOR):
        images = (call or generator)(latents, labels)
    if not isinstance(images, Tensor) or not images.is_floating_point() or images.shape[:1] != latents.shape[:1]:
        raise SparringError(f"{who} returns {shape_of(images)} for {len(latents)} latents: {GENERATOR}")
    return images
