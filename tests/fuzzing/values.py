"""Values that are wrong in any recipe, and changes of keys, values and structure."""

from __future__ import annotations

from random import Random
from typing import Any

HUGE = [10**9, 10**18, 2**63 - 1, 2**63, 10**30, 10**400, -1, -(10**30)]
WRONG: list[Any] = [
    *HUGE, 0, 1e30, 1e308, -1e308, 1e-300, float("inf"), float("nan"), 0.5, True, None, "", "x", "x" * 5_000, "a\0b",
    "\ud800", "a\nb",
    "\x1b[31m", "..", "/", "~", "null", "1e5", "[", "{", "&a", "*a", "!!python/object:os.system", "2026-13-45", "=", "<<",
    [], [None], [[]], {}, {"a": {}}, {"": 1}, {"kind": 5}, {"kind": "hinge"}, {"kind": None}, {"knots": []},
    {"knots": [[0, 1]]},
    {"knots": [[10**20, 1]]}, {"knots": [[5, 1], [1, 2]]}, {"knots": [["a", None]]}, [1, "a", None], list(range(300)),
    {"source": "noise:normal:10000000000000", "size": 8}, "noise:normal:0", "folder:", "torchvision:", "http://x",
]  # fmt: skip


def change(random: Random, values: dict[Any, Any]) -> None:
    """Change one value, key or piece of structure, at a random depth."""
    part: Any = values
    while True:
        inner = [key for key in part if isinstance(part[key], dict) and part[key]]
        if not inner or random.random() < 0.4:
            break
        part = part[random.choice(inner)]
    key = random.choice(list(part) or ["a"])
    kind = random.randrange(7)
    if kind == 0:
        part.pop(key, None)
    elif kind == 1:
        part[random.choice([None, 1, 1.5, True, "", "x" * 300, "a.b", "a[0]", changed_text(random, str(key))])] = 1
    elif kind == 2:
        part[key] = [part.get(key)]
    elif kind == 3:
        deep: Any = part.get(key)
        for _ in range(random.choice([1, 3, 50, 2_000])):
            deep = {str(key): deep}
        part[key] = deep
    else:
        part[key] = random.choice(WRONG)


def changed_text(random: Random, text: str) -> str:
    at = random.randrange(len(text) + 1)
    return text[:at] + random.choice(["x", ".", "[0]", "\0", " ", "é", "=", "..", "\n", "/", "\ud800"]) + text[at + 1 :]
