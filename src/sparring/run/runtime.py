"""The machine of a run: device, ranks, precision. Nothing else depends on ranks.

Distribution is `torch.distributed` under `torchrun`, with one flat all-reduce after each backward pass: several passes,
double backward, lazy penalties and unused heads are then exact without further care.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Hashable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from sparring.run.device import usable_device
from sparring.run.numerics import Precision
from sparring.run.together import STEP_WAIT, answered, prepare_signs, working
from sparring.run.votes import Votes


@dataclass(frozen=True)
class Runtime:
    """device: of networks and batches. rank, world: this process's number, and how many there are.

    precision: of passes. Runs are trained within `run.numerics`, which makes float32 be what it says.
    """

    device: torch.device = torch.device("cpu")  # noqa: RUF009 - a device is immutable
    rank: int = 0
    world: int = 1
    precision: Precision = "float32"
    votes: Votes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "votes", Votes(self.rank, self.world))

    @classmethod
    def start(cls, device: str | None = None, precision: Precision = "float32") -> Runtime:
        """Choose the device, by default an accelerator if there is one, and join the process group under torchrun.

        The group lasts as long as the process: joining again under the same torchrun would find the old addresses.
        """
        world = int(os.environ.get("WORLD_SIZE", "1"))
        rank, local_rank = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
        if device is None:
            device = f"cuda:{local_rank}" if torch.cuda.is_available() else "cpu"
        chosen = usable_device(device)
        if chosen.type == "cuda":
            torch.cuda.set_device(chosen)
        if world > 1 and not dist.is_initialized():
            backend = "cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo"
            dist.init_process_group(backend, timeout=STEP_WAIT)
            atexit.register(_leave_group)
        if world > 1:
            prepare_signs()
        return cls(chosen, rank, world, precision)

    @property
    def is_mixed(self) -> bool:
        """Whether some passes are in another precision than others."""
        return self.precision == "bfloat16"

    @property
    def is_main(self) -> bool:
        """Whether this process writes samples, logs and checkpoints."""
        return self.rank == 0

    def autocast(self, full: bool) -> AbstractContextManager[Any]:
        """The precision of a pass under `bfloat16`. full: float32, for passes that need all its bits."""
        if not self.is_mixed:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=not full)

    def together(self) -> AbstractContextManager[None]:
        """Around work that may take long, or fail, on some ranks: all ranks leave it together, or raise SparringError."""
        return working(self.rank, self.world)

    @torch.no_grad()
    def average(self, values: Tensor) -> Tensor:
        """The mean of a tensor over all ranks, on each of them."""
        if self.world > 1:
            values = self.votes.add_up(values) / self.world
        return values

    def agree(self, flag: bool) -> bool:
        """Whether the flag is true on any rank."""
        return flag if self.world == 1 else self.votes.vote(flag)[0] > 0

    @torch.no_grad()
    def average_gradients(self, parameters: Iterable[Tensor], decided_by: Hashable = None) -> None:
        """Replace each gradient by its mean over the ranks. A missing one must be missing on all ranks, and stays so.

        decided_by: what decides which gradients exist; the same on all ranks.
        """
        if self.world == 1:
            return
        parameters = list(parameters)
        flat = self.votes.sum_of_gradients(parameters, decided_by)
        if flat is None:
            return
        flat /= self.world
        gradients = [p.grad for p in parameters if p.grad is not None]
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    @torch.no_grad()
    def copy_from_main(self, tensors: Iterable[Tensor]) -> None:
        """Copy the tensors of rank 0 to every rank."""
        if self.world > 1:
            with answered(self.rank):
                for tensor in tensors:
                    dist.broadcast(tensor.data, src=0)

    @contextmanager
    def buffers_of_main(self, network: nn.Module) -> Iterator[nn.Module]:
        """Within this context, the network has rank 0's buffers, as batch norm's statistics are each rank's own."""
        if self.world == 1:
            yield network
            return
        buffers = list(network.buffers())
        own = [buffer.clone() for buffer in buffers]
        self.copy_from_main(buffers)
        try:
            yield network
        finally:
            with torch.no_grad():
                for buffer, before in zip(buffers, own, strict=True):
                    buffer.copy_(before)


def _leave_group() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
