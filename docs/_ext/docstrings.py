"""Reads descriptions out of the package: the string below a field, and what docstrings say of a constructor's options."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from functools import cache
from typing import Any

from sparring import networks


@cache
def strings_below(kind: type) -> dict[str, str]:
    """The strings below a class's own fields, by field."""
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    except (OSError, TypeError):  # built in
        return {}
    found, body = {}, getattr(tree, "body", [])
    for field, below in zip(body, body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            found[ast.unparse(field.target)] = " ".join(str(below.value.value).split())
    return found


def field_description(kind: type, name: str) -> str:
    """The string below a field, in the class or the nearest base that has one; "" if there is none."""
    return next((found[name] for base in kind.__mro__ if name in (found := strings_below(base))), "")


def option_description(kind: type, name: str) -> str:
    """What an option of a network or criterion is: the string below it, else what docstrings say as `name: what it is`."""
    if found := field_description(kind, name):
        return found
    for text in (*(base.__dict__.get("__doc__") for base in kind.__mro__), networks.__doc__):
        if found := _listed(text or "", name) or _said(text or "", name):
            return found[0].upper() + found[1:]
    return ""


def _listed(text: str, name: str) -> str:
    """The entry `name  what it is` of a list in a docstring, with the lines below it that are indented further."""
    found = re.search(rf"^( *){name}(  +)(.*(?:\n\1 {{{len(name)}}} .*)*)", text, re.M)
    return " ".join(found[3].split()).rstrip(".") + "." if found else ""


def _said(text: str, name: str) -> str:
    """The sentence `name: what it is.` of a docstring."""
    found = re.search(rf"(?:^|[.;] ){name}: (.*?)(?:\.(?= |$)|$)", " ".join(text.split()))
    return found[1] + "." if found else ""


def options(kind: Any) -> list[inspect.Parameter]:
    """What a constructor takes by keyword, but for what every recipe gives it."""
    given = ("image_size", "image_channels", "num_classes", "latent_size", "dimensions", "device")
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p for p in inspect.signature(kind).parameters.values() if p.kind in kinds and p.name not in given]
