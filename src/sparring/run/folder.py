"""A run's folder and what goes into it: the resolved recipe, and the data that it names."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from sparring.data.sources import MissingSourceError
from sparring.errors import SparringError
from sparring.files import ANOTHER_FOLDER, UNFINISHED, one_line_for_disk_errors, write_json
from sparring.messages import Note
from sparring.parsing import read_json
from sparring.recipe.base import BaseRecipe, R, differences, flat
from sparring.recipe.files import COMMANDS
from sparring.recipe.gan import Recipe
from sparring.run.data import FROM_PYTHON, RunData, load_run_data
from sparring.run.lock import FILE
from sparring.trust import CodeNotAllowedError, consenting
from sparring.version import command_line, commit, hardware, versions

MAY_DIFFER = ("name", "about", "paper", "run_in_full", "keep_checkpoints")  # on resume: they change no number
READING = (
    "source",
    "split",
    "size",
    "channels",
    "classes",
    "class_order",
    "skip_unreadable",
    "download",
)  # of a source


def load_trained_on(folder: Path, recipe: Recipe, note: Note, *, data: Any = None) -> RunData:
    """The images of a run that has been trained, to look at it with.

    Raises SparringError as `load_run_data`, and where their classes are in another order than its generator's: folders
    whose names are whole numbers were sorted as text once.
    """
    with cure_for_moved(folder, recipe):
        found = load_run_data(recipe, note, data=data)
    path = folder / "generator.json"
    trained = tuple(_read(path).get("class_names", ())) if path.is_file() else ()
    now = found.real.class_names
    if trained and now and trained != now:
        first = next((pair for pair in zip(trained, now, strict=False) if pair[0] != pair[1]), (trained[-1], now[-1]))
        raise SparringError(
            f"{folder} was trained on other classes, or on these in another order: it has '{first[0]}' where "
            f"{found.real.name} has '{first[1]}'; train it again"
        )
    return found


@contextmanager
def cure_for_moved(folder: Path, recipe: BaseRecipe) -> Iterator[None]:
    """Within, the error of a run whose images are not where they were says how to tell it their new place."""
    try:
        yield
    except MissingSourceError as error:
        places = flat(recipe.to_dict())
        keys = [key for key, value in places.items() if value == error.source and key.endswith(".source")]
        if not keys or not is_run(folder):
            raise
        command = shlex.join(
            ["sparring", COMMANDS[recipe.trains], str(folder), "--resume", *(f"{key}=NEW" for key in keys)]
        )
        raise SparringError(f"{error.said}: if these images have moved, `{command}` records their new place") from None


def choose_folder(name: str, source: Any, out: str | Path | None, *, resume: bool) -> Path:
    """The folder of a run of that name; with `resume` and without `out` that of the run in `source`. Creates nothing.

    Raises SparringError for a file.
    """
    usual = Path(source) if resume and is_run(source) else Path("runs") / name.replace("/", "-")
    folder = usual if out is None else Path(out)
    with one_line_for_disk_errors(ANOTHER_FOLDER):  # such as a name that is too long
        for part in (folder, *folder.parents):
            if part.exists() and not part.is_dir():
                raise SparringError(f"{part} is a file: give a folder with --out")
    return folder


def is_run(source: Any) -> bool:
    """Whether a recipe is given as the folder of a run."""
    return isinstance(source, str | os.PathLike) and os.path.isfile(Path(source) / "recipe.json")


def check_folder(folder: Path, *, resume: bool, verb: str, note: Note) -> None:
    """Raise SparringError for a run's folder that holds a run, without `resume`, and for one that holds something else.

    verb: the command that continues such a run.
    """
    with one_line_for_disk_errors(ANOTHER_FOLDER):
        others = [path for path in folder.iterdir() if path.name != FILE and not path.name.endswith(UNFINISHED)]
    started = (folder / "recipe.json").is_file()
    if started and not resume:
        raise SparringError(f"{folder} holds a run: {how_to_resume(verb, folder)}, or {ANOTHER_FOLDER}")
    if not started and others:
        what = "holds no run to resume: its recipe.json is missing" if resume else "is not empty"
        raise SparringError(f"{folder} {what}: {ANOTHER_FOLDER}")
    if resume and not started:
        note(f"{folder} holds no run yet: a new one starts there")


def how_to_resume(verb: str, folder: Path) -> str:
    """The cure for a run that did not end, by the verb that continues it; for messages."""
    return f"continue it with --resume (`sparring {verb} {shlex.quote(str(folder))} --resume`)"


def resolved(recipe: R, folder: Path) -> R:
    """The recipe with what depends on the machine written out, so that a resumed run has the same bits.

    A run that goes on keeps its name and what is not said again. Raises SparringError where it has another recipe.
    """
    before = _recipe_before(folder, recipe)
    if before is None:
        return recipe.model_copy(update={"threads": recipe.threads or torch.get_num_threads()})
    unsaid: dict[str, Any] = {"name": before.name, "threads": recipe.threads or before.threads}
    for key in recipe.image_sources():
        part, _, name = key.partition(".")
        old, now = getattr(before, part), getattr(recipe, part)
        if name:
            unsaid[part] = {**unsaid.get(part, now), name: _with_unsaid(old.get(name), now[name])}
        else:
            unsaid[part] = _with_unsaid(old, now)
    recipe = recipe.model_copy(update=unsaid).as_started(before)
    _check_same_recipe(folder, before, recipe)
    return recipe


def _recipe_before(folder: Path, recipe: R) -> R | None:
    """The recipe that a folder's run was started with; None for a new run. recipe: what it would go on with."""
    if not (folder / "recipe.json").is_file():
        return None
    try:
        with consenting(code=recipe.code):
            return type(recipe).load(folder)
    except CodeNotAllowedError as error:
        raise SparringError(f"{folder} was started with another recipe: {error.said}, which yours does not") from None


def _check_same_recipe(folder: Path, before: R, recipe: R) -> None:
    """Raise SparringError where a run would go on with another recipe than it was started with, with the differences.

    Only `steps` may grow. Images may be read from elsewhere, since `started_on` sees whether they are the same.
    """
    known = read_facts(folder).get("fingerprints", {})
    changed = differences(before, recipe)
    may_differ = {key for key in changed if key.partition(".")[0] in MAY_DIFFER}
    if recipe.steps > before.steps:
        may_differ.add("steps")
    for part, fingerprint in recipe.image_sources().items():
        if f"{part}.source" in changed and fingerprint in known:
            may_differ |= {f"{part}.{key}" for key in READING}
    changed = {key: values for key, values in changed.items() if key not in may_differ}
    if changed:
        listed = "; ".join(f"{key} was {a!r} and is {b!r}" for key, (a, b) in changed.items())
        command = f"sparring {COMMANDS[recipe.trains]} {shlex.quote(str(folder))} --resume"
        raise SparringError(
            f"{folder} was started with another recipe: {listed}. On resume only `steps` may grow: `{command}` continues it "
            "with its own recipe; start a changed one in another folder with --out"
        )


def _with_unsaid(before: Any, now: Any) -> Any:
    """A source of images that has moved, with the options that it does not repeat; how to read them only if from files."""
    if before is None or now is None:
        return now
    same, python = now.source == before.source, str(now.source).startswith(FROM_PYTHON)
    if same and not python:
        return now
    fields = set(type(now).model_fields) - now.model_fields_set - {"source"}
    if python and not same:
        fields -= set(READING)
    return now.model_copy(update={key: getattr(before, key) for key in fields})


def started_on(folder: Path, recipe: BaseRecipe, fingerprints: Mapping[str, str], note: Note) -> dict[str, Any]:
    """What recipe.json says so far, after a note for each source of images that is another than it says.

    fingerprints: of the images that the run goes on with. Raises SparringError where they are others than it was started on.
    """
    started = read_facts(folder)
    for name, fingerprint in started.get("fingerprints", {}).items():
        if fingerprints.get(name) != fingerprint:
            raise SparringError(f"{folder} was started on other images: those of '{name}' have changed since")
    old, new = flat(started.get("recipe", {})), flat(recipe.to_dict())
    for key in new:
        if key.endswith(".source") and key in old and old[key] != new[key]:
            note(f"{key}: the same images are now read from {new[key]}, before from {old[key]}")
    return started


def write_facts(
    folder: Path, recipe: Any, fingerprints: Mapping[str, str], command: str | None, **more: Any
) -> dict[str, Any]:
    """recipe.json: the resolved recipe, with the versions, commit and command that the run was started with.

    fingerprints: of its images. more: further entries; one that is None stays as it is.
    """
    path = folder / "recipe.json"
    started = read_facts(folder)
    values = {
        "recipe": recipe.to_dict(),
        "versions": started.get("versions") or versions(),
        "commit": started.get("commit") or commit(),
        "command": started.get("command") or command or command_line(),
        "hardware": started.get("hardware") or hardware(recipe.threads),
        "fingerprints": dict(fingerprints),
        **{key: value or started.get(key) for key, value in more.items()},
    }
    if values != started:
        write_json(path, values)
    return values


def read_facts(folder: Path) -> dict[str, Any]:
    """What recipe.json holds; empty where there is none."""
    path = folder / "recipe.json"
    if not path.is_file():
        return {}
    facts = _read(path)
    for key in ("recipe", "fingerprints"):
        if not isinstance(facts.get(key, {}), dict):
            raise SparringError(f"{path} is damaged: its {key} is not a mapping")
    return facts


def _read(path: Path) -> dict[str, Any]:
    values = read_json(path)
    if not isinstance(values, dict):
        raise SparringError(f"{path} is damaged: it is not a JSON mapping")
    return values
