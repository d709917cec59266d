"""A run's folder: how it is chosen and checked, and recipe.json, which says what the run was started with."""

from __future__ import annotations

import os
import shutil
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
from sparring.recipe.base import BaseRecipe, R, differences, flat, run_folder
from sparring.recipe.files import Kind, resume_command
from sparring.recipe.gan import Recipe
from sparring.run.alive import say_begun
from sparring.run.data import FROM_PYTHON, RunData, load_run_data
from sparring.run.device import device_name
from sparring.run.lock import LOCK_FILE
from sparring.trust import CodeNotAllowedError, consenting
from sparring.version import command_line, commit, hardware, versions

MAY_DIFFER = ("name", "about", "paper", "run_in_full", "keep_checkpoints")  # on resume: they change no number
# how a source is read
READING = ("source", "split", "size", "channels", "classes", "class_order", "skip_unreadable", "download")


def load_trained_on(folder: Path, recipe: Recipe, note: Note, *, data: Any = None) -> RunData:
    """Load the images that a finished run was trained on.

    Raises SparringError as `load_run_data` does, and if the classes are in another order than the generator's: earlier
    versions sorted folders with whole numbers as names as text.
    """
    with cure_for_moved(folder, recipe):
        images = load_run_data(recipe, note, data=data)
    path = folder / "generator.json"
    trained = tuple(_read(path).get("class_names", ())) if path.is_file() else ()
    now = images.real.class_names
    if trained and now and trained != now:
        first = next((pair for pair in zip(trained, now, strict=False) if pair[0] != pair[1]), (trained[-1], now[-1]))
        raise SparringError(
            f"{folder} was trained on other classes, or on these in another order: it has '{first[0]}' where "
            f"{images.real.name} has '{first[1]}'; train it again"
        )
    return images


@contextmanager
def cure_for_moved(folder: Path, recipe: BaseRecipe) -> Iterator[None]:
    """Within this context, an error about images that have moved says how to give the run their new place."""
    try:
        yield
    except MissingSourceError as error:
        places = flat(recipe.to_dict())
        keys = [key for key, value in places.items() if value == error.source and key.endswith(".source")]
        if not keys or not is_run(folder):
            raise
        command = " ".join([resume_command(recipe.trains, folder), *(f"{key}=NEW" for key in keys)])
        raise SparringError(f"{error.said}: if these images have moved, `{command}` records their new place") from None


def choose_folder(name: str, source: Any, out: str | Path | None, *, resume: bool) -> Path:
    """The folder of a run: `out`, or the run in `source` if it is resumed, or runs/NAME. Creates nothing.

    Raises SparringError if a file is in the way.
    """
    usual = Path(source) if resume and is_run(source) else Path("runs") / run_folder(name)
    folder = usual if out is None else Path(out)
    with one_line_for_disk_errors(ANOTHER_FOLDER):  # such as a name that is too long
        for part in (folder, *folder.parents):
            if part.exists() and not part.is_dir():
                raise SparringError(f"{part} is a file: give a folder with --out")
    return folder


def is_run(source: Any) -> bool:
    """Whether a recipe's source is the folder of a run."""
    return isinstance(source, str | os.PathLike) and os.path.isfile(Path(source) / "recipe.json")


def check_folder(folder: Path, *, resume: bool, kind: Kind, note: Note) -> None:
    """Raise SparringError if the folder holds a run that is not to be resumed, or holds anything else.

    kind: what a run resumed there trains.
    """
    with one_line_for_disk_errors(ANOTHER_FOLDER):
        others = [path for path in folder.iterdir() if path.name != LOCK_FILE and not path.name.endswith(UNFINISHED)]
    started = (folder / "recipe.json").is_file()
    if started and not resume:
        raise SparringError(f"{folder} holds a run: {how_to_resume(kind, folder)}, or {ANOTHER_FOLDER}")
    if not started and others:
        what = "holds no run to resume: its recipe.json is missing" if resume else "is not empty"
        raise SparringError(f"{folder} {what}: {ANOTHER_FOLDER}")
    if resume and not started:
        note(f"{folder} holds no run yet: a new one starts there")


def goes_on(folder: Path, threads: int, device: str) -> bool:
    """Whether the folder holds a run to go on with here. What has no checkpoint yet, or is another machine's, is removed."""
    facts, saved = read_facts(folder), any(folder.glob("**/checkpoints/step-*.pt"))
    here = hardware(threads, device_name(device))
    if folder.is_dir() and not (saved and facts.get("hardware") == here):
        shutil.rmtree(folder)
    return folder.is_dir()


def how_to_resume(kind: Kind, folder: Path) -> str:
    """How to continue an unfinished run, for messages."""
    return f"continue it with --resume (`{resume_command(kind, folder)}`)"


def resolved(recipe: R, folder: Path) -> R:
    """The recipe with everything that depends on the machine written out, so that a resumed run has the same bits.

    A resumed run keeps its name and the options that are not given again. Raises SparringError if its recipe differs.
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
    """The recipe that the folder's run was started with; None for a new run. recipe: the one to continue with."""
    if not (folder / "recipe.json").is_file():
        return None
    try:
        with consenting(code=recipe.code):
            return type(recipe).load(folder)
    except CodeNotAllowedError as error:
        raise SparringError(f"{folder} was started with another recipe: {error.said}, which yours does not") from None


def _check_same_recipe(folder: Path, before: R, recipe: R) -> None:
    """Raise SparringError, with the differences, if a run would be resumed with another recipe.

    Only `steps` may grow. Images may have moved: `started_on` checks that they are the same.
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
        raise SparringError(
            f"{folder} was started with another recipe: {listed}. On resume only `steps` may grow: "
            f"`{resume_command(recipe.trains, folder)}` continues it "
            "with its own recipe; start a changed one in another folder with --out"
        )


def _with_unsaid(before: Any, now: Any) -> Any:
    """A source with the options that are not given again, except, for images now from Python, how to read files."""
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
    """The facts in recipe.json so far. Notes each source of images that has moved.

    fingerprints: of the images to continue with. Raises SparringError if the run was started on others.
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
    folder: Path,
    recipe: Any,
    fingerprints: Mapping[str, str],
    command: str | None,
    *,
    device: torch.device | str = "cpu",
    **more: Any,
) -> dict[str, Any]:
    """Write recipe.json: the resolved recipe, and the versions, commit and command that the run was started with.

    From then on the folder holds a run, so status.json is begun as well.

    fingerprints: of its images. device: the run's. more: further entries; None keeps the present value.
    """
    path = folder / "recipe.json"
    started = read_facts(folder)
    values = {
        "recipe": recipe.to_dict(),
        "versions": started.get("versions") or versions(),
        "commit": started.get("commit") or commit(),
        "command": started.get("command") or command or command_line(),
        "hardware": started.get("hardware") or hardware(recipe.threads, device_name(device)),
        "fingerprints": dict(fingerprints),
        **{key: value or started.get(key) for key, value in more.items()},
    }
    if values != started:
        write_json(path, values)
    say_begun(folder)
    return values


def read_facts(folder: Path) -> dict[str, Any]:
    """The facts in recipe.json; empty if there is none."""
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
