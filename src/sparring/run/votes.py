"""What the ranks of a run agree on, with few votes: each is an all-reduce on the host that all ranks wait for.

Which gradients exist is voted on once for each set of active terms, and interrupts every `STOP_EVERY` steps. A rank that
needs a vote in between asks for it in the all-reduce of the gradients, which it fills with NaN. On CPUs, where reading a
value does not wait, all ranks see this in the same update: they vote and repeat the all-reduce. Gradients that are NaN by
themselves cost a vote and change nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor

from sparring.run.together import answered

STOP_EVERY = 10  # steps between two votes on whether to stop


@dataclass
class Votes:
    """The votes of one rank.

    wants_to_stop: whether this rank was interrupted. stop: whether all ranks have agreed to stop.
    """

    rank: int
    world: int
    wants_to_stop: Callable[[], bool] = lambda: False
    stop: bool = False
    _present: dict[Hashable, list[bool]] = field(default_factory=dict)  # by what decides which gradients exist

    def add_up(self, values: Tensor) -> Tensor:
        """The sum over ranks, in place. Raises SparringError if a rank is lost."""
        with answered(self.rank):
            dist.all_reduce(values)
        return values

    def vote(self, *flags: bool) -> list[int]:
        """How many ranks say yes to each question."""
        votes = torch.tensor([float(flag) for flag in flags])  # on the CPU: no wait for the accelerator
        return [round(count) for count in self.add_up(votes).tolist()]

    def stops(self, step: int) -> bool:
        """Whether all ranks stop after this step."""
        if self.world == 1:
            return self.wants_to_stop()
        if not self.stop and step % STOP_EVERY == 0:
            self.stop = self.vote(self.wants_to_stop())[0] > 0
        return self.stop

    def sum_of_gradients(self, parameters: list[Tensor], decided_by: Hashable) -> Tensor | None:
        """The sum over ranks of all gradients that exist, one after another; None if there are none.

        Raises RuntimeError, on all ranks, if one exists on some ranks only.
        """
        present, key = [p.grad is not None for p in parameters], (decided_by, len(parameters))
        on_cpu = all(p.device.type == "cpu" for p in parameters)
        known = self._present.get(key, [])
        if not any(known) or (known != present and not on_cpu):  # nothing known, or no all-reduce to ask in
            self._agree(key, present, False, False)
        while any(self._present[key]):
            asks, odd = on_cpu and not self.stop and self.wants_to_stop(), self._present[key] != present
            gradients = [
                torch.zeros_like(p) if p.grad is None else p.grad
                for p, there in zip(parameters, self._present[key], strict=True)
                if there
            ]
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            if asks or odd:
                flat.fill_(math.nan)
            self.add_up(flat)
            if not (on_cpu and math.isnan(flat[0])) or not self._agree(key, present, asks, asks or odd):
                return flat
        return None

    def _agree(self, key: Hashable, present: list[bool], stop: bool, asked: bool) -> bool:
        """Vote on which gradients exist and on stopping. Returns whether a rank had asked for this vote."""
        stops, asks, *votes = self.vote(stop, asked, *present)
        if any(0 < count < self.world for count in votes):
            raise RuntimeError(
                "a parameter has a gradient on some ranks only: what runs must depend on counters, not data"
            )
        self._present[key], self.stop = present, self.stop or stops > 0
        return asks > 0
