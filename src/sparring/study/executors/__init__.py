"""Where the runs of a study are trained: on this machine, by Ray, by SLURM, or by an executor of one's own.

An executor is a class with three functions, see `base.Executor`; one file each.
"""

from __future__ import annotations

import importlib
from typing import Any

from sparring.errors import SparringError, nearest, one_line
from sparring.study.executors.base import Executor

EXECUTORS = {
    "local": "sparring.study.executors.local:Local",
    "ray": "sparring.study.executors.ray:Ray",
    "slurm": "sparring.study.executors.slurm:Slurm",
}


def make_executor(choice: Any) -> Executor:
    """An executor by name or `package.module:Class`, its options after a colon, as in "slurm:partition=gpu"; or itself."""
    if not isinstance(choice, str):
        return choice  # type: ignore[no-any-return]
    kind, _, rest = choice.partition(":")
    if kind not in EXECUTORS and rest:
        attribute, _, rest = rest.partition(":")
        kind = f"{kind}:{attribute}"
    options = {}
    for word in filter(None, rest.split(",")):
        key, equals, value = word.partition("=")
        if not equals:
            key, value = "address", word
        options[key.strip()] = value.strip()
    if kind not in EXECUTORS and ":" not in kind:
        raise SparringError(
            f"unknown executor '{kind:.60}': {nearest(kind, EXECUTORS)} Your own is package.module:Class"
        )
    module, _, attribute = EXECUTORS.get(kind, kind).partition(":")
    with one_line(f"executor {kind}: "):
        found: Executor = getattr(importlib.import_module(module), attribute)(**options)
    return found
