"""Choosing classes by name, number or range."""

import re
from collections.abc import Sequence

from sparring.errors import SparringError, nearest

_SLICE = re.compile(r"(-?\d+)?:(-?\d+)?")
_RANGE = re.compile(r"(\d+)-(\d+)")

Classes = str | int | Sequence[str | int]


def choose_classes(classes: Classes, names: Sequence[str], num_classes: int, source: str) -> list[int]:
    """The numbers of the chosen classes, in the order in which they were asked for.

    `classes` is a name, a number, `"3-7"` (both ends included), a Python slice such as `"0:100"` or `"-20:"`, or a
    list of those, also as text with commas. A name goes before a range or number that is spelt alike. `source` is
    named in errors.

    Raises SparringError for unknown names (with the nearest), numbers out of range, doubles and an empty choice.
    """
    items = [classes] if isinstance(classes, str | int) else list(classes)
    chosen: list[int] = []
    for item in items:
        chosen += _one_item(item, list(names), num_classes, source)
    if not chosen:
        raise SparringError(f"classes {classes!r} choose none of the {num_classes} classes of '{source}'")
    for number in chosen:
        if chosen.count(number) > 1:
            name = names[number] if names else number
            raise SparringError(f"classes {classes!r} choose class '{name}' of '{source}' twice: name it once")
    return chosen


def _one_item(item: str | int, names: list[str], num_classes: int, source: str) -> list[int]:
    if isinstance(item, bool) or not isinstance(item, str | int):
        raise SparringError(f"class {item!r} is not a name, a number, or a range such as '0-9' or '0:10'")
    if isinstance(item, str):
        item = item.strip()
        if item in names:
            return [names.index(item)]
        if match := _SLICE.fullmatch(item):
            start, stop = (None if end is None else int(end) for end in match.groups())
            return list(range(num_classes))[start:stop]
        if match := _RANGE.fullmatch(item):
            first, last = map(int, match.groups())
            return [_in_range(number, num_classes, source) for number in range(first, last + 1)]
        if "," in item:
            return [number for part in item.split(",") for number in _one_item(part, names, num_classes, source)]
        if not re.fullmatch(r"\d+", item):
            hint = nearest(item, names) if names else f"its classes have numbers only, 0 to {num_classes - 1}"
            raise SparringError(f"'{source}' has no class '{item}': {hint}")
    return [_in_range(int(item), num_classes, source)]


def _in_range(number: int, num_classes: int, source: str) -> int:
    if not 0 <= number < num_classes:
        raise SparringError(f"'{source}' has no class {number}: its {num_classes} classes are 0 to {num_classes - 1}")
    return number
