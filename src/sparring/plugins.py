"""Finding a class by its name: one that ships, one that an installed package registers, or `package.module:Class`.

An installed package registers its own by an entry point of the groups below, such as

    [project.entry-points."sparring.terms"]
    centred = "my_package.terms:Centred"

Then recipes and opened files may name it, as `centred`. Entry points are read only for names that do not ship.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Mapping
from functools import reduce
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from sparring.errors import SparringError, nearest, one_line
from sparring.trust import SHIPPED, Trust

GROUPS = {  # of entry points, by what they register
    "generator": "sparring.generators",
    "backbone": "sparring.backbones",
    "term": "sparring.terms",
    "step": "sparring.steps",
    "augmentation": "sparring.augmentations",
    "extractor": "sparring.extractors",
    "metric": "sparring.metrics",
    "network": "sparring.classifiers",
    "criterion": "sparring.criteria",
    "executor": "sparring.executors",
    "tracker": "sparring.trackers",
}
MOVED = {"sparring.metrics.extractors.densenet:DenseNetBC": "densenet"}  # after version 0.1, to a registry's name
_folders: list[str] = []  # of users' recipes: on sys.path, since a module in them was imported


def find(kind: str, registry: Mapping[str, str], what: str, trust: Trust = SHIPPED) -> Any:
    """The class or function that `kind` names: a key of the registry, a registered name, or `package.module:Name`.

    what: `term`, `network`, ..., a key of `GROUPS`. trust: which code may be imported besides what ships or
    is registered; it is asked before anything is. Raises SparringError for what cannot be imported or called, and
    CodeNotAllowedError for what must not be.
    """
    path = _shipped(kind, registry, what)
    folders: tuple[Path, ...] = ()
    if path is None:
        module_name, _, attribute = kind.partition(":")
        if not all(part.isidentifier() for part in (*module_name.split("."), *attribute.split("."))):
            raise SparringError(f"{what} '{kind}': your own is package.module:Name")
        path, folders = kind, trust.folders(kind, what)
    module_name, _, attribute = path.partition(":")
    module = _import(module_name, folders, f"{what} '{kind}'")
    try:
        found = reduce(getattr, attribute.split("."), module)
    except AttributeError:
        names = [name for name in vars(module) if not name.startswith("_")]
        raise SparringError(
            f"{what} '{kind}': {module_name} has no '{attribute}': {nearest(attribute, names)}"
        ) from None
    if not callable(found):
        raise SparringError(f"{what} '{kind}' is neither a class nor a function, but {found!r:.100}")
    return found


def find_class(kind: str, registry: Mapping[str, str], what: str, base: type, trust: Trust = SHIPPED) -> Any:
    """`find`, for a subclass of `base`: a function could do anything with a recipe's values."""
    found = find(kind, registry, what, trust)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise SparringError(
            f"{what} '{kind}' is not a subclass of {base.__module__}.{base.__qualname__}, but {found!r:.100}"
        )
    return found


def ships(kind: str, registry: Mapping[str, str], what: str) -> bool:
    """Whether opened files may name this without the user's consent."""
    return _shipped(kind, registry, what) is not None


def registered(what: str) -> dict[str, list[str]]:
    """What installed packages register, by name: `module:Name`, more than one if several packages use the name."""
    found: dict[str, list[str]] = {}
    for point in importlib.metadata.entry_points(group=GROUPS[what]):
        path = f"{point.module}:{point.attr}"
        if path not in found.setdefault(point.name, []):
            found[point.name].append(path)
    return found


def name_of(found: type, registry: Mapping[str, str], what: str) -> str:
    """What a recipe calls a class: its key in the registry, its registered name, else `module:Name`."""
    path = f"{found.__module__}:{found.__qualname__}"
    for name, shipped in registry.items():
        if shipped == path:
            return name
    for name, paths in registered(what).items():
        for module_name, _, attribute in (each.partition(":") for each in paths):
            module = sys.modules.get(module_name)
            if module is not None and getattr(module, attribute, None) is found:
                return name
    return path


def _shipped(kind: str, registry: Mapping[str, str], what: str) -> str | None:
    """`module:Name` of what ships or is registered under this name; None for a name that could be the user's own."""
    kind = MOVED.get(kind, kind)
    if kind in registry or kind in registry.values():
        return registry.get(kind, kind)
    of_packages = registered(what)
    paths = of_packages.get(kind, [])
    if len(paths) > 1:
        raise SparringError(f"{what} '{kind}' is registered more than once: write one of {', '.join(paths)}")
    if paths:
        return paths[0]
    if ":" not in kind:
        hint = nearest(kind.lower(), [*registry, *of_packages])
        raise SparringError(
            f"unknown {what} '{kind}': {hint}{'' if hint.endswith('?') else '.'} Your own is package.module:Name"
        )
    return kind if any(kind in paths for paths in of_packages.values()) else None


def _import(name: str, folders: tuple[Path, ...], wanted: str) -> ModuleType:
    """A module of an installed package, or one in the first of these folders that has it."""
    top = name.partition(".")[0]
    if folders:
        importlib.invalidate_caches()
    for folder in folders:
        spec = PathFinder.find_spec(top, [str(folder)])
        if spec is not None:
            _look_in(str(folder))
            _check_one_of_a_name(top, spec, str(folder), wanted)
            break
    try:
        with one_line(f"{wanted}: importing {name} failed: "):
            return importlib.import_module(name)
    except SparringError as error:
        missing = error.__cause__
        if isinstance(missing, ModuleNotFoundError) and f"{name}.".startswith(f"{missing.name}."):
            looked = "".join(f", nor in {folder}" for folder in folders)
            raise SparringError(
                f"{wanted}: there is no module '{name}' to import, neither among the installed ones{looked}"
            ) from None
        raise  # even for a missing import inside the user's module


def _look_in(folder: str) -> None:
    """Put a recipe's folder on sys.path, after everything installed and before the folders of other recipes."""
    if folder in sys.path and folder not in _folders:
        return
    if folder in _folders:
        _folders.remove(folder)
        sys.path[:] = [each for each in sys.path if each != folder]
    first = next((i for i, each in enumerate(sys.path) if each in _folders), len(sys.path))
    sys.path.insert(first, folder)
    _folders.append(folder)


def _check_one_of_a_name(top: str, spec: ModuleSpec, folder: str, wanted: str) -> None:
    """Raise SparringError if Python would import, or has imported, another module than the one in the recipe's folder.

    This includes modules from other recipes' folders that this recipe's code would get instead of its own.
    """
    if spec.origin is not None:
        loaded = sys.modules.get(top)
        other = getattr(loaded, "__spec__", None) if loaded else importlib.util.find_spec(top)
        _check_same(top, spec.origin, getattr(other, "origin", None) or getattr(loaded, "__file__", None), wanted)
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if "." in name or not file or not any(_lies_in(file, each) for each in _folders if each != folder):
            continue
        here = PathFinder.find_spec(name, [folder])
        if here is not None and here.origin is not None:
            _check_same(name, here.origin, file, wanted)


def _check_same(name: str, here: str, other: str | None, wanted: str) -> None:
    if other is not None and os.path.realpath(here) != os.path.realpath(other):
        raise SparringError(
            f"{wanted}: there are two modules '{name}', {here} and {other}, but a process imports only one: rename one"
        )


def _lies_in(file: str, folder: str) -> bool:
    return Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder))
