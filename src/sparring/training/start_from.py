"""Start a run from the networks of another one, perhaps under another objective."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sparring.errors import SparringError
from sparring.run.checkpoint import CheckpointFolder, content_hash, load_checkpoint, taking
from sparring.run.optimizers import load_state_by_name
from sparring.training.state import TrainingState


def start_from(state: TrainingState, run: str | Path, note: Callable[[str], None]) -> dict[str, Any]:
    """Load the networks and optimisers of another run's last checkpoint into a new run, by name if shapes agree.

    run: its folder, or one of its checkpoints. Counters and the memory of terms start afresh. A moving average that the
    other run lacks starts as its generator. `note` reports what had no match on either side. Returns the origin of the
    networks for recipe.json. Raises SparringError if there is no checkpoint or nothing fits.
    """
    path = Path(run)
    if not os.path.exists(path):
        raise SparringError(f"there is no run '{run}' to start from")
    if path.is_dir():
        last = CheckpointFolder(path / "checkpoints").last()
        if last is None:
            raise SparringError(f"'{run}' has no checkpoint to start from")
        path = CheckpointFolder(path / "checkpoints").path(last)
    checkpoint = load_checkpoint(path)
    try:
        weights = {player: dict(checkpoint[player]) for player in ("generator", "discriminator")}
        weights["average"] = dict(checkpoint["average"] or checkpoint["generator"])
        optimizers, step = checkpoint["optimizers"], int(checkpoint["step"])
    except (KeyError, RuntimeError, TypeError, ValueError):
        raise SparringError(f"{path} holds no networks to start from") from None
    with taking(path):
        fresh = carry_over(state, weights, optimizers, note)
    if fresh:
        raise SparringError(f"nothing of {path} fits this recipe's {fresh[0]}: they are different networks")
    return {"checkpoint": str(path), "step": step, "hash": content_hash(checkpoint)}


def carry_over(
    state: TrainingState,
    weights: Mapping[str, Mapping[str, Any]],
    optimizers: Mapping[str, Mapping[str, Any]],
    note: Callable[[str], None],
) -> list[str]:
    """Load networks and the state of their optimisers into a run, by name if shapes agree.

    weights: state dicts of `generator`, `discriminator` and `average`; optimizers: states by parameter name of the first
    two. `note` reports what had no match on either side. Returns the names of networks that nothing fits.
    """
    networks: dict[str, nn.Module] = {"generator": state.generator, "discriminator": state.discriminator}
    if state.average is not None:
        networks["average"] = state.average.module
    fresh = []
    for name, network in networks.items():
        unmatched = _load_matching(network, weights[name])
        if name == "average":
            continue
        if unmatched is None:
            fresh.append(name)
            continue
        left = load_state_by_name(state.optimizers[name], network, dict(optimizers.get(name, {})))
        _say(note, name, unmatched, left)
    return fresh


@torch.no_grad()
def _load_matching(network: nn.Module, weights: Mapping[str, Any]) -> tuple[list[str], list[str]] | None:
    """Copy what has the same name and shape. Returns the names left here and left there; None if nothing was copied."""
    own = network.state_dict()
    matching = {n: w for n, w in weights.items() if n in own and getattr(w, "shape", None) == own[n].shape}
    for name, value in matching.items():
        own[name].copy_(value)
    if not matching:
        return None
    return [name for name in own if name not in matching], [name for name in weights if name not in matching]


def _say(
    note: Callable[[str], None], player: str, unmatched: tuple[list[str], list[str]], optimizer_left: list[str]
) -> None:
    fresh, unused = unmatched
    if fresh:
        note(f"{player}: starts afresh in {_some(fresh)}")
    if unused:
        note(f"{player}: has no place for {_some(unused)}")
    if left := [name for name in optimizer_left if name not in unused]:
        note(f"{player}: the optimiser starts afresh in {_some(left)}")


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
