"""Finding a class by its name: one of the library's registries, or a user's own as `package.module:Class`."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from typing import Any

from sparring.errors import SparringError, nearest


def find(kind: str, registry: Mapping[str, str], what: str) -> Any:
    """The class or function that `kind` names: a key of the registry, or `package.module:Name`.

    what: `term`, `network`, ..., for the error, which names the nearest key. Raises SparringError for what cannot be called.
    """
    path = registry.get(kind, kind)
    if ":" not in path:
        hint = nearest(kind, registry)
        raise SparringError(
            f"unknown {what} '{kind}': {hint}{'' if hint.endswith('?') else '.'} Your own is package.module:Name"
        )
    module_name, _, attribute = path.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # a user's module beside the recipe, as `python -m` would find it
    try:
        if not module_name:
            raise ModuleNotFoundError(name="")
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # a missing import inside the user's module is theirs to see
        raise SparringError(f"{what} '{kind}': there is no module '{module_name}' to import") from None
    try:
        found = getattr(module, attribute)
    except AttributeError:
        names = [name for name in vars(module) if not name.startswith("_")]
        raise SparringError(
            f"{what} '{kind}': {module_name} has no '{attribute}': {nearest(attribute, names)}"
        ) from None
    if not callable(found):
        raise SparringError(f"{what} '{kind}' is no class or function, but {found!r:.100}")
    return found


def find_class(kind: str, registry: Mapping[str, str], what: str, base: type) -> Any:
    """`find`, for a class below `base`: a function in its place could do anything with a recipe's values."""
    found = find(kind, registry, what)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise SparringError(
            f"{what} '{kind}' is no class below {base.__module__}.{base.__qualname__}, but {found!r:.100}"
        )
    return found
