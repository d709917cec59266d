"""What a page may say: one JSON object a message, every part of it with bounds. Nothing that it names is imported."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StrictBool, StrictFloat, StrictInt, StrictStr, TypeAdapter, ValidationError

from sparring.errors import SparringError
from sparring.terms import REGISTRY
from sparring.web.playground.catalogue import LARGE, LIMITS, WHOLE, catalogue, settings, term_class

LONGEST = 100_000  # steps of a session
POINTS = 2_000  # of a drawing
CHANGES = 60  # settings in one message
RUSH = 200  # steps in one message
SEED = 2**31 - 1

Scalar = StrictBool | StrictInt | StrictFloat | Annotated[StrictStr, Field(max_length=40)] | None
Word = Annotated[StrictStr, Field(max_length=80)]
Number = Annotated[StrictInt | StrictFloat, Field(ge=-1e3, le=1e3)]
Numbers = Annotated[list[Annotated[list[Number], Field(max_length=2)] | Number], Field(max_length=32)]
Fields = Annotated[dict[Word, Scalar], Field(max_length=20)]
Changes = Annotated[dict[Word, Fields | Annotated[list[StrictFloat | StrictInt], Field(max_length=2)] | Scalar],
                    Field(max_length=CHANGES)]  # fmt: skip
Drawing = Annotated[list[Annotated[list[Number], Field(min_length=1, max_length=2)]], Field(max_length=POINTS)]


class Part(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """A message, or a part of one."""


class WorldChoice(Part):
    """A world of the library with its options, or a drawing."""

    name: Word
    options: Annotated[dict[Word, Number | Numbers | Annotated[dict[Word, Numbers], Field(max_length=3)]],
                       Field(max_length=8)] = {}  # fmt: skip
    points: Drawing = []
    negatives: Drawing = []


class SideChoice(Part):
    """One pair of players: a method, and what is changed in it."""

    method: Word
    changes: Changes = {}


class Start(Part):
    """Begin, or begin anew: a world, a seed, and one or two pairs of players."""

    do: Literal["start"]
    world: WorldChoice
    sides: Annotated[list[SideChoice], Field(min_length=1, max_length=2)]
    seed: StrictInt = Field(0, ge=0, le=SEED)


class Change(Part):
    """Change settings of one pair, or of both."""

    do: Literal["change"]
    side: Literal[0, 1] | None = None
    changes: Changes


class Play(Part):
    """Train on. pace: steps a second; None: as many as there is time for."""

    do: Literal["play"]
    pace: Annotated[StrictFloat | StrictInt, Field(ge=0.2, le=1000)] | None = None


class Pause(Part):
    do: Literal["pause"]


class Step(Part):
    do: Literal["step"]
    count: StrictInt = Field(1, ge=1, le=RUSH)


class Rewind(Part):
    """Go to a step that was reached before."""

    do: Literal["rewind"]
    step: StrictInt = Field(ge=0, le=LONGEST)


class Slow(Part):
    """Take one step and tell of each of its parts."""

    do: Literal["slow"]
    side: Literal[0, 1] = 0


class Seen(Part):
    """The page has shown this frame: the next may come."""

    do: Literal["seen"]
    frame: StrictInt = Field(ge=0, le=2**53)


class Export(Part):
    """Ask for the run as a recipe, as Python and as a command."""

    do: Literal["export"]
    side: Literal[0, 1] = 0


Message = Start | Change | Play | Pause | Step | Rewind | Slow | Seen | Export
_MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="do")])


def read(text: str) -> Message:
    """A page's message. Raises SparringError, in one line, for anything else."""
    try:
        message = _MESSAGE.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part)[:40] for part in first["loc"]) or "the message"
        raise SparringError(f"{where}: {first['msg'][:200]}") from None
    except (ValueError, RecursionError):
        raise SparringError("the message is not JSON") from None
    for side in message.sides if isinstance(message, Start) else [message] if isinstance(message, Change) else []:
        check_changes(side.changes, starting=isinstance(message, Start))
    return message


@cache
def _known() -> Mapping[str, Mapping[str, Any]]:
    """The settings of the catalogue by key, the two of Adam as one."""
    found = {each["key"].removesuffix(".0").removesuffix(".1"): each for each in settings()}
    conditioning = {"kind": "choice", "choices": ["none", "projection", "concat"], "fixed": False}
    return found | {
        "generator.network.conditioning": conditioning,
        "discriminator.conditioning": conditioning,
        "generator.ema": {"kind": "none"},
    }


def check_changes(changes: Mapping[str, Any], *, starting: bool) -> None:
    """Raise SparringError for a key that the playground does not offer, or a value out of its bounds."""
    for key, value in changes.items():
        term = re.fullmatch(r"objective\.([a-z0-9_]+)(?:\.([A-Za-z0-9_]+))?", key)
        if term:
            _check_term(key, term[1], {term[2]: value} if term[2] else value)
            continue
        known = _known().get(key)
        if known is None:
            raise SparringError(f"the playground has no setting {key}")
        if known.get("fixed") and not starting:
            raise SparringError(f"{key} cannot change while a run trains: start anew")
        _check_setting(key, value, known)


def _check_term(key: str, name: str, fields: Any) -> None:
    if name not in REGISTRY:
        raise SparringError(f"{key}: there is no term '{name}' in the playground")
    if fields is None:
        return
    if not isinstance(fields, Mapping):
        raise SparringError(f"{key} takes the term's fields, or null")
    for field, value in fields.items():
        if field not in term_class(name).model_fields:
            raise SparringError(f"{key}: {name} has no field '{field}'")
        if isinstance(value, float | int) and not isinstance(value, bool):
            whole = term_class(name).model_fields[field].annotation is int
            most = LIMITS.get(field, WHOLE) if whole else LARGE
            if abs(value) > most:
                raise SparringError(f"{key}: {field} is at most {most:g} in the playground")


def _check_setting(key: str, value: Any, known: Mapping[str, Any]) -> None:
    if value is None and (known.get("off") or known["kind"] == "none"):
        return
    if known["kind"] == "choice":
        if value not in known["choices"]:
            raise SparringError(f"{key} is one of {', '.join(known['choices'])}")
        return
    if key.endswith(".betas"):
        if not (isinstance(value, list) and len(value) == 2 and all(0 <= each < 1 for each in value)):
            raise SparringError(f"{key} takes two numbers from 0 to 1")
        return
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or (known["kind"] == "whole" and not isinstance(value, int)):
        raise SparringError(f"{key} takes a {'whole ' if known['kind'] == 'whole' else ''}number")
    low, high = (known["low"], known["high"]) if known["kind"] == "whole" else (0, LARGE)
    if not low <= value <= high:
        raise SparringError(f"{key} goes from {low:g} to {high:g}")


def world_names() -> list[str]:
    return [each["name"] for each in catalogue()["worlds"]]
