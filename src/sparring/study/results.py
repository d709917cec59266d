"""What runs leave behind in results.jsonl, one line for each run, from which tables, pages and curves are drawn.

Nothing here imports torch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from sparring.errors import SparringError
from sparring.files import read_rows
from sparring.limits import DESCRIPTION_BYTES, DESCRIPTION_NODES, RECIPE_BYTES
from sparring.metrics.names import BETTER, is_word, metric_word
from sparring.parsing import read_json
from sparring.recipe.files import kind_of
from sparring.recipe.identity import labels_of, recipe_hash

RESULTS_FILE = "results.jsonl"
COLLAPSED = "collapsed: "  # how a run failed that ended beyond a plan's level
LAST = 3  # measurements whose mean is a run's number
LOWER = ("cost", "distance", "reached", "oscillation", "ece", "ncr", "fpr95")  # of toy worlds and classifiers
PROTOCOL = (  # of a record: what two numbers must have in common to be compared
    *("extractor", "weights_sha256", "resize", "dtype", "n_fake", "n_real", "split", "data", "data_hash"),
    *("seed", "real_seed", "labels", "size_real", "size_fake", "groups", "subset_size", "k"),
)


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
        return None if self.failed else find(self.values, self.numbers, word)


def find(values: Mapping[str, float], numbers: Mapping[str, Any], word: str) -> float | None:
    """The number that a word means: a metric's full name or word, or a key such as `accuracy`, `modes`, `auroc.NAME`."""
    found = values.get(word)
    if found is None and is_word(word):
        found = next((value for name, value in values.items() if metric_word(name) == metric_word(word)), None)
    if found is None:
        outer, _, inner = word.partition(".")
        found = numbers.get(word, numbers.get(outer))
        found = found.get(inner) if isinstance(found, Mapping) else None if inner and word not in numbers else found
    return found if isinstance(found, int | float) else None


def lower_is_better(word: str) -> bool:
    return BETTER.get(metric_word(word)) == "lower" or word.partition(".")[0] in LOWER


def judged(result: Result, levels: Mapping[str, float]) -> Result:
    """The result as failed if it ended beyond one of these levels, by metric, and as not failed if it does not any more."""
    if result.failed and not result.failed.startswith(COLLAPSED):
        return result
    for word, level in levels.items():
        value = find(result.values, result.numbers, word)
        lower = lower_is_better(word)
        if value is not None and (value > level if lower else value < level):
            return replace(result, failed=f"{COLLAPSED}{word} {value:.4g} {'>' if lower else '<'} {level:g}")
    return replace(result, failed=None)


def read(path: Path | str) -> list[Result]:
    """The results in a file, or in a study's folder, in the order of their lines; none where there is no file.

    A last line that was cut off is left out. Raises SparringError for any other line that is not a result.
    """
    path, found = Path(path), list[Result]()
    path = path / RESULTS_FILE if path.is_dir() else path
    if not path.is_file():
        return found
    known = {each.name for each in fields(Result)}
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(RECIPE_BYTES + 1), b""), start=1):
            if not line.endswith(b"\n") and len(line) <= RECIPE_BYTES:
                break  # cut off while it was written
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
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(asdict(result), ensure_ascii=False, default=str) + "\n"
    with path.open("a+b") as file:
        end = file.seek(0, os.SEEK_END)
        while end and (file.seek(end - 1), file.read(1))[1] != b"\n":
            end -= 1
        file.truncate(end)
        file.write(line.encode(errors="backslashreplace"))
        file.flush()
        os.fsync(file.fileno())


# --- from run folders ---


def of_records(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """`values`, `best`, `curve` and `protocol` of the rows of a GAN's metrics.jsonl, oldest first."""
    curve: dict[str, list[list[float]]] = {}
    better: dict[str, Any] = {}
    protocol: dict[str, dict[str, Any]] = {}
    for record in records:
        name, value = str(record.get("metric")), record.get("value")
        if isinstance(value, int | float) and record.get("better") in ("lower", "higher"):
            curve.setdefault(name, []).append([record["step"], value])
            better[name] = min if record["better"] == "lower" else max
            protocol[name] = {key: record[key] for key in PROTOCOL if record.get(key) is not None}
    last = {name: [value for _, value in points[-LAST:]] for name, points in curve.items()}
    return {
        "values": {name: sum(some) / len(some) for name, some in last.items()},
        "best": {name: better[name](value for _, value in points) for name, points in curve.items()},
        "curve": curve,
        "protocol": protocol,
    }


def of_classifier(found: Mapping[str, Any], criterion: str) -> dict[str, Any]:
    """`values` and `numbers` of a classifier's results.json, of the recipe's own criterion."""
    numbers = found["classifiers"][criterion]
    nested: dict[str, Any] = {key: numbers[key] for key in numbers if isinstance(numbers[key], int | float)}
    nested["coverage"] = numbers.get("coverage", {})
    for probe, row in numbers.get("probes", {}).items():
        for key in ("auroc", "fpr95", "caught_as_unknown"):
            nested.setdefault(key, {})[probe] = row.get(key)
        for threshold, value in row.get("ncr", {}).items():
            nested.setdefault("ncr", {})[f"{probe}.{threshold}"] = value
    return {"values": {"accuracy": numbers["accuracy"], "ece": numbers["ece"]}, "numbers": nested}


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
            found, unfinished = of_classifier(measured, recipe["criterion"]["kind"]), None
    return Result(
        "",
        recipe.get("seed", 0),
        kind,
        key,
        failed=unfinished,
        steps=steps,
        **found,
        commit=facts.get("commit"),
        sparring=str(versions.get("sparring", "")),
        torch=str(versions.get("torch", "")),
        instructions=str(facts.get("hardware", "")).partition(", ")[0].partition(" with ")[2],
        threads=recipe.get("threads"),
        seconds=log[-1].get("seconds") if log else None,
    )
