"""The mistakes of `mutate_terms.py`: change one expression of a file at a time, and patch a running process."""

from __future__ import annotations

import ast
import copy
import hashlib
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SWAPS = {
    "real": "fake",
    "fake": "real",
    "on_real": "on_fake",
    "on_fake": "on_real",
    "discriminator": "generator",
    "generator": "discriminator",
}
REDUCTIONS = {
    "mean": "sum",
    "sum": "mean",
    "amax": "amin",
    "max": "min",
    "argmax": "argmin",
    "argmin": "argmax",
    "clamp_min": "clamp_max",
    "log_softmax": "softmax",
    "softmax": "log_softmax",
    "logsumexp": "sum",
    "relu": "softplus",
    "softplus": "relu",
    "square": "abs",
}
COMPARISONS: dict[type, type] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}


@dataclass(frozen=True)
class Mutant:
    """One mistake. `text` is the whole file with the mistake, `before` and `after` are the changed expression."""

    file: str
    line: int
    kind: str
    before: str
    after: str
    text: str

    @property
    def key(self) -> str:
        return hashlib.blake2b(f"{self.file}\n{self.text}".encode(), digest_size=10).hexdigest()


def replacements(node: ast.AST, inside: str) -> Iterator[tuple[str, ast.AST]]:
    """(kind, replacement) for each possible mistake in this node. `inside` is `call`, `index` or empty."""
    if isinstance(node, ast.BinOp):
        yield from _of_operation(node)
    elif isinstance(node, ast.UnaryOp):
        if isinstance(node.op, ast.USub):
            yield "sign", node.operand
        elif isinstance(node.op, ast.Not):
            yield "logic", node.operand
    elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS:
        yield "logic", ast.Compare(node.left, [COMPARISONS[type(node.ops[0])]()], node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield "logic", ast.BoolOp(ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.values)
    elif isinstance(node, ast.IfExp):
        yield "logic", ast.IfExp(node.test, node.orelse, node.body)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr == "detach":
            yield "logic", node.func.value
        if node.func.attr in ("clamp", "square", "relu") and isinstance(node.func.value, ast.expr):
            yield "drop", node.func.value if node.func.attr != "relu" else node.args[0]
    elif isinstance(node, ast.Attribute):
        for table, kind in ((SWAPS, "swap"), (REDUCTIONS, "logic")):
            if node.attr in table:
                yield kind, ast.Attribute(node.value, table[node.attr], node.ctx)
    elif isinstance(node, ast.Constant):
        yield from _of_constant(node, inside)


def _of_operation(node: ast.BinOp) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node.op, ast.BitOr):
        return
    if isinstance(node.op, ast.Add | ast.Sub):
        other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield "sign", ast.BinOp(node.left, other, node.right)
        yield "drop", node.right
    yield "drop", node.left
    if isinstance(node.op, ast.Mult):
        yield "drop", node.right


def _of_constant(node: ast.Constant, inside: str) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node.value, str):
        first, dot, rest = node.value.partition(".")
        if first in SWAPS:
            yield "swap", ast.Constant(SWAPS[first] + dot + rest)
    elif isinstance(node.value, bool):
        yield "logic", ast.Constant(not node.value)
    elif isinstance(node.value, int) and inside:
        yield "index", ast.Constant(node.value + 1)
        if inside == "index":
            yield "index", ast.Constant(node.value - 1)
    elif isinstance(node.value, int | float):
        yield "index", ast.Constant(node.value + 1)


def places(tree: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST, str]]:
    """(parent, field, position, node, inside) of every expression, except annotations, docstrings and messages."""
    stack: list[tuple[ast.AST, str]] = [(tree, "")]
    while stack:
        parent, inside = stack.pop()
        for name, value in ast.iter_fields(parent):
            if name in ("annotation", "returns", "type_params", "decorator_list", "bases"):
                continue
            here = inside
            if isinstance(parent, ast.Call):
                here = "call" if name in ("args", "keywords") else ""
            elif isinstance(parent, ast.Subscript) and name == "slice":
                here = "index"
            for i, node in enumerate(value if isinstance(value, list) else [value]):
                if not isinstance(node, ast.AST) or _is_not_code(parent, node):
                    continue
                yield parent, name, i if isinstance(value, list) else None, node, here
                stack.append((node, here))


def _is_not_code(parent: ast.AST, node: ast.AST) -> bool:
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    type_checking = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    alias = isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript)  # Aggregate = Literal[...]
    bounds = (
        isinstance(node, ast.keyword) and isinstance(parent, ast.Call) and getattr(parent.func, "id", "") == "Field"
    )
    kinds = ast.Raise | ast.JoinedStr | ast.ImportFrom | ast.Import | ast.operator | ast.expr_context
    return docstring or type_checking or alias or bounds or isinstance(node, kinds)


def mutants(path: Path) -> list[Mutant]:
    """All mistakes for a file, by line."""
    tree = ast.parse(path.read_text())
    found, seen = [], {ast.unparse(tree)}
    for parent, name, position, node, inside in list(places(tree)):
        for kind, other in replacements(node, inside):
            holder = getattr(parent, name)
            _put(parent, name, position, other)
            text = ast.unparse(ast.fix_missing_locations(copy.deepcopy(tree)))
            _put(parent, name, position, node)
            assert holder is getattr(parent, name) or position is None
            if text not in seen:
                seen.add(text)
                line = getattr(node, "lineno", 0)
                found.append(Mutant(path.stem, line, kind, ast.unparse(node), ast.unparse(other), text))
    return sorted(found, key=lambda m: m.line)


def _put(parent: ast.AST, name: str, position: int | None, node: ast.AST) -> None:
    if position is None:
        setattr(parent, name, node)
    else:
        getattr(parent, name)[position] = node


# --- patch modules that are already imported ---


def changed_functions(before: str, after: str) -> list[str] | None:
    """The qualified names of the functions and methods whose code differs. None if anything else differs."""
    old, new = (compile(ast.unparse(ast.parse(text)), "terms", "exec") for text in (before, after))
    return _changed(old, new, "")


def _changed(old: types.CodeType, new: types.CodeType, inside: str) -> list[str] | None:
    if old.co_code != new.co_code or old.co_names != new.co_names or len(old.co_consts) != len(new.co_consts):
        return None
    found: list[str] = []
    for a, b in zip(old.co_consts, new.co_consts, strict=True):
        if a == b and type(a) is type(b):
            continue
        if not isinstance(a, types.CodeType) or not isinstance(b, types.CodeType):
            return None
        name = f"{inside}{a.co_name}"
        if a.co_flags & 0x2:  # a function, not a class body
            if a.co_freevars != b.co_freevars:
                return None
            found.append(name)
        else:
            below = _changed(a, b, f"{name}.")
            if below is None:
                return None
            found += below
    return found


def codes(text: str) -> dict[str, types.CodeType]:
    """The code of every function and method in a file, by qualified name."""
    found = {}

    def walk(code: types.CodeType, inside: str) -> None:
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                name = f"{inside}{constant.co_name}"
                if constant.co_flags & 0x2:
                    found[name] = constant
                else:
                    walk(constant, f"{name}.")

    walk(compile(text, "terms", "exec"), "")
    return found


def function_at(module: types.ModuleType, name: str) -> types.FunctionType | None:
    """A module's function or method by qualified name. None if it is wrapped in something else."""
    holder: Any = module
    *classes, last = name.split(".")
    for part in classes:
        holder = getattr(holder, part)
    found = vars(holder).get(last)
    if isinstance(found, property):
        found = found.fget
    return found if isinstance(found, types.FunctionType) else None


def put_in(module: types.ModuleType, names: list[str], text: str) -> bool:
    """Replace the code of the functions, wherever they are imported. Returns False if one cannot be reached."""
    functions = {name: function_at(module, name) for name in names}
    found = codes(text)
    if not all(functions.values()):
        return False
    for name, function in functions.items():
        assert function is not None
        function.__code__ = found[name]
    return True
