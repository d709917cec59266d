"""`sparring toy`: one run, or two side by side from one seed, with a still, a film and exact numbers."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from sparring.errors import SparringError
from sparring.files import ANOTHER_FOLDER, one_line_for_disk_errors, write_atomically, write_json
from sparring.messages import Note, counted, no_note
from sparring.recipe.files import agreed
from sparring.recipe.gan import Recipe
from sparring.report.film import ENDINGS, film_kind, write_film
from sparring.report.plots import curves, render
from sparring.run.lock import only_writer
from sparring.toy import yardsticks
from sparring.toy.methods import STEPS, check_words, default_method, split_words, toy_recipe
from sparring.toy.scene import Panel, Scene, png_bytes
from sparring.toy.session import Look, ToySession, distance_of
from sparring.toy.worlds import World
from sparring.toy.worlds import world as make_world

FRAMES = 40  # looks at a run, the first before training; closer together early on
EARLY = 1.6  # look i is at the share (i / last) ** EARLY of the run
SIGMOID_HOSTS = ("NonSaturating", "Minimax")
STILL, CURVES, NUMBERS = "still.png", "curves.png", "toy.json"


@dataclass(frozen=True)
class ToyRun:
    """One run: its recipe, the session at its end, every look at it, and its yardsticks.

    level: a distance to the data; the step at which it was reached is then among the numbers.
    """

    method: str
    recipe: Recipe
    session: ToySession
    looks: list[Look] = field(repr=False)
    level: float | None = None

    @property
    def title(self) -> str:
        """Its terms, such as `non_saturating + sdp`."""
        return " + ".join(self.recipe.objective.terms)

    @property
    def numbers(self) -> dict[str, float | None]:
        """The yardsticks of the last look, how much the boundary moved between looks, and when the level was reached.

        `reached` is the step of the first look at which the distance was at most the level; None if it never was.
        """
        seen = [look for look in self.looks if look.step]
        moved = [yardsticks.verdicts(torch.from_numpy(k.realness), k.of_data, k.of_samples) for k in seen]
        restless = {"oscillation": yardsticks.oscillation(torch.stack(moved))} if len(moved) > 1 else {}
        found: dict[str, float | None] = {**self.looks[-1].numbers, **restless}
        if self.level is not None:
            measure = distance_of(self.session.world)
            values = [look.numbers[measure] for look in seen]
            found["reached"] = yardsticks.steps_to_reach([look.step for look in seen], values, self.level)
        return found

    def to_dict(self) -> dict[str, Any]:
        looks = [{"step": k.step, "of_data": k.of_data, "of_samples": k.of_samples, **k.numbers} for k in self.looks]
        return {"method": self.method, "numbers": self.numbers, "looks": looks, "recipe": self.recipe.to_dict()}


@dataclass(frozen=True)
class ToyResult:
    """What `run` made: the runs, one or two, and the paths of the pictures (None if there are none)."""

    world: World
    runs: list[ToyRun]
    folder: Path | None
    still: Path | None
    film: Path | None

    @property
    def numbers(self) -> dict[str, float | None]:
        """The yardsticks of the first run."""
        return self.runs[0].numbers

    def to_dict(self) -> dict[str, Any]:
        files = {
            name: None if path is None else str(path) for name, path in (("still", self.still), ("film", self.film))
        }
        return {"world": self.world.name, "about": self.world.about, **files, "runs": [r.to_dict() for r in self.runs]}


def run(
    name: str,
    words: Iterable[str] | Mapping[str, Any] = (),
    *,
    file: Path | str | None = None,
    versus: str | Iterable[str] | Mapping[str, Any] | None = None,
    steps: int | None = None,
    seed: int | None = None,
    level: float | None = None,
    out: Path | str | None = None,
    film: str = "auto",
    note: Note = no_note,
) -> ToyResult:
    """Train on a toy world, in seconds: `sparring.toy.run("ring-8", ["sdp", "objective.sdp.k=5"], versus="hinge")`.

    name: a world; file: for the worlds `image` and `points`. words: a method's name and `key=value` changes of the recipe,
    `world.*` of the world; or a mapping of keys. versus: the same for a second run from the same seed on the same points.
    steps, seed: 1000 and 0 by default; they may also stand among the words, but not differ there.
    level: a distance to the data; the step of the first look that is as near is then among the numbers.
    out: a folder for still.png, a film (auto, mp4, gif, apng, none), curves.png and toy.json; None writes nothing.

    The same words and seed give the same bits. Raises SparringError if something does not fit.
    """
    kind = film_kind(film) if out is not None else "none"
    _check_level(level)
    method, changes, options = _read(words)
    seed = _whole_seed(agreed(changes, "seed", seed, 0))
    world = make_world(name, options, file=file, seed=seed)
    length = agreed(changes, "steps", steps, STEPS)
    recipes = [(method or default_method(world), toy_recipe(world, method, changes, steps=length, seed=seed))]
    if versus is not None:
        other, other_changes, other_options = _read(_split(versus))
        if other_options or "seed" in other_changes:
            raise SparringError("both runs share the world and the seed: set them before --versus, once")
        length = agreed(other_changes, "steps", steps, STEPS)
        recipe = toy_recipe(world, other, other_changes, steps=length, seed=seed)
        recipes.append((other or default_method(world), recipe))
    sessions = [ToySession(world, recipe) for _, recipe in recipes]  # raises before training if something does not fit
    with nullcontext() if out is None else only_writer(Path(out), work=NUMBERS):
        if out is not None:
            _check_free(Path(out), kind)
        runs = [_train(label, session, level, note) for (label, _), session in zip(recipes, sessions, strict=True)]
        if out is None:
            return ToyResult(world, runs, None, None, None)
        with one_line_for_disk_errors(ANOTHER_FOLDER):
            return _write(world, runs, Path(out), kind)


def _check_level(level: Any) -> None:
    if level is None:
        return
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < math.inf:
        raise SparringError(f"level, a distance to the data, is above 0, got {level!r}")


def _read(words: Iterable[str] | Mapping[str, Any]) -> tuple[str | None, dict[str, Any], dict[str, Any]]:
    if not isinstance(words, Mapping):
        return split_words([words] if isinstance(words, str) else words)
    for key in words:
        if not isinstance(key, str):
            raise SparringError(f"keys are words such as 'objective.sdp.k' and 'method', got {key!r}")
    changes = dict(words)
    method = changes.pop("method", None)
    return check_words(method, changes)


def _split(versus: str | Iterable[str] | Mapping[str, Any]) -> list[str] | Mapping[str, Any]:
    """The words of the second run, or its keys. No words at all are a mistake, not the default method."""
    words: Any = list(versus) if isinstance(versus, Iterable) and not isinstance(versus, str | Mapping) else versus
    try:
        words = shlex.split(words) if isinstance(words, str) else words
    except ValueError as error:
        raise SparringError(f"--versus '{versus}' cannot be read, {error}: close its quotes") from None
    if not words:
        raise SparringError("--versus is empty: name a method, or write key=value")
    return words


def _whole_seed(value: Any) -> int:
    """The seed, checked before the world is drawn from it; the recipe checks its copy later."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise SparringError(f"seed takes a whole number, got {value!r}")
    return value


def _train(label: str, session: ToySession, level: float | None, note: Note) -> ToyRun:
    """Train the whole run, with looks along the way."""
    steps = session.recipe.steps
    at = sorted({round(steps * (i / (FRAMES - 1)) ** EARLY) for i in range(FRAMES)})
    looks = []
    for step in at:
        session.step(step - session.state.step)
        looks.append(session.look())
    done = ToyRun(label, session.recipe, session, looks, level)
    known = {key: value for key, value in done.numbers.items() if value is not None}
    note(f"{done.title}: {counted(steps, 'step')}, " + ", ".join(f"{key} {value:.3g}" for key, value in known.items()))
    return done


def _check_free(folder: Path, kind: str) -> None:
    """Raise SparringError if a folder is where a file will be written, before training instead of after."""
    film = () if kind == "none" else (f"film{ENDINGS[kind]}",)
    for name in (STILL, CURVES, NUMBERS, *film):
        if (folder / name).is_dir():
            raise SparringError(f"{folder / name} is a folder, and a file will be written there; {ANOTHER_FOLDER}")


def _write(world: World, runs: list[ToyRun], folder: Path, kind: str) -> ToyResult:
    """The still, the film, the curves and the numbers."""
    scene = Scene([_panel(world, run) for run in runs])
    length = max(len(run.looks) for run in runs)
    moments = range(length) if kind != "none" else [length - 1]
    frames = [scene.draw([run.looks[min(i, len(run.looks) - 1)] for run in runs]) for i in moments]
    still = folder / STILL
    write_atomically(still, png_bytes(frames[-1]))
    film = write_film(frames, folder / "film", kind) if kind != "none" else None
    measure = distance_of(world)
    series = {
        f"{i + 1}: {run.title}": ([k.step for k in run.looks], [k.numbers[measure] for k in run.looks])
        for i, run in enumerate(runs)
    }
    figure = curves(series, title="distance to the data", ylabel=measure.replace("_", " ") + "-1")
    write_atomically(folder / CURVES, render(figure, "png"))
    result = ToyResult(world, runs, folder, still, film)
    write_json(folder / NUMBERS, result.to_dict())
    return result


def _panel(world: World, run: ToyRun) -> Panel:
    negatives = run.session.negatives
    return Panel(
        title=run.title,
        world=world,
        negatives=None if negatives is None else negatives.points.numpy(),
        sigmoid=type(run.session.state.objective.host(0)).__name__ in SIGMOID_HOSTS,
        mesh=run.looks[-1].mesh is not None,
    )
