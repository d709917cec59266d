"""Recipes as files: shipped ones by name, YAML with `extends`, and `key=value` overrides. Validates no field of a recipe."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from sparring.errors import SparringError, nearest
from sparring.limits import DEPTH, EXTENDED, KEY, OVERRIDE, RECIPE_BYTES, check_values
from sparring.parsing import NotYAMLError, parse_json, parse_yaml, read_text
from sparring.trust import Trust, is_run_recipe, trust_in_file

SHORT_FORMS = {
    "data": "source",
    "negatives": "source",
    "unlabelled": "source",
    "test": "source",
    "network": "kind",
    "criterion": "kind",
    "ema": "decay",
}
SOURCES_BY_NAME = ("probes",)  # mappings of which each value may be a source alone
# How images are used, whatever their source: kept when the source is replaced.
HOW_TREATED = ("flip", "labelled", "skip_unreadable", "per_batch", "placement")
ROOT = Path(str(resources.files("sparring"))) / "recipes"
PROTOCOL = ("title", "protocol", "checkpoint")  # keys of `paper` that say how its numbers were measured

Kind = Literal["GAN", "classifier"]
COMMANDS: dict[Kind, str] = {"GAN": "train", "classifier": "classify"}
OWN_KEYS: dict[Kind, set[str]] = {  # keys that only recipes of this kind have
    "GAN": {"generator", "discriminator", "objective"},
    "classifier": {"network", "criterion", "beside", "probes", "test"},
}


def resume_command(kind: Kind, folder: str | os.PathLike[str]) -> str:
    """The command that continues the run in a folder."""
    return f"sparring {COMMANDS[kind]} {shlex.quote(os.fspath(folder))} --resume"


def beside_folder(criterion: str) -> str:
    """Where a classifier's run keeps the one trained beside it by this criterion, below `beside`."""
    return criterion.replace(":", "-").replace("/", "-")


def kind_of(values: Mapping[str, Any]) -> Kind | None:
    """What a recipe with these keys trains; None if it could be either."""
    return next((kind for kind, keys in OWN_KEYS.items() if keys & set(values)), None)


def shipped_recipes(kind: Kind | None = None) -> dict[str, Path]:
    """The paths of the shipped recipes, or of those of one kind, by name: `quickstart`, `sdp/hinge-cifar10`, `nat/demo`."""
    return {name: path for name, path in _shipped().items() if kind is None or _kinds()[name] == kind}


@cache
def _shipped() -> dict[str, Path]:
    return named_files(ROOT)


def named_files(root: Path) -> dict[str, Path]:
    """The YAML files below a folder by name. Files and folders whose names begin with `_` hold parts of others."""
    found = {path.relative_to(root).with_suffix("").as_posix(): path for path in sorted(root.rglob("*.yaml"))}
    return {name: path for name, path in found.items() if not any(part.startswith("_") for part in name.split("/"))}


@cache
def _kinds() -> dict[str, Kind | None]:
    return {name: kind_of(read_recipe(name)) for name in _shipped()}


def quoted_rows() -> list[dict[str, Any]]:
    """Rows of the papers' tables that their authors took from other papers. They are listed, but are not recipes."""
    path = ROOT / "_quoted.yaml"
    return list(parse_yaml(read_text(path, RECIPE_BYTES), str(path)))


class _Writers:
    """Records, while a recipe's files are read, what the user wrote."""

    def __init__(self) -> None:
        self.trust, self.is_user = Trust(), True
        self.files: list[Path] = []

    @contextmanager
    def reading(self, values: Any, path: Path, *, of_run: bool = False) -> Iterator[None]:
        """Around the values of one file; of_run: of a run's file, and whatever that extends is trusted no more than it."""
        before = self.is_user
        self.is_user = before and not of_run
        if self.is_user:
            self.trust = self.trust.also(values, path.parent.resolve())
        else:
            self.trust = replace(self.trust, file=self.trust.file or str(path))
        yield
        self.is_user = before


def read_recipe(source: Any) -> dict[str, Any]:
    """The values of a recipe before validation, merged with all that it extends.

    source: a shipped name, a YAML or JSON file, the folder of a run, or a mapping.
    """
    return read_with_trust(source)[0]


def read_with_trust(source: Any, *, allow_code: bool = False) -> tuple[dict[str, Any], Trust]:
    """As `read_recipe`, with the code that the values may name: any that the user's own files and mappings name.

    A run's recipe.json, and a recipe that extends it, may name other code only as described in `sparring.trust`.
    """
    writers = _Writers()
    values = _read(source, writers)
    trust = trust_in_file(source if isinstance(source, os.PathLike) else "", allow_code=allow_code)
    return values, replace(trust, file=writers.trust.file, written={**trust.written, **writers.trust.written})


def _read(source: Any, writers: _Writers) -> dict[str, Any]:
    if isinstance(source, Mapping):
        check_values(source, "the recipe", plain=False)
        with writers.reading(source, Path("recipe")):
            return _extended(dict(source), Path("recipe"), (), writers)
    if not isinstance(source, str | os.PathLike):
        raise SparringError(
            f"a recipe is a name, a file, a run, a mapping or a Recipe, got {type(source).__name__}: {source!r}"[:200]
        )
    path = Path(source)
    if str(source) in _shipped():
        path = _shipped()[str(source)]
    elif os.path.isdir(path):
        path = path / "recipe.json"
        if not path.is_file():
            raise SparringError(
                f"'{source}' is not a run (it has no recipe.json): to train on its images, put a recipe first, as in "
                f"quickstart data={shlex.quote(str(source))}"
            )
    elif not os.path.isfile(path):  # also False for a name that is too long
        if path.suffix in (".yaml", ".yml", ".json"):
            raise SparringError(f"there is no recipe file {source}")
        raise _unknown_recipe(str(source))
    return _read_file(path, (), writers)


def _unknown_recipe(name: str) -> SparringError:
    if name.startswith(("runs/", "/", ".", "~")):
        return SparringError(f"there is no run or recipe file '{name}'")
    hint = nearest(name, _shipped(), otherwise="`sparring recipes --all` lists them.")
    return SparringError(f"unknown recipe '{name}': {hint} Or give a YAML file or a run")


def check_kind(source: Any, values: Mapping[str, Any], wanted: Kind) -> None:
    """Raise SparringError if the values, which were read from `source`, are a recipe of the other kind."""
    kind = kind_of(values)
    if kind in (None, wanted):
        return
    is_run = isinstance(source, str | os.PathLike) and os.path.isdir(source)
    name = source if isinstance(source, str | os.PathLike) else values.get("name", "this recipe")
    if is_run and kind == "classifier":
        raise SparringError(
            f"'{name}' is a classifier's run: see its results.json and report.html, or use it with `sparring predict`; "
            "`sparring classify` trains another"
        )
    raise SparringError(
        f"'{name}' is a {kind}'s {'run' if is_run else 'recipe'}: `sparring {COMMANDS[kind]} {name}` trains it"
    )


def _read_file(path: Path, seen: tuple[Path, ...], writers: _Writers) -> dict[str, Any]:
    writers.files.append(path)
    if len(writers.files) > EXTENDED:
        raise SparringError(
            f"{writers.files[0]} extends more than {EXTENDED} recipes, directly or indirectly: copy the values you need"
        )
    values = read_mapping(path, "recipe")
    if is_run_recipe(path) and "recipe" in values:
        values = values["recipe"]  # a run's file also holds versions and the command
        if not isinstance(values, dict):
            raise SparringError(f"{path} is damaged: its recipe is not a mapping")
    with writers.reading(values, path, of_run=is_run_recipe(path)):
        merged = _extended(values, path, seen, writers)
    names = {shipped: name for name, shipped in _shipped().items()}
    merged["name"] = values.get("name", names.get(path, path.stem))
    return merged


def read_mapping(path: Path, what: str) -> dict[str, Any]:
    """The values in a YAML or JSON file. what: the kind of file, for messages. Raises SparringError for anything else."""
    text = read_text(path, RECIPE_BYTES, what="JSON" if path.suffix == ".json" else "YAML")
    values = (parse_json if path.suffix == ".json" else parse_yaml)(text, str(path))
    if not isinstance(values, dict):
        raise SparringError(f"{path} should hold a mapping of the {what}'s keys, got {type(values).__name__}")
    return values


def _extended(values: dict[str, Any], path: Path, seen: tuple[Path, ...], writers: _Writers) -> dict[str, Any]:
    """The values, merged into those of the recipes that they extend."""
    values = dict(values)
    merged: dict[str, Any] = {}
    seen = (*seen, path.resolve())
    for base, place in bases_of(values, path, "recipe", ROOT, _shipped(), seen):
        extended = _read_file(place, seen, writers)
        kind, other = kind_of({**merged, **values}), kind_of(extended)
        if kind and other and kind != other:
            raise SparringError(
                f"{path} is a {kind}'s recipe and extends '{base}', a {other}'s: extend only recipes of a {kind}"
            )
        merged = merge(merged, extended)
    if merged:
        if "about" in merged:
            merged["about"] = without_others_about(merged, merge(merged, values)).get("about", "")
        _drop_row(merged, path)
        merged.pop("run_in_full", None)
    return merge(merged, values)


def without_others_about(before: Mapping[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The values after overrides, without the `about` that described other images."""
    replaced = any(_source(before, part) not in (None, _source(after, part)) for part in ("data", "negatives"))
    return {**after, "about": ""} if replaced and before.get("about") == after.get("about") else after


def _source(values: Mapping[str, Any], part: str) -> Any:
    value = values.get(part)
    return value.get("source") if isinstance(value, Mapping) else value


def _drop_row(merged: dict[str, Any], path: Path) -> None:
    """A paper's number belongs to the recipe that states it. Shipped recipes inherit only how it was measured."""
    paper = merged.pop("paper", None)
    if paper and path.is_relative_to(ROOT):
        merged["paper"] = {key: value for key, value in paper.items() if key in PROTOCOL}


def bases_of(
    values: dict[str, Any], path: Path, what: str, root: Path, known: Iterable[str], seen: Iterable[Path]
) -> list[tuple[str, Path]]:
    """Take `extends` out of a file's values: the names there, and the files beside it or below the root that they mean.

    seen: the file itself and those that extend it, which it may not extend.
    """
    bases = values.pop("extends", [])
    bases = [bases] if isinstance(bases, str) else bases
    if not isinstance(bases, list | tuple) or not all(isinstance(base, str) for base in bases):
        raise SparringError(f"{path}: extends takes a {what}'s name or a list of them, got {bases!r:.100}")
    found = []
    for base in bases:
        places = (path.parent / base, path.parent / f"{base}.yaml", root / f"{base}.yaml")
        place = next(filter(os.path.isfile, places), None)  # is also False for a name that is too long
        if place is None:
            hint = nearest(base, known, otherwise=f"see `sparring {'recipes' if what == 'recipe' else 'studies'}`")
            raise SparringError(f"{path} extends '{base:.60}', which is neither a file beside it nor a {what}: {hint}")
        if place.resolve() in seen:
            raise SparringError(f"{what} {place} extends itself through {' -> '.join(p.name for p in seen)}")
        found.append((base, place))
    return found


def merge(base: Mapping[str, Any], change: Mapping[str, Any], *, of_sources: bool = False) -> dict[str, Any]:
    """`change` merged into `base`, key by key. Anything but mappings is replaced, and so is a mapping of another `kind`.

    A short form, such as data: FOLDER, becomes a mapping before another mapping refines it. of_sources: whether every value
    is a source.
    """
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            other_kind = "kind" in value and "kind" in old and value["kind"] != old["kind"]
            merged[key] = dict(value) if other_kind else merge(old, value, of_sources=key in SOURCES_BY_NAME)
        elif isinstance(old, Mapping) and isinstance(value, str) and "source" in {*old, SHORT_FORMS.get(key)}:
            treatment = {name: old[name] for name in ("size", *HOW_TREATED) if name in old}
            merged[key] = {**treatment, "source": value}  # the split and classes were the old source's
        elif isinstance(value, Mapping) and isinstance(old, str | int | float) and (of_sources or key in SHORT_FORMS):
            merged[key] = {"source" if of_sources else SHORT_FORMS[key]: old, **value}
        else:
            merged[key] = value
    return merged


class ParsedOverrides(dict[str, Any]):
    """Dotted keys and their values, parsed: a text among them is meant as it stands."""


def parse_overrides(overrides: Iterable[str] | Mapping[str, Any]) -> ParsedOverrides:
    """`key=value` strings as a mapping of dotted keys to YAML values. What it returns may be passed to it again.

    Raises SparringError for text without a key, and for keys and values that are too long or too deep.
    """
    if isinstance(overrides, ParsedOverrides):
        return ParsedOverrides(overrides)
    if isinstance(overrides, Mapping):
        check_values(overrides, "the changes", plain=False)
        parsed = {key: parse_value(value) if isinstance(value, str) else value for key, value in overrides.items()}
    else:
        parsed = {}
        for override in overrides:
            key, equals, value = str(override).partition("=")
            key = key.strip()
            if not equals or not re.fullmatch(r"[\w/-]+(\.[^.\n]+)*", key):  # a probe's name may contain spaces
                raise SparringError(
                    f"'{override:.100}' is not a change: write key=value, such as steps=100 or objective.r1.weight=5"
                )
            parsed[key] = parse_value(value)
    for key in parsed:
        if len(key) > KEY or key.count(".") >= DEPTH:
            raise SparringError(
                f"the key '{key:.60}...' is longer than {KEY} characters or {DEPTH} names: no recipe has it"
            )
    return ParsedOverrides(parsed)


def nested(key: str, value: Any) -> dict[str, Any]:
    """A dotted key and its value as nested mappings."""
    for name in reversed(key.split(".")):
        value = {name: value}
    return value


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one mapping of dotted keys. An empty mapping is a value: a term without fields."""
    flattened: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flattened |= flat(value, f"{prefix}{key}.")
        else:
            flattened[f"{prefix}{key}"] = value
    return flattened


def agreed(changes: Mapping[str, Any], key: str, option: Any, default: Any = None) -> Any:
    """The value from the changes or an option, or the default. Raises SparringError if the two differ."""
    if key not in changes:
        return default if option is None else option
    if option is not None and changes[key] != option:
        raise SparringError(f"{key}={changes[key]} and --{key.replace('_', '-')} {option} differ: give one of them")
    return changes[key]


def parse_value(text: str) -> Any:
    """A value as YAML reads it: 5, 1e-4, true, null, [a, b], {k: 5}, or a string."""
    where = f"the value '{text[:40]}{'...' * (len(text) > 40)}'"
    if len(text) > OVERRIDE:
        raise SparringError(f"{where} has more than {OVERRIDE:,} characters: write it into a YAML file")
    try:
        return parse_yaml(text, where)
    except NotYAMLError:
        check_values(text, where)
        return text
