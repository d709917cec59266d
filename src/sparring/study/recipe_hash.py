"""What two runs of one row have in common: a hash of their resolved recipe, but for the seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

WORDS_ABOUT = ("seed", "name", "about", "paper", "run_in_full", "keep_checkpoints", "start_from")
# start_from is another run's folder: a plan's `from` puts the parent's hash in its place


def recipe_hash(recipe: Mapping[str, Any], parent: str = "") -> str:
    """16 hex digits of a resolved recipe, without what changes no number, its seed, and the folder that it starts from.

    parent: the hash of the recipe whose run it starts from.
    """
    kept = {key: value for key, value in recipe.items() if key not in WORDS_ABOUT}
    return digest([kept, parent] if parent else kept)


def digest(values: Any) -> str:
    """16 hex digits of plain values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
