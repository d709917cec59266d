"""The pages of the Python API, from signatures and docstrings."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from docstrings import field_description
from pydantic import BaseModel
from stage import ROOT

import sparring

MODULES = {  # what each page is about
    "sparring": "what most programs need",
    "sparring.recipe": "recipes as objects",
    "sparring.data": "images and their batches",
    "sparring.metrics": "numbers from plain tensors",
    "sparring.evaluation": "measuring images against images",
    "sparring.evaluation.extractors": "networks whose features are compared",
    "sparring.toy": "worlds on a line and in a plane",
    "sparring.testing": "rounds for tests of a term",
    "sparring.api": "the commands as functions",
}


def page_of(module: str) -> str:
    return f"reference/python{module.removeprefix('sparring').replace('.', '-')}.md"


def public_names(module: str) -> list[str]:
    """The public names of a module, in the order in which it lists them."""
    found = importlib.import_module(module)
    if module == "sparring":
        return [*found._PUBLIC, "study", *found._terms()]
    for listed in ("__all__", "_PUBLIC", "_HOME", "NAMES"):
        names = getattr(found, listed, None)
        if names:
            break
    else:
        names = [name for name, value in vars(found).items() if getattr(value, "__module__", None) == module]
    if module == "sparring.metrics":
        names = [name for group in found._PUBLIC.values() for name in group]
    return [name for name in names if not name.startswith("_")]


def python_pages() -> dict[str, str]:
    """A page for each of MODULES."""
    terms = sparring._terms()
    pages: dict[str, str] = {}
    described: dict[int, str] = {}  # where things are that several modules offer
    for module, about in MODULES.items():
        found = importlib.import_module(module)
        parts = [f"# `{module}`\n", f"*{about[0].upper()}{about[1:]}.*\n", doc_markdown(found)]
        for name in public_names(module):
            if module == "sparring" and name in terms:
                continue
            thing, path = named(found, name), f"{module}.{name}"
            first = described.setdefault(id(thing), path)
            home, _, shown = first.rpartition(".")
            same = [f"The same as [`{first}`]({Path(page_of(home)).name}#{shown.lower()}).\n"]
            parts += [f"\n## `{name}`\n", *(entry(path, thing) if first == path else same)]
        if module == "sparring":
            parts += ["\n## The terms\n", "These classes are described with their settings in [Terms](terms.md):\n"]
            parts += [", ".join(f"`sparring.{name}`" for name in terms) + ".\n"]
        pages[page_of(module)] = "\n".join(parts)
    return pages


def named(module: ModuleType, name: str) -> Any:
    if (module.__name__, name) == ("sparring", "study"):  # a package that can be called
        return importlib.import_module("sparring.study.engine").run
    return getattr(module, name)


def entry(name: str, thing: Any) -> Iterator[str]:
    """The description of one public name."""
    if inspect.isclass(thing):
        yield from class_entry(thing, name, source=True)
    elif callable(thing):
        yield from directive("function", f"{name}{signature(thing)}", doc_markdown(thing))
        yield source_link(thing)
    else:
        yield from directive("data", name, constant_markdown(thing))


def constant_markdown(thing: Any) -> str:
    return f"A {type(thing).__name__} of {', '.join(f'`{each}`' for each in thing)}."


def class_entry(
    kind: Any, name: str | None = None, *, source: bool = False, with_module: bool = False
) -> Iterator[str]:
    """A class: its docstring, its fields if it is a model, its public methods. with_module: also its module's docstring."""
    module = inspect.getmodule(kind)
    if with_module and module is not None:
        yield doc_markdown(module)
    parts = [doc_markdown(kind)]
    if name and issubclass(kind, BaseModel):
        parts += [f"- **{field}**: {text}" for field in kind.model_fields if (text := field_description(kind, field))]
    if name:
        for method, value in vars(kind).items():
            inner = value.__func__ if isinstance(value, classmethod | staticmethod) else value
            if (
                method.startswith("_")
                or not inspect.getdoc(inner)
                or not (inspect.isfunction(inner) or isinstance(inner, property))
            ):
                continue
            role = "property" if isinstance(inner, property) else "method"
            shown = (
                method
                if role == "property"
                else f"{method}{signature(inner, method=not isinstance(value, staticmethod))}"
            )
            parts += ["", *directive(role, shown, doc_markdown(inner))]
    own_signature = signature(kind) if name and not issubclass(kind, BaseModel) and "__init__" in vars(kind) else ""
    yield from directive(
        "class", f"{name or f'{kind.__module__}.{kind.__qualname__}'}{own_signature}", "\n".join(parts)
    )
    if source:
        yield source_link(kind)


def directive(role: str, head: str, body: str) -> list[str]:
    """A description that the site's index and search know. Fences around fences are longer."""
    fence = "`" * (3 + max((len(found) for found in re.findall(r"^`{3,}", body, re.M)), default=0))
    return [f"{fence}{{py:{role}}} {head}", "", body, fence, ""]


def source_link(thing: Any) -> str:
    file = inspect.getsourcefile(inspect.unwrap(thing))
    path = Path(file or "").resolve()
    return f"[Source](../../{path.relative_to(ROOT).as_posix()})\n"


class Written(str):
    """An annotation as it is written in the source."""

    __repr__ = str.__str__


def signature(thing: Any, *, method: bool = False) -> str:
    """`(a: int, *, b: str = 'c') -> Run`, with annotations as they are written."""
    try:
        found = inspect.signature(thing)
    except ValueError:
        return "()"
    parameters = list(found.parameters.values())[1 if method else 0 :]

    def written(annotation: Any) -> Any:
        return Written(annotation) if isinstance(annotation, str) else annotation

    parameters = [p.replace(annotation=written(p.annotation), default=shown_default(p.default)) for p in parameters]
    return str(found.replace(parameters=parameters, return_annotation=written(found.return_annotation)))


def shown_default(default: Any) -> Any:
    """A default that can be read: `...` for objects that print as an address."""
    return Written("...") if default is not inspect.Parameter.empty and " at 0x" in repr(default) else default


LISTED = re.compile(r"([A-Za-z_][\w./]*(?:, [\w./]+)*) {2,}(\S.*)")  # a row of a table: a name and what it is


def doc_markdown(thing: Any) -> str:
    """A docstring as Markdown: equations and examples in code blocks, what is said of parameters in a list."""
    text = thing.__dict__.get("__doc__") if inspect.isclass(thing) else inspect.getdoc(thing)
    names = parameters_of(thing)
    done: list[str] = []
    for block in re.split(r"\n\s*\n", inspect.cleandoc(text or "")):
        lines = block.split("\n")
        inner = [line[4:] for line in lines[1:] if line.startswith("    ")]
        if lines[0].startswith("    ") and len(inner) == len(lines) - 1:
            code = "\n".join([lines[0][4:], *inner])
            if done and done[-1].startswith("```"):
                done[-1] = f"{done[-1][:-4]}\n\n{code}\n```"
            else:
                done.append(f"```{'python' if 'sparring.' in code or 'import ' in code else 'text'}\n{code}\n```")
        elif inner and len(inner) == len(lines) - 1 and re.fullmatch(r"[\w ()',-]+", lines[0]):
            done += [f"**{plain(lines[0])}**", paragraph(inner, names)]
        else:
            done.append(paragraph(lines, names))
    return "\n\n".join(done) + "\n"


def parameters_of(thing: Any) -> set[str]:
    """The names that a docstring may describe as `name: what it is`."""
    try:
        found = set(inspect.signature(thing).parameters) if callable(thing) else set()
    except ValueError:
        found = set()
    return found | set(getattr(thing, "model_fields", ()))


def paragraph(lines: list[str], names: set[str]) -> str:
    """A paragraph of a docstring. What it says of parameters, `name: what it is`, becomes a list, and so does a table."""
    if LISTED.fullmatch(lines[0]):
        rows = [LISTED.sub(r"- **\1**: \2", line) if LISTED.fullmatch(line) else f"  {line.strip()}" for line in lines]
        return "\n".join(plain(row).replace("\\*", "*", 4) if row.startswith("- **") else plain(row) for row in rows)
    if any(line.startswith("- ") for line in lines):
        return "\n".join(map(plain, ["", *lines] if lines[0].startswith("- ") else lines))
    text = " ".join(line.strip() for line in lines)
    name = "|".join(sorted(map(re.escape, names), key=len, reverse=True)) or "(?!)"
    starts = re.compile(rf"(?:^|(?<=[.;] ))((?:{name})(?:(?:, | and )(?:{name}))*): ")
    first, *rest = starts.split(text)
    first, raises = [plain(first.strip())] if first.strip() else [], ""
    items = []
    for what, said in zip(rest[::2], rest[1::2], strict=True):
        said, found, after = said.partition("Raises ")
        items.append(f"- **{what}**: {plain(said.strip().rstrip(';'))}")
        raises += plain(f"{found}{after} ") if found else ""
    return "\n\n".join([*first, *(["\n".join(items)] if items else []), *([raises.strip()] if raises else [])])


def plain(text: str) -> str:
    """Text in which only backticks mark anything up."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([<*\\])", r"\\\1", part) for part in parts)
