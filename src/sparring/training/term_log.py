"""The values of the terms since the last row of the log, kept on the device until then.

Nothing is read back inside a step. A tick reads all values at once, averages them over the updates since the last tick, and
stops the run if one was not finite, naming the term and the first such step.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sparring.errors import NonFiniteLossError

if TYPE_CHECKING:
    from sparring.objective.round import Round
    from sparring.run.runtime import Runtime


class TermLog:
    """Raw values of the terms, by `player/term`, since the last tick.

    `settled` values have been read from the device and averaged over the ranks; newer ones are still on the device.
    """

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._steps: list[int] = []
        self._settled: list[float] = []
        self._pending: list[Tensor] = []

    def note(self, player: str, step: int, rounds: list[Round]) -> None:
        """Record the logs of one update, averaged over its micro-batches, and the mean realness of its samples."""
        logs = [r.logs | _realness(r) for r in rounds]
        for name in logs[0]:
            values = [log[name].detach().float().reshape(()) for log in logs if name in log]
            self._keys.append(f"{player}/{name}")
            self._steps.append(step)
            self._pending.append(values[0] if len(values) == 1 else torch.stack(values).mean(0))

    def check(self, runtime: Runtime | None = None) -> None:
        """Read all values, averaged over the ranks. Raises NonFiniteLossError for the first that is not finite."""
        if not self._pending:
            return
        values = torch.stack(self._pending)
        if runtime is not None:
            values = runtime.average(values)
        first = len(self._settled)
        self._settled += values.tolist()
        self._pending = []
        for key, step, value in zip(self._keys[first:], self._steps[first:], self._settled[first:], strict=True):
            if not math.isfinite(value):
                player, _, term = key.partition("/")
                what = f"the {player}'s gradient became {value}"
                if term != "gradient_norm":
                    what = f"{term} became {value} in the {player}'s loss"
                raise NonFiniteLossError(
                    f"{what} at step {step}: the run stops; checkpoints, if any, are from before. "
                    "Lower the learning rate or the term's weight",
                    step,
                )

    def means(self, runtime: Runtime | None = None) -> dict[str, float]:
        """The mean of each value since the last tick."""
        self.check(runtime)
        by_key: dict[str, list[float]] = {}
        for key, value in zip(self._keys, self._settled, strict=True):
            by_key.setdefault(key, []).append(value)
        return {key: sum(values) / len(values) for key, values in by_key.items()}

    def tick(self, runtime: Runtime | None = None) -> dict[str, float]:
        """The mean of each value since the last tick; then starts afresh."""
        means = self.means(runtime)
        self._keys, self._steps, self._settled = [], [], []
        return means

    def state_dict(self) -> dict[str, Any]:
        """The values since the last tick. With several ranks `check` comes first, on all of them."""
        self.check()
        return {"keys": list(self._keys), "steps": list(self._steps), "values": list(self._settled)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._keys, self._steps, self._settled = list(state["keys"]), list(state["steps"]), list(state["values"])
        for key, step, value in zip(self._keys, self._steps, self._settled, strict=True):
            if not (isinstance(key, str) and isinstance(step, int) and isinstance(value, float)):
                raise TypeError(f"the log holds {key!r:.40}, {step!r:.40}, {value!r:.40}")
        self._pending = []


@torch.no_grad()
def gradient_norm(network: nn.Module) -> Tensor:
    """The Euclidean norm of all gradients that the network has now, a scalar on its device."""
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients))) if gradients else torch.zeros(())


@torch.no_grad()
def _realness(r: Round) -> dict[str, Tensor]:
    """The mean realness of each side that was judged in the discriminator's first update.

    Each share gives its part of the mean, as shares may be uneven and must all record the same names.
    """
    if r.player != "discriminator" or r.context.second:
        return {}
    return {
        f"{name}_score": r.host.realness(side).detach().sum() * (r.context.parts / side.total)
        for name, side in r.sides.items()
        if name != "unlabelled" and side.is_judged  # a conditional score needs a label
    }
