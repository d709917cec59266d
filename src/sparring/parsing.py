"""YAML and JSON, bounded before they are built: by size, by depth, and by values after aliases are written out."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import yaml

from sparring.errors import SparringError
from sparring.limits import ALIASES, DEPTH, NODES, RECIPE_BYTES, check_values, in_words


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A YAML loader that reads values as people mean them, and refuses a key that is given twice.

    YAML 1.1 reads 1e-4 as text, 010 and 1:30 as the numbers 8 and 90, and 2026-12-01 as a date. Here the first is a number,
    and the others are text.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key '{key.value[:60]}' is given twice", node.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_INTEGER, _DATE = "tag:yaml.org,2002:int", "tag:yaml.org,2002:timestamp"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in (_INTEGER, _DATE)]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_INTEGER, re.compile(r"^[-+]?(0|[1-9][0-9_]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.\d*([eE][-+]?\d+)?|\d+[eE][-+]?\d+|\.\d+([eE][-+]?\d+)?)$"),
    list("-+0123456789."),
)


class NotYAMLError(SparringError):
    """Text that is not YAML. YAML that is too large or too deep raises SparringError."""


def parse_yaml(text: str, where: str) -> Any:
    """The plain values in YAML text; `where` names the text in errors.

    Raises NotYAMLError if it is not YAML, and SparringError if it is deeper or larger than a recipe may be (with all aliases
    written out), if an alias contains itself, or if a value has a type that JSON does not have.
    """
    try:
        _check_events(text, where)
        values = yaml.load(text, _Loader)
    except SparringError:
        raise
    except (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # such as !!int and !!bool of text, or a list as a key
        raise NotYAMLError(f"{where} is not valid YAML: {' '.join(str(error).split())[:300]}") from None
    check_values(values, where)
    return values


def _check_events(text: str, where: str) -> None:
    """Check the depth and size of YAML before anything is built; an alias counts as many values as it stands for."""
    sizes: dict[str, int] = {}  # of finished anchors
    begun: list[tuple[str | None, int]] = []  # anchors of the open mappings and lists, and the count before them
    count = aliases = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            aliases += 1
            if any(event.anchor == anchor for anchor, _ in begun):
                raise SparringError(f"{where}: the alias *{event.anchor} contains itself: write the values out")
            count += sizes.get(str(event.anchor), 1)  # an unknown alias is an error when the values are built
        elif isinstance(event, yaml.ScalarEvent):
            count += 1
            if event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            begun.append((event.anchor, count))
            count += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = begun.pop()
            if anchor:
                sizes[anchor] = count - before
        if aliases > ALIASES:
            raise SparringError(f"{where} uses more than {ALIASES:,} aliases: write the values out")
        if count > NODES:
            raise SparringError(
                f"{where} holds more than {NODES:,} values, aliases written out: no recipe needs so many"
            )
        if len(begun) > DEPTH:
            raise SparringError(f"{where} is nested deeper than {DEPTH} levels: make it flatter")


def parse_json(text: str | bytes, where: str, *, nodes: int = NODES, wrong: str = "is not valid JSON") -> Any:
    """The values in JSON text. Raises SparringError if it is not JSON, or is deeper or larger than allowed."""
    try:
        values = json.loads(text)
    except RecursionError:
        raise SparringError(f"{where} {wrong}: it is nested deeper than {DEPTH} levels") from None
    except ValueError as error:
        raise SparringError(f"{where} {wrong}: {' '.join(str(error).split())[:300]}") from None
    check_values(values, where, nodes=nodes)
    return values


def read_json(path: Path, *, most: int = RECIPE_BYTES, nodes: int = NODES) -> Any:
    """The values in one of our JSON files. Raises SparringError if it cannot be read, is damaged or is too large."""
    return parse_json(read_text(path, most, what="JSON"), str(path), nodes=nodes, wrong="is damaged, not valid JSON")


def read_text(path: Path, most: int, *, encoding: str = "utf-8", what: str = "text") -> str:
    """The text of a file. Raises SparringError if it cannot be read, is not text, or has more than `most` bytes."""
    try:
        return read_bytes(path, most).decode(encoding)
    except UnicodeDecodeError as error:
        raise SparringError(f"{path} is not valid {what}: byte {error.start} is not UTF-8") from None


def check_no_pipe(path: Path) -> None:
    """Raise SparringError for a pipe, a device or a socket: reading one may never end."""
    if os.path.exists(path) and not (path.is_file() or path.is_dir()):
        raise SparringError(f"'{path}' is a pipe or a device: give a folder or a file")


def read_bytes(path: Path, most: int) -> bytes:
    """The bytes of a file. Raises SparringError if it cannot be read, is a pipe, or has more than `most` bytes."""
    check_no_pipe(path)
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise SparringError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > most:
        raise SparringError(f"{path} has more than {in_words(most)}: too large for what it should hold")
    return content
