"""What runs leave behind in results.jsonl, one line for each run, from which tables, pages and curves are drawn.

Nothing here imports torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from sparring.classify.numbers import by_word
from sparring.errors import SparringError
from sparring.files import append_line, read_rows
from sparring.limits import DESCRIPTION_BYTES, DESCRIPTION_NODES, LOG_BYTES
from sparring.metrics.names import BETTER, is_word, metric_word
from sparring.parsing import read_bytes, read_json
from sparring.recipe.files import kind_of
from sparring.recipe.identity import labels_of, recipe_hash

Key = tuple[str, int]  # a row's label and a seed
RESULTS_FILE = "results.jsonl"
COLLAPSED = "collapsed: "  # how a run failed that ended beyond a plan's level
BEST = {"lower": min, "higher": max}  # by the direction that is better
LAST = 3  # measurements whose mean is a run's number
LOWER = ("cost", "distance", "reached", "oscillation", "ece", "ncr", "fpr95")  # of toy worlds and classifiers
PROTOCOL = (  # of a record: what two numbers must have in common to be compared
    *("extractor", "weights_sha256", "resize", "dtype", "n_fake", "n_real", "split", "data", "data_hash"),
    *("seed", "real_seed", "labels", "size_real", "size_fake", "groups", "subset_size", "k"),
)
PER_RUN = ("seed", "real_seed")  # of these, what may differ from run to run


@dataclass(frozen=True)
class Result:
    """One run that has ended. `values` has its number for each metric, `numbers` other scalars, nested once at most."""

    row: str
    seed: int
    kind: str  # gan, classifier or toy
    recipe: str  # the hash of its resolved recipe without the seed
    study: str = ""
    plan: str = ""
    scale: str = ""
    failed: str | None = None  # why it has no number
    steps: int = 0
    values: Mapping[str, float] = field(default_factory=dict)
    best: Mapping[str, float] = field(default_factory=dict)
    curve: Mapping[str, Sequence[Sequence[float]]] = field(default_factory=dict)
    protocol: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    numbers: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None
    sparring: str = ""
    torch: str = ""
    instructions: str = ""
    threads: int | None = None
    device: str = ""
    cpu_seconds: float | None = None
    seconds: float | None = None
    date: str = ""
    attempts: int = 1

    def value(self, word: str) -> float | None:
        """The run's number for a metric, by a plan's word for it; None if it failed or was not measured so."""
        return None if self.failed else self.measured(word)

    def measured(self, word: str) -> float | None:
        """As `value`, also of a run that failed. The word is a metric's, or a key such as `modes` or `auroc.NAME`."""
        outer, _, inner = word.partition(".")
        name, nested = full_name(self.values, word), self.numbers.get(outer)
        inside = nested.get(inner) if isinstance(nested, Mapping) else self.numbers.get(word)
        found = inside if name is None else self.values[name]
        return found if isinstance(found, int | float) else None


def full_name(named: Collection[str], word: str) -> str | None:
    """The name among these of measured metrics that a plan's word means."""
    if word in named or not is_word(word):
        return word if word in named else None
    return next((name for name in named if metric_word(name) == metric_word(word)), None)


def lower_is_better(word: str) -> bool:
    return BETTER.get(metric_word(word)) == "lower" or word.partition(".")[0] in LOWER


def judged(result: Result, levels: Mapping[str, float]) -> Result:
    """The result as failed if it ended beyond one of these levels, by metric, and as not failed if it does not any more."""
    if result.failed and not result.failed.startswith(COLLAPSED):
        return result
    for word, level in levels.items():
        value, lower = result.measured(word), lower_is_better(word)
        if value is not None and (value > level if lower else value < level):
            return replace(result, failed=f"{COLLAPSED}{word} {value:.4g} {'>' if lower else '<'} {level:g}")
    return replace(result, failed=None)


def read(path: Path | str) -> list[Result]:
    """The results in a file, or in a study's folder, in the order of their lines; none where there is no file.

    A last line that was cut off is left out. Raises SparringError for any other line that is not a result.
    """
    path = Path(path)
    path = path / RESULTS_FILE if path.is_dir() else path
    lines = read_bytes(path, LOG_BYTES).split(b"\n")[:-1] if path.is_file() else []  # the rest was cut off
    found, known = list[Result](), {each.name for each in fields(Result)}
    for number, line in enumerate(lines, start=1):
        try:
            found.append(Result(**{key: value for key, value in json.loads(line).items() if key in known}))
            if not isinstance(found[-1].row, str) or type(found[-1].seed) is not int:
                raise TypeError
        except (ValueError, TypeError, AttributeError, RecursionError):
            said = f"{path}, line {number} is not a result: mend or remove it, and run the study again"
            raise SparringError(said) from None
    return found


def latest(results: Iterable[Result]) -> list[Result]:
    """The results without those that a later line of the same row and seed replaces."""
    return list({(each.row, each.seed): each for each in results}.values())


def append(path: Path, result: Result) -> None:
    """Add a result on a line of its own, even where the last one was cut off."""
    append_line(path, json.dumps(asdict(result), ensure_ascii=False, default=str))


# --- the runs of each row ---


@dataclass(frozen=True)
class Runs:
    """The runs of a row, one per seed. earlier: how many runs of another recipe, under the same label, are left out."""

    label: str
    results: tuple[Result, ...]
    earlier: int = 0

    def __post_init__(self) -> None:
        for often_asked in ("numbers", "protocol"):
            object.__setattr__(self, often_asked, cache(getattr(self, often_asked)))

    @cached_property
    def failed(self) -> dict[int, str]:
        """Why runs have no numbers, by seed: they were stopped, collapsed, or ended in something that is not finite."""
        found = {}
        for each in self.results:
            wrong = [name for name, v in each.values.items() if isinstance(v, float) and not math.isfinite(v)]
            if each.failed or wrong:
                found[each.seed] = each.failed or f"{wrong[0]} is not finite"
        return found

    @cached_property
    def whole(self) -> list[Result]:
        """The runs that have not failed."""
        return [each for each in self.results if each.seed not in self.failed]

    def numbers(self, word: str) -> dict[int, float]:
        """The metric of each run that has not failed and was measured by it, by seed."""
        found = {each.seed: each.value(word) for each in self.whole}
        return {seed: float(value) for seed, value in found.items() if value is not None and math.isfinite(value)}

    def best(self, word: str) -> list[float]:
        """The best measurement of each of these runs, which no test looks at."""
        named = ((each.best, full_name(each.best, word)) for each in self.whole)
        return [float(best[name]) for best, name in named if name is not None]

    def curve(self, word: str) -> dict[int, tuple[list[float], list[float]]]:
        """Steps and measurements of every run, failed ones included, by seed."""
        named = [(each, full_name(each.curve, word)) for each in self.results]
        points = {each.seed: each.curve[name] for each, name in named if name is not None}
        return {seed: ([step for step, _ in some], [value for _, value in some]) for seed, some in points.items()}

    def protocol(self, word: str) -> dict[str, Any]:
        """How all runs measured the metric. Raises SparringError if they measured it in different ways."""
        named = ((each, full_name(each.values, word)) for each in self.whole)
        found = [(each.seed, {"metric": name, **each.protocol.get(name, {})}) for each, name in named if name]
        for seed, other in found[1:]:
            if apart := differing(found[0][1], other):
                raise SparringError(
                    f"row '{self.label}': {metric_word(word)} was measured in different ways, and no mean may mix them: "
                    f"{apart} (seeds {found[0][0]} and {seed})"
                )
        return found[0][1] if found else {}


def rows_of(results: Iterable[Result], labels: Iterable[str] = ()) -> dict[str, Runs]:
    """The runs by row: in the order of `labels`, then in that of their first lines.

    Of a row whose recipe was changed the runs of the newest line's recipe count.
    """
    lines: dict[str, list[Result]] = {label: [] for label in labels}
    for each in results:
        lines.setdefault(each.row, []).append(each)
    rows = {}
    for label, found in lines.items():
        runs = latest(each for each in found if each.recipe == found[-1].recipe)
        earlier = len({each.seed for each in found}) - len(runs)
        rows[label] = Runs(label, tuple(sorted(runs, key=lambda each: each.seed)), earlier)
    return rows


def differing(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """In which keys two protocols differ, but for draws, in words; "" where they are the same."""
    keys = [key for key in {**ours, **theirs} if key not in PER_RUN] if ours != theirs else []
    return "; ".join(f"{key} {ours.get(key)} and {theirs.get(key)}" for key in keys if ours.get(key) != theirs.get(key))


# --- from run folders ---


def of_records(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """`values`, `best`, `curve` and `protocol` of the rows of a GAN's metrics.jsonl, oldest first."""
    curve, last = dict[str, list[list[float]]](), dict[str, Mapping[str, Any]]()
    for record in records:
        name, value = str(record.get("metric")), record.get("value")
        if isinstance(value, int | float) and record.get("better") in BEST:
            curve.setdefault(name, []).append([record["step"], value])
            last[name] = record
    values = {name: [value for _, value in points] for name, points in curve.items()}
    return {
        "values": {name: sum(some[-LAST:]) / len(some[-LAST:]) for name, some in values.items()},
        "best": {name: BEST[last[name]["better"]](some) for name, some in values.items()},
        "curve": curve,
        "protocol": {
            name: {key: last[name][key] for key in PROTOCOL if last[name].get(key) is not None} for name in last
        },
    }


def of_runs(folders: Iterable[Path | str]) -> list[Result]:
    """Results of runs that exist, GANs' or classifiers', labelled by their recipe's name.

    Groups of one name that differ in more than the seed are told apart by what differs, as in "hinge, sdp.k=5". Raises
    SparringError for a folder that holds no run, and for two runs of one recipe and seed, which are one measurement.
    """
    runs, recipes, first = [], dict[str, Mapping[str, Any]](), dict[tuple[str, Any], Path]()
    for folder in map(Path, folders):
        facts = read_json(folder / "recipe.json") if (folder / "recipe.json").is_file() else None
        recipe = facts.get("recipe") if isinstance(facts, dict) else None
        if facts is None:
            raise SparringError(f"'{folder}' is not a run: it has no recipe.json")
        if not isinstance(recipe, dict):
            raise SparringError(f"{folder / 'recipe.json'} is damaged: its recipe is not a mapping")
        key, seed = recipe_hash(recipe), recipe.get("seed", 0)
        recipes.setdefault(key, recipe)
        if (other := first.setdefault((key, seed), folder)) is not folder:
            raise SparringError(f"{other} and {folder} are runs of the same recipe and seed: leave one out")
        runs.append(_of_run(folder, facts, key))
    labels = labels_of(recipes)
    return [replace(run, row=labels[run.recipe]) for run in runs]


def _of_run(folder: Path, facts: Mapping[str, Any], key: str) -> Result:
    """The result of a run with this hash. It has no label yet."""
    recipe, log, versions = facts["recipe"], read_rows(folder / "log.jsonl"), facts.get("versions", {})
    steps = log[-1]["step"] if log else 0
    unfinished = None if steps >= recipe["steps"] else f"not finished: {steps} of {recipe['steps']} steps"
    if kind_of(recipe) != "classifier":
        kind, found = "gan", of_records(read_rows(folder / "metrics.jsonl"))
    else:
        kind, found = "classifier", {}
        if (path := folder / "results.json").is_file():
            measured = read_json(path, most=DESCRIPTION_BYTES, nodes=DESCRIPTION_NODES)
            found, unfinished = by_word(measured, recipe["criterion"]["kind"]), None
    made: dict[str, Any] = {name: str(versions.get(name, "")) for name in ("sparring", "torch")}
    instructions = str(facts.get("hardware", "")).partition(", ")[0].partition(" with ")[2]
    made |= {"commit": facts.get("commit"), "instructions": instructions}
    took = {"steps": steps, "threads": recipe.get("threads"), "seconds": log[-1].get("seconds") if log else None}
    return Result("", recipe.get("seed", 0), kind, key, failed=unfinished, **found, **made, **took)
