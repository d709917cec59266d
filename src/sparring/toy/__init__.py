# ruff: noqa: F401 - the names below are for editors and type checkers
"""Worlds on a line and in a plane, where training can be watched and measured exactly.

    import sparring
    result = sparring.toy.run("nat-1d", versus="non_saturating", out="runs/toy")     # the paper's Figure 5
    result.numbers["wasserstein"]

`ToySession` is the same run, stepped manually. Names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "run": "sparring.toy.play",
    "ToyResult": "sparring.toy.play",
    "ToyRun": "sparring.toy.play",
    "ToySession": "sparring.toy.session",
    "Look": "sparring.toy.session",
    "Snapshot": "sparring.toy.session",
    "Update": "sparring.toy.witness",
    "watched_step": "sparring.toy.witness",
    "drawn": "sparring.toy.drawing",
    "world": "sparring.toy.worlds",
    "World": "sparring.toy.worlds",
    "Points": "sparring.toy.worlds",
    "WORLDS": "sparring.toy.worlds",
    "Mixture": "sparring.toy.gaussians",
    "METHODS": "sparring.toy.methods",
    "toy_recipe": "sparring.toy.methods",
}
_MOVED = {  # what took the place of names that were here
    "run_study": "sparring.study('toy/ring-8')",
    "summarise": "sparring.study.table.tabulate",
}


def __getattr__(name: str) -> Any:
    if name in _MOVED:
        raise AttributeError(f"sparring.toy.{name} is now {_MOVED[name]}")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'sparring.toy' has no attribute '{name}'")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})


if TYPE_CHECKING:
    from sparring.toy.drawing import drawn
    from sparring.toy.gaussians import Mixture
    from sparring.toy.methods import METHODS, toy_recipe
    from sparring.toy.play import ToyResult, ToyRun, run
    from sparring.toy.session import Look, Snapshot, ToySession
    from sparring.toy.witness import Update, watched_step
    from sparring.toy.worlds import WORLDS, Points, World, world
