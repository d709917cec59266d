"""Classes: their order, choosing them by name, number or range, and labels in their shares.

A label means the same class wherever it is given: a label that equals a class's name is that class, and a number that
equals no name is a position, counted from 0. An int from Python is read like its digits. Tensors and arrays of labels
are data, not choices: they hold positions.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import reduce
from math import gcd

import torch
from torch import Tensor

from sparring.errors import SparringError, nearest
from sparring.messages import counted

_SLICE = re.compile(r"(-?\d+)?:(-?\d+)?", re.ASCII)
_RANGE = re.compile(r"(\d+)-(\d+)", re.ASCII)
_BREAKING = ("Cc", "Zl", "Zp")  # Unicode's categories of control characters and of what ends a line
_WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)

Classes = str | int | Sequence[str | int]


def printable(name: str) -> str:
    r"""A name as it is shown and stored: bytes that are not UTF-8, and control characters, as escapes such as `\xe9`."""
    if name.isprintable():
        return name
    surrogates = [ord(c) for c in name if 0xD800 <= ord(c) <= 0xDFFF]
    from_bytes = all(0xDC80 <= number <= 0xDCFF for number in surrogates)  # as in a file system's name
    text = name.encode("utf-8", "surrogateescape" if from_bytes else "backslashreplace")
    shown = text.decode("utf-8", "backslashreplace")
    return "".join(ascii(c)[1:-1] if unicodedata.category(c) in _BREAKING else c for c in shown)


def in_order(names: Iterable[str]) -> list[str]:
    """Class names sorted as numbers if all of them are whole numbers, else alphabetically."""
    names = list(names)
    if all(_WHOLE.fullmatch(name) for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def class_number(label: str | int, names: Sequence[str], num_classes: int, source: str) -> int:
    """The number of the class that a label means, by the rule above. Errors call the data `source`.

    Raises SparringError for a label that is neither a name nor a number, with the nearest name, or is out of range.
    """
    if str(label) in names:
        return names.index(str(label))
    text = str(label).strip()
    if text in names:
        return names.index(text)
    if not _WHOLE.fullmatch(text):
        hint = nearest(text, names) if names else f"its classes are only numbered, 0 to {num_classes - 1}"
        raise SparringError(f"{source} has no class '{text}': {hint}")
    if not 0 <= int(text) < num_classes:
        named = f", '{names[0]}' to '{names[-1]}'" if names else ""
        raise SparringError(
            f"{source} has no class {text}: its {counted(num_classes, 'class', 'classes')} are 0 to {num_classes - 1}{named}"
        )
    return int(text)


def choose_classes(classes: Classes, names: Sequence[str], num_classes: int, source: str) -> list[int]:
    """The numbers of the chosen classes, in the order in which they were asked for.

    `classes` is a name, a number, `"3-7"` (both ends included, each a name or a number), a Python slice of positions such
    as `"0:100"` or `"-20:"`, or a list of those, also as text with commas. A name takes precedence over an identical
    number, range or list. Errors call the data `source`.

    Raises SparringError for unknown names (with the nearest), numbers out of range, duplicates and an empty choice.
    """
    items = [classes] if isinstance(classes, str | int) else list(classes)
    chosen: list[int] = []
    for item in items:
        chosen += _one_item(item, list(names), num_classes, source)
    if not chosen:
        raise SparringError(f"classes {classes!r} choose none of the {num_classes} classes of '{source}'")
    seen = set()
    for number in chosen:
        if number in seen:
            name = names[number] if names else number
            raise SparringError(f"classes {classes!r} choose class '{name}' of '{source}' twice: name it once")
        seen.add(number)
    return chosen


def _one_item(item: str | int, names: list[str], num_classes: int, source: str) -> list[int]:
    if isinstance(item, bool) or not isinstance(item, str | int):
        raise SparringError(f"class {item!r} is not a name, a number, or a range such as '0-9' or '0:10'")
    text = str(item).strip()
    if text not in names and item not in names:
        if match := _SLICE.fullmatch(text):
            start, stop = (None if end is None else int(end) for end in match.groups())
            return list(range(num_classes)[start:stop])
        if match := _RANGE.fullmatch(text):
            first, last = (class_number(end, names, num_classes, f"'{source}'") for end in match.groups())
            return list(range(first, last + 1))
        if "," in text:
            return [number for part in text.split(",") for number in _one_item(part, names, num_classes, source)]
    return [class_number(item, names, num_classes, f"'{source}'")]


def classes_without_images(labels: Tensor, num_classes: int) -> tuple[int, list[int]]:
    """How many classes have no label among these [N], and the first three of them. Uses no memory per class."""
    present = set(labels[labels >= 0].unique().tolist())
    first: list[int] = []
    number = 0
    while len(first) < min(3, num_classes - len(present)):
        if number not in present:
            first.append(number)
        number += 1
    return num_classes - len(present), first


def class_turns(counts: Sequence[int]) -> Tensor:
    """A cycle of labels, int64 [P], in which each class has its share from the beginning.

    counts: the number of images of each of K classes; P is their sum over their greatest common divisor. Image j of class k
    is placed at (j + (k + 1/2) / K) / counts[k] of the cycle, so for any n the first n labels have the shares of the counts
    to within about one image per class. Equal counts give 0, 1, ..., K - 1. Raises SparringError if there are no images.
    """
    common = reduce(gcd, counts, 0)
    if common < 1:
        raise SparringError("class shares need at least one image of a class")
    reduced = torch.tensor([count // common for count in counts])
    labels = torch.arange(len(reduced)).repeat_interleave(reduced)
    nth = torch.arange(len(labels)) - (reduced.cumsum(0) - reduced)[labels]
    place = (2 * len(counts) * nth + 2 * labels + 1).double() / reduced[labels]
    return labels[place.argsort(stable=True)]


def turns_at(turns: Tensor, start: int, count: int) -> Tensor:
    """Labels start .. start + count - 1 [count] of the endlessly repeated cycle `turns`."""
    return turns[torch.arange(start, start + count) % len(turns)]
