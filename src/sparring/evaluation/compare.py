"""Compares two runs class by class: which classes did the second one improve?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparring.errors import SparringError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sparring.metrics.base import Record

SHOWN = 4  # best and worst classes in the picture of samples, and named in a large scatter plot
NAMED = 12  # up to this number, all classes are named
LINES = 30  # lines of names that fit into the height of the scatter plot
LETTER = 0.45  # width of a letter, in lines
EACH = 8  # samples per class
ALIKE = (  # fields in which two records must agree
    *("metric", "extractor", "weights_sha256", "resize"),
    *("data", "split", "n_real", "n_fake", "real_seed", "n_per_class", "labels"),
)
OPTIONS = {  # of `evaluate` that do not apply here
    **{"metrics": "--metrics", "is_splits": "--is-splits", "images_split": "--images-split"},
    **{"neighbours": "neighbours", "overrides": "key=value"},
}
WHERE_KNOWN = ("size_real", "size_fake", "data_hash")  # must also agree if both records have them: old ones do not
BY_CLASS = ("per_class", "class_names")  # of a record, what a comparison has in its own fields


@dataclass(frozen=True)
class ClassComparison:
    """Distances within the classes [K] for which both runs have one. `classes` are their numbers.

    runs: the names of the runs. records: the record of each, as from `evaluate`, with its mean over classes.
    """

    classes: tuple[int, ...]
    names: tuple[str, ...]
    first: tuple[float, ...]
    second: tuple[float, ...]
    runs: tuple[str, str]
    records: tuple[Record, Record]

    @property
    def metric(self) -> str:
        return str(self.records[0]["metric"])

    @property
    def improved(self) -> int:
        """The number of classes in which the second run is closer to the real images."""
        return sum(b < a for a, b in zip(self.first, self.second, strict=True))

    @property
    def mean_change(self) -> float | None:
        """Relative change of the mean over classes; negative is better. None if the first run's mean is 0."""
        return sum(self.second) / sum(self.first) - 1 if sum(self.first) else None

    @property
    def notes(self) -> list[str]:
        """The notes of both records, each once."""
        return list(dict.fromkeys(note for record in self.records for note in record.get("notes", [])))  # type: ignore[attr-defined]

    def by_change(self) -> list[int]:
        """Indices into `classes`, most improved first."""
        return sorted(range(len(self.classes)), key=lambda i: self.second[i] - self.first[i])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return vars(self) | {"metric": self.metric, "improved": self.improved, "mean_change": self.mean_change}

    def table(self) -> str:
        """Markdown with what was measured, how, and the classes, most improved first."""
        change = "from 0" if self.mean_change is None else f"{100 * self.mean_change:+.1f}%"
        head = f"{self.improved} of {len(self.classes)} classes improved, mean {self.metric} {change}"
        rows = [
            f"| {self.names[i]} | {self.first[i]:.4g} | {self.second[i]:.4g} | {self.second[i] - self.first[i]:+.3g} |"
            for i in self.by_change()
        ]
        columns = f"| class | {self.runs[0]} | {self.runs[1]} | change |"
        said = [_measured_with(self.records[0]), *(f"note: {note}" for note in self.notes)]
        return "\n".join([head, "", *said, "", columns, "|---|---|---|---|", *rows]) + "\n"


def compare_classes(first: Record, second: Record, runs: tuple[str, str] = ("first", "second")) -> ClassComparison:
    """Compare two records of the metric `intra`. Raises SparringError if they cannot be compared, naming the differences."""
    both = [key for key in WHERE_KNOWN if None not in (first.get(key), second.get(key))]
    differences = [
        f"{key} {first.get(key)!r} against {second.get(key)!r}"
        for key in (*ALIKE, *both)
        if first.get(key) != second.get(key)
    ]
    if differences:
        raise SparringError(f"records that were measured differently cannot be compared: {'; '.join(differences)}")
    if "per_class" not in first:
        raise SparringError(f"'{first['metric']}' has no values per class: use the metric 'intra'")
    a, b = (_by_class(record) for record in (first, second))
    pairs = list(zip(a, b, strict=True))
    measured = [k for k, pair in enumerate(pairs) if None not in pair]
    names: Any = first.get("class_names") or [str(k) for k in range(len(pairs))]
    alone = [{key: value for key, value in record.items() if key not in BY_CLASS} for record in (first, second)]
    return ClassComparison(
        tuple(measured),
        tuple(names[k] for k in measured),
        tuple(pairs[k][0] for k in measured),
        tuple(pairs[k][1] for k in measured),
        runs,
        (alone[0], alone[1]),
    )


def _by_class(record: Record) -> Sequence[Any]:
    return record["per_class"]  # type: ignore[return-value]


def _measured_with(record: Record) -> str:
    """One line that says how a distance within classes was measured."""
    n = [f"{record[key]} {what} images" for key, what in (("n_fake", "generated"), ("n_real", "real")) if key in record]
    weights = str(record.get("weights_sha256") or "")[:12]
    said = {
        "against": f"{record.get('data', '')} {record.get('split') or ''}".strip(),
        "extractor": f"{record.get('extractor', '')} {weights}".strip(),
        "seed": record.get("seed"),
        "sparring": record.get("version"),
    }
    return ", ".join([*n, *(f"{key} {value}" for key, value in said.items() if value not in (None, ""))])


def compare_runs(
    first: Any, second: Any, real: Any, out: str | Path | None, *, allow_code: bool = False, **options: Any
) -> ClassComparison:
    """Measure two conditional runs with `intra`, and write classes.md, classes.png (a scatter plot) and samples.png.

    out: the folder for these files. options, allow_code: as for `sparring.evaluate`; None is the default there. samples.png
    has the most improved classes first, and the first run's samples above the second's. Under torchrun the ranks share the
    work, and the first one writes. Raises SparringError, before anything is measured, if an argument is missing, a run
    has no conditional generator, the folder cannot be written to, or an option has no effect.
    """
    from sparring.evaluation.evaluate import evaluate_pair
    from sparring.files import ANOTHER_FOLDER, one_line_for_disk_errors, writable, write_atomically
    from sparring.report.plots import render
    from sparring.run.runtime import Runtime
    from sparring.trust import consenting

    for name, value in (("a second run (--versus)", second), ("real images (--real)", real), ("a folder (--out)", out)):
        if value is None:
            raise SparringError(f"comparing two runs class by class needs {name}")
    options = {key: value for key, value in options.items() if value is not None}
    if unused := [OPTIONS[key] for key in OPTIONS if key in options]:
        raise SparringError(f"comparing two runs uses the metric intra only: leave {', '.join(unused)} out")
    with consenting(allow_code, first, second, real):
        for run in (first, second):
            _check_conditional(run)
        folder = Path(str(out))
        with writable(folder, ANOTHER_FOLDER):
            (a,), (b,) = (evaluate_pair(run, real, **{**options, "metrics": ("intra",)}) for run in (first, second))
            found = compare_classes(a, b, _called(first, second))
            if Runtime.start(options.get("device")).is_main:
                with one_line_for_disk_errors(ANOTHER_FOLDER):
                    write_atomically(folder / "classes.md", found.table())
                    write_atomically(folder / "classes.png", render(class_scatter(found), "png"))
                    write_atomically(folder / "samples.png", render(_samples(found, first, second), "png"))
    return found


def picture(name: str, runs: Mapping[str, Sequence[Path]]) -> tuple[Figure, dict[str, Any]]:
    """`class-distances`, the scatter plot of two runs that were measured with `intra`, or `class-samples`, and the numbers.

    runs: two, by what the figure calls them, with the folders of all their seeds. Distances are means over seeds, samples of
    the first. Raises SparringError if there are not two, or if one was not measured with `intra`.
    """
    if len(runs) != 2:
        raise SparringError(f"classes are compared between two runs, got {len(runs)}: name two")
    first, second = (_mean_record([_last_record(folder) for folder in folders]) for folders in runs.values())
    found = compare_classes(first, second, (*runs,))  # type: ignore[arg-type]
    drawn = class_scatter(found) if name == "class-distances" else _samples(found, *(some[0] for some in runs.values()))
    numbers = {found.names[i]: [found.first[i], found.second[i]] for i in found.by_change()}
    return drawn, {"improved": found.improved, "mean_change": found.mean_change, "classes": numbers}


def _last_record(folder: Path) -> Record:
    """What a run's own evaluation measured within classes last."""
    from sparring.files import read_rows

    records = [row for row in read_rows(folder / "metrics.jsonl") if "per_class" in row]
    if not records:
        raise SparringError(f"'{folder}' was not measured within classes: add intra to evaluation.metrics")
    return records[-1]  # type: ignore[return-value]


def _mean_record(records: Sequence[Record]) -> Record:
    """The first record, with the mean over all of them for each class that all of them have."""
    columns = zip(*map(_by_class, records), strict=True)
    means = [None if None in column else sum(column) / len(column) for column in columns]
    return records[0] | {"per_class": means}  # type: ignore[return-value, operator]


def _called(first: str | Path, second: str | Path) -> tuple[str, str]:
    """Short, distinct names of two runs."""
    short = Path(first).name, Path(second).name
    return short if short[0] != short[1] else (str(first), str(second))


def _check_conditional(run: Any) -> None:
    from sparring.evaluation.sources import is_generator
    from sparring.run.generator import takes_labels
    from sparring.run.saved import load_generator

    if not is_generator(run):
        raise SparringError(f"'{run}' is neither a run nor a generator file, which comparing class by class needs")
    saved = load_generator(run)
    if not takes_labels(saved.module, saved.num_classes):
        raise SparringError(f"the generator of '{run}' takes no classes, which comparing class by class needs")


def class_scatter(found: ClassComparison) -> Figure:
    """A point for each class: the first run's distance on x, the second's on y. Below the diagonal is better."""
    from sparring.report.plots import COLOURS, panel

    figure, axes = panel(
        title=f"{found.improved} of {len(found.classes)} classes below the line: improved",
        xlabel=f"{found.metric} of {found.runs[0]}",
        ylabel=f"{found.metric} of {found.runs[1]}",
        size=(4.8, 4.6),
    )
    both = [*found.first, *found.second]
    margin = 0.14 * (max(both) - min(both)) or 1.0
    low, high = min(both) - margin, max(both) + margin
    axes.plot([low, high], [low, high], color=COLOURS[1], linewidth=1)
    axes.scatter(found.first, found.second, s=16, color=COLOURS[0])
    axes.set(xlim=(low, high), ylim=(low, high))
    _name_points(axes, found, (high - low) / LINES)
    return figure


def _name_points(axes: Axes, found: ClassComparison, line: float) -> None:
    """Name the points, away from the diagonal if there is room, and move names down that would cover another."""
    from sparring.report.plots import INK

    shown = sorted(_shown(found.by_change(), len(found.classes) <= NAMED), key=lambda i: -found.second[i])
    lowest = {"left": math.inf, "right": math.inf}  # so far, in each direction
    low, high = axes.get_xlim()
    for i in shown:
        x, y = found.first[i], found.second[i]
        reach = (2 + LETTER * len(found.names[i])) * line
        to_the_right = y < x if low < x - reach and x + reach < high else x - reach <= low
        side, away = ("left", 2 * line) if to_the_right else ("right", -2 * line)
        lowest[side] = height = min(y, lowest[side] - line)
        thin = {"arrowstyle": "-", "color": INK, "linewidth": 0.5, "shrinkA": 1, "shrinkB": 3}
        axes.annotate(
            found.names[i], (x, y), (x + away, height), ha=side, va="center", fontsize=7, color=INK, arrowprops=thin
        )


def _shown(order: list[int], all_of_them: bool = False) -> list[int]:
    """Indices of the most and of the least improved classes."""
    return order if all_of_them else order[:SHOWN] + [i for i in order[-SHOWN:] if i not in order[:SHOWN]]


def _samples(found: ClassComparison, first: str | Path, second: str | Path) -> Figure:
    """A row of samples for each of the most and least improved classes, from the same latents in both runs."""
    from sparring.report.plots import picture_rows
    from sparring.run.saved import load_generator

    places = _shown(found.by_change())
    labels = [found.classes[i] for i in places for _ in range(EACH)]
    drawn = [load_generator(run).sample(len(labels), labels=labels, seed=0).split(EACH) for run in (first, second)]
    rows = {
        f"{found.names[i]}, {name}: {distances[i]:.3g}": images[row]
        for row, i in enumerate(places)
        for name, distances, images in zip(found.runs, (found.first, found.second), drawn, strict=True)
    }
    return picture_rows(rows, title=f"samples of a class and its {found.metric}, most improved first", side=0.55)
