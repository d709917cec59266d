"""Explains validation errors of recipes in one line, and checks the options of networks."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, ValidationInfo
from torch import nn

from sparring.errors import SparringError, nearest
from sparring.limits import BLOCKS, OPTION
from sparring.trust import USERS_OWN, CodeNotAllowedError, Trust, joined

# Arguments of a network that the run supplies.
GIVEN = ("image_size", "image_channels", "latent_size", "num_classes", "dimensions")

SOURCES = ("data", "negatives", "unlabelled", "test")
COMMAND_OPTIONS = ("device", "out")  # of `sparring train`, often given as if they were keys

SHIPPED = ("sparring.", "torchvision.")  # modules whose networks' options are bounded; others check their own
REPEATED = ("blocks", "depth")  # options that count repeated layers

_WANTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "tuple": "a list",
    "list": "a list",
    "dict": "a mapping",
    "model": "a mapping",
    "finite": "a finite number",
}


TRUST = "trust"  # in a validation's context: the code that the values may name


def trust_in(info: ValidationInfo) -> Trust:
    """The code that this validation may import: any, if a part of a recipe is made in Python."""
    return (info.context or {}).get(TRUST) or USERS_OWN


def refused_code(error: ValidationError) -> CodeNotAllowedError | None:
    """One error for all code that a validation refused, or None."""
    causes = [fault.get("ctx", {}).get("error") for fault in error.errors()]
    refused = [cause for cause in causes if isinstance(cause, CodeNotAllowedError)]
    return joined(refused) if refused else None


def explain(error: ValidationError, model: type[BaseModel], prefix: str = "") -> str:
    """The first fault of a validation in one line: the dotted key, and what it takes."""
    faults = error.errors()
    fault = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])
    loc = list(fault["loc"])
    path = [str(part) for part in loc if not _of_pydantic(part)]
    where = ".".join([prefix, *path] if prefix else path)
    kind = fault["type"]
    if kind == "extra_forbidden":
        path = [*(str(part) for part in loc[:-1] if not _of_pydantic(part)), str(loc[-1])]  # the last one is the user's
        where = ".".join([prefix, *path] if prefix else path)
        if where in COMMAND_OPTIONS:
            return f"{where} is an option, not a key of the recipe: --{where} {fault.get('input')!s:.60}"
        return f"unknown key {where}: {_nearest_keys(path[-1], _fields_at(model, path[:-1]))}"
    if kind == "missing":
        return f"{where} is missing"
    if kind == "value_error" or kind == "assertion_error":
        reason = fault["msg"].removeprefix("Value error, ")
        whole = ("objective", "unknown", "generator", "backbone", f"{where} ")
        return reason if not where or reason.startswith(whole) else f"{where}: {reason}"
    given = _shown(fault.get("input"))
    if any("Schedule" in str(part) for f in faults for part in f["loc"]):
        return f"{where} takes a number or a schedule {{knots: [[step, value], ...]}}, got {given}"
    if kind == "literal_error":
        return f"{where} takes one of {fault['ctx']['expected']}, got {given}"
    wanted = _WANTED.get(kind.split("_")[0])
    if where in SOURCES and kind == "model_type":
        wanted = "a folder, a file, a data set's name or a mapping"
    if wanted and kind.endswith(("_type", "_parsing", "_from_float", "_number")):
        return f"{where} takes {wanted}, got {given}"
    message = fault["msg"]
    return f"{where}: {message[0].lower()}{message[1:]}, got {given}"


def _of_pydantic(part: Any) -> bool:
    """Whether a part of a fault's location is a type that pydantic tried, such as `list[int]`, and not a key."""
    return part in ("Schedule", "float", "int", "str") or "[" in str(part)


def _nearest_keys(name: str, keys: list[str]) -> str:
    """As `nearest`, but names both of two keys that are about equally near: `step` and `steps`."""
    close = difflib.get_close_matches(name, sorted(keys), n=2, cutoff=0.75)
    return f"did you mean '{close[0]}' or '{close[1]}'?" if len(close) == 2 else nearest(name, keys)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    """The fields of the model at a path of keys."""
    current: Any = model
    for name in path:
        field = getattr(current, "model_fields", {}).get(name)
        if field is None:
            continue
        options = [field.annotation, *get_args(field.annotation)]
        current = next((o for o in options if inspect.isclass(o) and issubclass(o, BaseModel)), current)
    return list(current.model_fields)


def network_options(network: type, given: Mapping[str, Any], *, what: str) -> dict[str, Any]:
    """A network's options, converted to the types of its constructor. Raises SparringError for an unknown one."""
    takes = _parameters(network)
    parameters = {
        name: parameter
        for name, parameter in takes.items()
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD) and name not in GIVEN
    }
    takes_any = any(p.kind is p.VAR_KEYWORD for p in takes.values())
    hints = get_type_hints(network.__init__ if inspect.isclass(network) else network, include_extras=True)
    options = {}
    for name, value in given.items():
        if name not in parameters and not takes_any:
            raise SparringError(
                f"{what} has no option '{name}': {nearest(name, parameters) if parameters else 'it has none'}"
            )
        options[name] = _converted(name, value, hints.get(name, Any), what)
        if str(getattr(network, "__module__", "")).startswith(SHIPPED):
            _check_size(name, options[name], what)
    missing = [name for name, p in parameters.items() if p.default is p.empty and name not in given]
    if missing:
        raise SparringError(f"{what} needs the option {', '.join(missing)}")
    return options


def _converted(name: str, value: Any, annotation: Any, what: str) -> Any:
    if isinstance(value, bool) and annotation in (int, float, int | None, float | None):
        raise SparringError(f"{what}: option '{name}' takes a number, got {str(value).lower()}")
    try:
        return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value)
    except ValidationError as error:
        fault = error.errors()[0]
        wanted = (
            f"one of {fault['ctx']['expected']}"
            if fault["type"] == "literal_error"
            else getattr(annotation, "__name__", str(annotation))
        )
        raise SparringError(f"{what}: option '{name}' takes {wanted}, got {_shown(value)}") from None


def _check_size(name: str, value: Any, what: str) -> None:
    """Raise SparringError for a width, a number of blocks or another option that is too large."""
    most = BLOCKS if name in REPEATED else OPTION
    for each in value if isinstance(value, list | tuple) else [value]:
        if isinstance(each, int) and abs(each) > most:
            raise SparringError(f"{what}: option '{name}' is at most {most:,}, got {_shown(value)}")
        if isinstance(each, float) and not math.isfinite(each):
            raise SparringError(f"{what}: option '{name}' takes a finite number, got {each}")


def _parameters(network: type) -> Mapping[str, inspect.Parameter]:
    """A network's constructor arguments. Without a constructor it takes none, although torch's base class accepts any."""
    return {} if network.__init__ is nn.Module.__init__ else inspect.signature(network).parameters  # type: ignore[misc]


def given_to(network: type, **facts: Any) -> dict[str, Any]:
    """The facts about the run (image size, channels, ...) that a network's constructor takes."""
    parameters = _parameters(network)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return {name: value for name, value in facts.items() if takes_any or name in parameters}
