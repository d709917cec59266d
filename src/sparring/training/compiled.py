"""The networks of a run compiled by torch.compile, for its training steps.

Everything else uses the plain networks, which share the weights: measurements, pictures, checkpoints. Compiled code cannot
be differentiated twice, which some penalties need.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sparring.errors import SparringError
from sparring.networks.discriminator import Activations, Discriminator

if TYPE_CHECKING:
    from sparring.objective.objective import Objective

BACKEND = "inductor"  # torch's default; it compiles C++ for CPUs, and its launchers for GPUs
WHAT = "compile=true"


def check_compilable(objective: Objective) -> None:
    """Raise SparringError if a term needs more than compiled networks can do."""
    if names := objective.differentiated_twice():
        removed = " ".join(f"objective.{name}=null" for name in names)
        raise SparringError(
            f"{WHAT} does not work with {' and '.join(names)}: torch.compile cannot differentiate twice. Leave compile out, "
            f"or drop the term{'' if len(names) == 1 else 's'} with {removed}"
        )


def compiled(network: nn.Module) -> Callable[..., Any]:
    """The network's forward pass, compiled when it is first called. Raises SparringError without a C++ compiler."""
    if BACKEND == "inductor" and not any(
        map(shutil.which, filter(None, [os.environ.get("CXX"), "g++", "clang++", "cl"]))
    ):
        raise SparringError(f"{WHAT} needs a C++ compiler, and there is none: install g++, or leave compile out")

    def forward(*inputs: Tensor | None) -> Any:
        return network(*inputs)

    fast = torch.compile(forward, backend=BACKEND)

    def call(*inputs: Tensor | None) -> Any:
        with warnings.catch_warnings():  # torch looks at the gradients of all inputs, and warns itself of that
            warnings.filterwarnings("ignore", r"The \.grad attribute of a Tensor that is not a leaf", UserWarning)
            return fast(*inputs)

    return call


class CompiledJudge:
    """A discriminator whose backbone is compiled, as rounds use it."""

    def __init__(self, discriminator: Discriminator):
        self._discriminator, self._backbone = discriminator, compiled(discriminator.backbone)
        self.couples_batch, self.uses_labels = discriminator.couples_batch, discriminator.uses_labels

    def extract(self, images: Tensor, labels: Tensor | None = None) -> Activations:
        return self._discriminator.extract(images, labels, self._backbone)

    def read(self, head: str, activations: Activations, labels: Tensor | None = None) -> Tensor:
        return self._discriminator.read(head, activations, labels)
