"""What happens inside one step of a session: the updates, and the points that their terms judged, paired and attacked.

The step is the run's own. Its rounds are only listened to, so the bits of training are those of a step nobody watched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparring.objective.context import Player
from sparring.objective.round import Round
from sparring.toy.session import ToySession

Heard = list[tuple[str, str | None, Tensor]]  # the term that asked, the side, the points


@dataclass(frozen=True)
class Update:
    """One optimiser step of one player. Points are float32 [N, D].

    sides: the batches that were judged. terms: each term's raw value. pairs [k, 2, D]: fakes and the reals that a term
    compared them with. attacked [m, 2, D]: samples and their adversarial versions. probes [m, D]: other points that a term
    judged, such as a penalty's. weights: the discriminator's after the update, if they were asked for.
    """

    player: Player
    second: bool
    sides: dict[str, np.ndarray]
    terms: dict[str, float]
    pairs: np.ndarray | None = None
    attacked: np.ndarray | None = None
    probes: np.ndarray | None = None
    weights: dict[str, Tensor] | None = field(default=None, repr=False)


def watched_step(session: ToySession, *, weights: bool = False) -> list[Update]:
    """Take one step of a session, and return its updates in order. weights: also the discriminator's after each."""
    found: list[Update] = []
    with _listening(session, found, weights):
        session.step(1)
    return found


@contextmanager
def _listening(session: ToySession, found: list[Update], weights: bool) -> Iterator[None]:
    """While this lasts, each update of the session is added to `found`."""
    state, heard = session.state, _Heard()
    make, apply = state.round, state.apply

    def made(*args: Any, **options: Any) -> Round:
        return heard.listen(make(*args, **options))

    def applied(player: Player, rounds: list[Round]) -> None:
        apply(player, rounds)
        kept = {k: v.clone() for k, v in state.discriminator.state_dict().items()} if weights else None
        found.append(_update(player, rounds[0], heard, kept))
        heard.clear()

    vars(state).update(round=made, apply=applied)
    try:
        yield
    finally:
        del vars(state)["round"], vars(state)["apply"]


class _Heard:
    """What terms asked of their rounds since the last update."""

    def __init__(self) -> None:
        self.picked: Heard = []
        self.judged: Heard = []

    def clear(self) -> None:
        self.picked, self.judged = [], []

    def listen(self, r: Round) -> Round:
        """The round, which now tells what it is asked for."""
        for name, side in r.sides.items():
            vars(side)["pick"] = self._told(side.pick, self.picked, r, name, lambda picked: picked.images)
        vars(r)["judge"] = self._told(r.judge, self.judged, r, None, lambda judged: judged.images)
        after = r.after_update
        vars(r)["after_update"] = lambda term: self.listen(after(term))
        return r

    @staticmethod
    def _told(
        ask: Callable[..., Any], into: Heard, r: Round, side: str | None, points: Callable[[Any], Tensor]
    ) -> Callable[..., Any]:
        def told(*args: Any, **options: Any) -> Any:
            answer = ask(*args, **options)
            into.append((r.reader or "", side, points(answer).detach()))
            return answer

        return told


def _update(player: Player, r: Round, heard: _Heard, weights: dict[str, Tensor] | None) -> Update:
    values = {name: float(value) for name, value in r.logs.items() if name != "gradient_norm"}
    sides = {name: side.images.detach().numpy().copy() for name, side in r.sides.items()}
    attacked, probes = (
        _attacked(r, heard.judged) if r.context.second else (None, _joined([p for *_, p in heard.judged]))
    )
    return Update(player, r.context.second, sides, values, _pairs(heard.picked), attacked, probes, weights)


def _pairs(picked: Heard) -> np.ndarray | None:
    """Fakes and the reals that the same term picked right after them."""
    found = [
        torch.stack([fakes, reals], 1)
        for (who, first, fakes), (again, second, reals) in zip(picked, picked[1:], strict=False)
        if who == again and (first, second) == ("fake", "real") and fakes.shape == reals.shape
    ]
    return _joined(found)


def _attacked(r: Round, judged: Heard) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Samples beside what a second update judged in their place; and what has no such sample."""
    moved, other = [], []
    for _, _, points in judged:
        same = [side.images.detach() for side in r.sides.values() if side.images.shape == points.shape]
        if same:
            nearest = min(same, key=lambda images: float((images - points).abs().mean()))
            moved.append(torch.stack([nearest, points], 1))
        else:
            other.append(points)
    return _joined(moved), _joined(other)


def _joined(groups: list[Tensor]) -> np.ndarray | None:
    return torch.cat(groups).numpy().copy() if groups else None
