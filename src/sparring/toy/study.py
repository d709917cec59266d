"""Methods x seeds on toy worlds, where claims about stability and mode collapse can be tested in minutes.

Every run is one line of a .jsonl, written as soon as it is done; a study that was interrupted continues there. Runs of one
seed share the world's points, the initialisation and the latents, so methods are compared with their baselines in pairs.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from sparring.errors import SparringError, nearest
from sparring.files import content_hash, one_line_for_disk_errors
from sparring.limits import LOG_BYTES
from sparring.parsing import parse_json, read_text
from sparring.randomness import generator_for
from sparring.recipe.gan import Recipe
from sparring.run.lock import FILE, only_writer
from sparring.toy import measure
from sparring.toy.methods import METHODS, toy_recipe
from sparring.toy.worlds import World, world

SEEDS, STEPS = 20, 500
RESAMPLES = 10_000  # of the bootstrap
CONFIDENCE = 0.95
CURE = "choose another file with --out"

UNLABELLED = ("non_saturating", "negatives", "sdp", "as_gan")
PLAN: dict[str, tuple[str, ...]] = {
    "nat-1d": UNLABELLED,
    "ring-8": (*UNLABELLED, "am_gan", "nat_gan", "nat_gan-negatives", "projection", "multi_hinge"),
    "grid-25": (*UNLABELLED, "projection", "multi_hinge"),
}
LOWER, HIGHER = "lower", "higher"
COLUMNS: dict[str, tuple[str, str]] = {  # what a row holds, its heading, which way is better
    "distance": ("Wasserstein-1", LOWER),
    "modes": ("modes", HIGHER),
    "high_quality": ("high quality", HIGHER),
    "reached": ("steps to the level", LOWER),
    "oscillation": ("oscillation", LOWER),
}


@dataclass(frozen=True)
class Estimate:
    """A mean with its spread over seeds, or a mean difference with its bootstrap interval."""

    mean: float
    std: float
    low: float
    high: float
    n: int


def bootstrap(values: Sequence[float], *, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """The mean of n values, their standard deviation (n - 1), and the percentile bootstrap's 95% interval of the mean."""
    if not values:
        raise SparringError("a bootstrap needs at least one value, got none")
    x = torch.tensor(list(values), dtype=torch.float64)
    drawn = torch.randint(len(x), (resamples, len(x)), generator=generator_for("bootstrap", seed, len(x)))
    means = x[drawn].mean(1)
    tail = torch.tensor([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], dtype=torch.float64)
    low, high = torch.quantile(means, tail).tolist()
    return Estimate(float(x.mean()), float(x.std()) if len(x) > 1 else 0.0, low, high, len(x))


def paired_difference(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Estimate | None:
    """The mean of ours - theirs over the seeds that both have, with its interval; None if they share none."""
    shared = sorted(set(ours) & set(theirs))
    return bootstrap([ours[seed] - theirs[seed] for seed in shared]) if shared else None


def run_study(
    out: Path | str,
    *,
    seeds: int = SEEDS,
    steps: int = STEPS,
    plan: Mapping[str, Sequence[str]] | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> list[dict[str, Any]]:
    """Make the runs that `out` does not hold yet, seed by seed; return the lines of all runs of this study.

    Raises SparringError for an unknown world or method in the plan, and for a damaged file.
    """
    out, plan = Path(out), PLAN if plan is None else plan
    if seeds < 1 or steps < measure.LOOKS:
        raise SparringError(f"a study takes at least 1 seed and {measure.LOOKS} steps, got {seeds} and {steps}")
    for name in [n for methods in plan.values() for n in methods]:
        if name not in METHODS:
            raise SparringError(f"unknown method '{name}': {nearest(name, METHODS)}")
    if out.is_dir():
        raise SparringError(f"{out} is a folder, and a study is one file, a .jsonl: {CURE}")
    with only_writer(out.parent, work=out.name, cure=CURE, name=f".{out.name}{FILE}"):
        return _runs_of(out, plan, seeds, steps, note)


def _runs_of(
    out: Path, plan: Mapping[str, Sequence[str]], seeds: int, steps: int, note: Callable[[str], None]
) -> list[dict[str, Any]]:
    done = {(row["world"], row["method"], row["seed"], row["recipe"]): row for row in read_lines(out)}
    found: list[dict[str, Any]] = []
    for seed in range(seeds):
        for world_name, methods in plan.items():
            here = world(world_name, seed=seed)
            for method in methods:
                recipe = toy_recipe(here, method, steps=steps, seed=seed)
                key = (world_name, method, seed, content_hash(recipe.to_dict())[:16])
                if key not in done:
                    row = one_run(here, method, recipe)
                    with one_line_for_disk_errors(CURE):
                        append_line(out, row)
                    done[key] = row
                    note(f"{world_name:8s} {method:18s} seed {seed:2d}: {_in_short(row)}")
                found.append(done[key])
    return found


def one_run(here: World, method: str, recipe: Recipe) -> dict[str, Any]:
    """One line of a study: a run's yardsticks at its end and along the way.

    A run whose loss became infinite has only `distances`, those of its looks until then.
    """
    started = time.process_time()
    found = measure.measured_run(here, recipe)
    return {
        "world": here.name,
        "method": method,
        "seed": recipe.seed,
        "steps": recipe.steps,
        "recipe": content_hash(recipe.to_dict())[:16],
        "failed": found.failed is not None,
        **found.numbers,
        "distances": [round(value, 5) for _, value in found.distances],
        "cpu_seconds": round(time.process_time() - started, 2),
        **_provenance(),
    }


def summarise(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One entry for each world and method: estimates by column, and differences to the baseline, paired by seed.

    A run that never reached the level counts as reaching it at its end; `reached_share` is the share that did. Failed runs
    count only in `failed`; if all failed, the estimates and the share are None. As a mean describes no run if runs end in
    two groups, there are also `<column>_median`, every run in `distance_values`, in `away` the number of runs that end
    farther from the data than the data are wide, and in `nearer` the pairs in which a run ends nearer than its baseline.
    """
    groups: dict[tuple[str, str], dict[int, Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["world"], row["method"]), {})[row["seed"]] = row
    found = []
    for (world_name, method), runs in groups.items():
        baseline = METHODS[method].baseline
        others = groups.get((world_name, baseline or ""), {})
        entry: dict[str, Any] = {"world": world_name, "method": method, "baseline": baseline if others else None}
        entry["failed"] = sum(bool(row["failed"]) for row in runs.values())
        entry["seeds"] = len(runs)
        reached = [row["reached"] is not None for row in runs.values() if not row["failed"]]
        entry["reached_share"] = sum(reached) / len(reached) if reached else None
        for column in COLUMNS:
            values = _column(runs, column)
            entry[column] = bootstrap(list(values.values())) if values else None
            entry[f"{column}_median"] = statistics.median(values.values()) if values else None
            entry[f"{column}_difference"] = paired_difference(values, _column(others, column))
        theirs = _column(others, "distance")
        pairs = [(value, theirs[seed]) for seed, value in _column(runs, "distance").items() if seed in theirs]
        entry["nearer"] = f"{sum(ours < other for ours, other in pairs)} of {len(pairs)}"
        distances = sorted(_column(runs, "distance").values())
        entry["distance_values"], entry["away"] = distances, sum(value > _width(world_name) for value in distances)
        found.append(entry)
    return found


@cache
def _width(world_name: str) -> float:
    """The extent of a world's data."""
    points = world(world_name).data.points
    return float((points.amax(0) - points.amin(0)).max())


def _column(runs: Mapping[int, Mapping[str, Any]], column: str) -> dict[int, float]:
    """A column's value for each seed that has one."""
    values = {}
    for seed, row in runs.items():
        value = row[column]
        if column == "reached" and value is None:
            value = row["steps"]
        if value is not None and not row["failed"]:
            values[seed] = float(value)
    return values


def _in_short(row: Mapping[str, Any]) -> str:
    if row["failed"]:
        return "its loss became infinite"
    modes = f", {row['modes']} modes" if row["modes"] is not None else ""
    return f"distance {row['distance']:.3f}{modes}, {row['cpu_seconds']:.1f} s"


def _provenance() -> dict[str, Any]:
    from sparring.version import __version__, commit

    return {"sparring": __version__, "torch": str(torch.__version__), "commit": commit()}


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The runs in a study's file, without an incomplete last line. Raises SparringError for any other file."""
    if not path.is_file():
        return []
    try:
        text = read_text(path, LOG_BYTES)
    except SparringError as error:
        raise SparringError(f"{path} is not a study: {error}; {CURE}") from None
    lines = text.splitlines()
    cut_off = len(lines) if lines and lines[-1].startswith("{") and not text.endswith("\n") else None
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = parse_json(line, "the line")
            if not isinstance(row, dict) or not {"world", "method", "seed", "recipe"} <= set(row):
                raise ValueError
        except ValueError:
            if number == cut_off:
                continue
            raise SparringError(f"{path}, line {number} is not a run of a study: move the file, or repair it") from None
        rows.append(row)
    return rows


def append_line(path: Path, row: Mapping[str, Any]) -> None:
    """Add a run as a line; an incomplete last line is dropped first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        file.seek(0, 2)
        if file.tell():
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                _drop_cut_line(path)
        file.write((json.dumps(row) + "\n").encode())


def _drop_cut_line(path: Path) -> None:
    content = path.read_bytes()
    with path.open("r+b") as file:
        file.truncate(content.rfind(b"\n") + 1)
