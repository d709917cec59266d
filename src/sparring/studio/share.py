"""A folder to hand on, as model hubs have them: weights, recipe, numbers, a picture and a model card.

Nothing in it says on which machine, in which folder or by whom the run was made. Everything in it is data: opening it runs
no code (docs/trust.md).
"""

from __future__ import annotations

import getpass
import os
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from sparring.data import embedded
from sparring.errors import SparringError
from sparring.evaluation.extractors.registry import EXTRACTORS
from sparring.files import read_rows, writable, write_atomically, write_json
from sparring.messages import Note, note_or_default
from sparring.networks import GENERATORS
from sparring.plugins import ships
from sparring.report.plots import image_grid
from sparring.report.samples import layout
from sparring.run.folder import read_facts
from sparring.run.saved import load_generator, save_generator
from sparring.studio.card import model_card

SAMPLES, RECIPE, NUMBERS, CARD = "samples.png", "recipe.yaml", "metrics.json", "README.md"
SHOWN = 64  # images in the picture
CURE = "choose another folder"
OWN = "YOUR-IMAGES"  # in the recipe, for the name of the owner's images
REMOVED = "removed"
NAMED = ("torchvision:", "noise:")  # how names of data that are not paths begin
ANYBODYS = {"root", "user", "admin", "home", "localhost"}  # names that tell nothing
SOURCES = {"source", "data", "generated"}  # keys whose value may be a path: of recipes and of records of numbers
PATH = re.compile(r"(?:^|[\s'\"=(:])(?:[/~]|\.{1,2}[/\\]|[A-Za-z]:[/\\]|\\\\)[^\s'\"]*\w")


def share(
    run: str | os.PathLike[str], folder: str | Path, *, note: Note | None = None, allow_code: bool = False
) -> Path:
    """Make a folder with a run's generator that others can open with `sparring.load`. Returns its path.

    folder: a new or empty one. It gets generator.safetensors, generator.json, samples.png and README.md, and of a run also
        recipe.yaml and, if these weights were measured, metrics.json. Paths, and the names of the user and of the machine,
        are left out. note: takes lines for people. allow_code: see docs/trust.md.
    """
    folder, note = Path(folder), note_or_default(note)
    generator = load_generator(run, allow_code=allow_code)
    if folder.is_dir() and any(folder.iterdir()):
        raise SparringError(f"{folder} is not empty: give a new folder, so that it holds nothing else")
    place = Path(run)
    recipe = read_facts(place).get("recipe") if place.is_dir() else None
    records = _records(place, generator.description["content_hash"]) if place.is_dir() else []
    description = without_places(
        {k: v for k, v in generator.description.items() if k not in ("version", "content_hash")}
    )
    with writable(folder, CURE):
        save_generator(folder, generator.module, description)
        if recipe:
            recipe = without_places(recipe)
            write_atomically(folder / RECIPE, _as_yaml(recipe))
        if records:
            write_json(folder / NUMBERS, records)
        grid = layout(SHOWN, generator.num_classes, rows=None)
        image_grid(generator.sample(SHOWN), folder / SAMPLES, columns=grid.columns, cells=grid.cells)
        write_atomically(folder / CARD, model_card(description, recipe, records))
    kind = description["network"]["kind"]
    if not ships(kind, GENERATORS, "generator"):
        note(f"the network {kind} does not ship with sparring: whoever opens this needs its code, and --allow-code")
    return folder


def _records(run: Path, content_hash: str) -> list[dict[str, Any]]:
    """The measurements of exactly these weights: the last of each kind."""
    found = {}
    for row in read_rows(run / "metrics.jsonl"):
        if row.get("generated_hash") == content_hash:
            found[row.get("metric"), row.get("split"), row.get("n_fake")] = without_places(row)
    return list(found.values())


def _as_yaml(recipe: Mapping[str, Any]) -> str:
    start = (
        f"# sparring train {RECIPE} data={OWN}\n"
        if recipe["data"].get("source") == OWN
        else f"# sparring train {RECIPE}\n"
    )
    return start + yaml.safe_dump(dict(recipe), sort_keys=False, allow_unicode=True, width=120)


def without_places(values: Any, key: str = "") -> Any:
    """A copy of nested values without paths and without the names of the user and the machine.

    Names of data that are not shipped become `YOUR-IMAGES`, other files that a recipe names become null, and texts with a
    path or a name in them become "removed". Names of classes are left unchanged.
    """
    if isinstance(values, Mapping):
        return {name: value if name == "class_names" else without_places(value, name) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [without_places(each, key) for each in values]
    if not isinstance(values, str):
        return values
    if key in SOURCES and not (values == embedded.NAME or values.startswith(NAMED)):
        return OWN if key == "source" or "/" in values or "\\" in values or _tells(values) else values
    if key in ("start_from", "class_order") or (key == "extractor" and not _is_name(values)):
        return None
    return REMOVED if _tells(values) else values


def _is_name(extractor: str) -> bool:
    """Whether an extractor is a name: one that ships, or as records have it, not a path."""
    return extractor in EXTRACTORS or not (
        "/" in extractor or "\\" in extractor or ":" in extractor or _tells(extractor)
    )


def _tells(text: str) -> bool:
    """Whether a text holds a path, or a name of the user or the machine as a word."""
    return bool(PATH.search(text)) or any(
        re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.I) for name in _names()
    )


def _names() -> set[str]:
    host = socket.gethostname()
    found = {Path.home().name, host, host.partition(".")[0]}
    with suppress(OSError, KeyError):  # a user without a name, as in some containers
        found.add(getpass.getuser())
    return {name for name in found if len(name) > 1 and name.lower() not in ANYBODYS}
