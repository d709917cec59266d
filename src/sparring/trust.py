"""Whose code may run.

A recipe that the user writes or types may name code of its own, `module:Name`. A file that is opened (a run, a generator, a
classifier) is data: it may name what ships with the library and what installed packages register, and anything else only
with the user's consent, `--allow-code`, `allow_code=True` or SPARRING_ALLOW_CODE=1. `sparring.plugins` asks a `Trust` before
it imports anything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sparring.errors import SparringError

ALLOW_CODE = "SPARRING_ALLOW_CODE"  # the environment variable
SCRIPTS = (".pt", ".pth", ".ts", ".torchscript")  # TorchScript is code, too
WITH_WEIGHTS = re.compile(r"[A-Za-z][\w-]+:")  # how NAME:WEIGHTS begins; one letter is a drive


class CodeNotAllowedError(SparringError):
    """An opened file names code that does not ship. `wanted` holds (name, what it is) for each."""

    def __init__(self, file: str, wanted: Iterable[tuple[str, str]]):
        self.file, self.wanted = file, tuple(dict.fromkeys(wanted))
        super().__init__(f"{self.said}. If you trust it, add --allow-code (allow_code=True in Python)")

    def or_else(self, cure: str) -> SparringError:
        """This error with a second cure."""
        return SparringError(f"{self}; {cure}")

    @property
    def said(self) -> str:
        named = ", ".join(f"{name} ({what})" for name, what in self.wanted)
        return f"'{self.file}' names code that does not ship with sparring: {named}"


def joined(refused: Sequence[CodeNotAllowedError]) -> CodeNotAllowedError:
    """Several refusals of one file as a single one that names everything."""
    return CodeNotAllowedError(refused[0].file, [each for error in refused for each in error.wanted])


@dataclass(frozen=True)
class Trust:
    """Which names of code may be imported besides those that ship, and where their modules are looked up.

    written    the names that the user wrote, each with the folders in which its module may be
    anything   whether every name is allowed; modules may be in the current folder
    file       the one that names everything else, for the error
    """

    written: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    anything: bool = False
    file: str = ""

    def folders(self, name: str, what: str) -> tuple[Path, ...]:
        """Where to look for the module of `name`, besides the installed ones. Raises CodeNotAllowedError."""
        if name in self.written:
            return self.written[name]
        if not self.anything:
            raise CodeNotAllowedError(self.file, [(name, what)])
        return (Path.cwd(),)

    def also(self, values: Any, folder: Path | None) -> Trust:
        """This trust, extended to every name in `values`. folder: that of their file; None if they are imported already."""
        written = dict(self.written)
        for name in names_in(values):
            written[name] = tuple(dict.fromkeys([*([] if folder is None else [folder]), *written.get(name, ())]))
        return replace(self, written=written)


SHIPPED = Trust(file="a file")  # nothing else
USERS_OWN = Trust(anything=True)  # of what the user types, or writes in Python
VALIDATED = Trust(anything=True)  # for names in a Recipe, which was validated with the right to them
_consent: ContextVar[Trust] = ContextVar("consent", default=SHIPPED)


def trust_in_file(file: str | os.PathLike[str], *, allow_code: bool = False) -> Trust:
    """The trust in a file from anybody: what the user consented to. A run of this process may name its own code."""
    consent = _consent.get().also(getattr(file, "code", ()), None)
    allowed = allow_code or consent.anything or os.environ.get(ALLOW_CODE, "").lower() in ("1", "true", "yes")
    return replace(consent, anything=allowed, file=os.fspath(file))


@contextmanager
def consenting(allow_code: bool = False, *runs: Any, code: Any = ()) -> Iterator[None]:
    """Within the block, opened files may name any code with `allow_code`, otherwise only that of `runs` and `code`.

    runs: paths are ignored; a run of this process brings its attribute `code`. code: names that this process was allowed
        to import. Do not pass a whole recipe: its other texts, such as `about`, may name anything.
    """
    before = _consent.get()
    trust = replace(before, anything=before.anything or allow_code)
    for each in (code, *(getattr(run, "code", ()) for run in runs)):
        trust = trust.also(each, None)
    token = _consent.set(trust)
    try:
        yield
    finally:
        _consent.reset(token)


def names_in(values: Any) -> set[str]:
    """Every text in nested mappings and lists that could name code: `module:Name`, or a TorchScript file."""
    found, seen, waiting = set(), set(), [values]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if ":" in value or is_script(value):
                found.add(value)
        elif isinstance(value, Mapping | list | tuple | set | frozenset) and id(value) not in seen:
            seen.add(id(value))
            waiting += [*value, *value.values()] if isinstance(value, Mapping) else list(value)
    return found


def is_script(extractor: str) -> bool:
    """Whether an extractor is given as a TorchScript file, and not as NAME:WEIGHTS.

    By the suffix of the path that is opened, since `net.pt/` and `net.pt/.` open net.pt, too.
    """
    return Path(extractor).suffix.lower() in SCRIPTS and not WITH_WEIGHTS.match(extractor)


def is_run_recipe(path: Path) -> bool:
    """Whether a recipe's file is part of a run, so that its reader did not write it.

    That is a recipe.json, a recipe.yaml with a generator beside it as in a shared folder, or a link to one of them.
    """
    for each in (path, path.resolve()):
        if each.name.lower() == "recipe.json":
            return True
        if each.name.lower() == "recipe.yaml" and (each.parent / "generator.safetensors").is_file():
            return True
    return False
