"""Two runs side by side, class by class: which classes did the second one improve?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sparring.errors import SparringError

SHOWN = 4  # best and worst classes in the picture of samples
EACH = 8  # samples of a class
ALIKE = (  # what two records must share to be compared
    *("metric", "extractor", "weights_sha256", "resize"),
    *("data", "split", "n_real", "n_fake", "real_seed", "n_per_class"),
)
OPTIONS = {  # of `evaluate` that a comparison class by class has no use for
    **{"metrics": "--metrics", "is_splits": "--is-splits", "images_split": "--images-split"},
    **{"neighbours": "neighbours", "overrides": "key=value"},
}
WHERE_KNOWN = ("size_real", "size_fake", "data_hash")  # must be shared, too, where both say it: old records do not


@dataclass(frozen=True)
class ClassComparison:
    """Distances within classes [K] of two runs, those alone that both have; `classes` are their numbers."""

    classes: tuple[int, ...]
    names: tuple[str, ...]
    first: tuple[float, ...]
    second: tuple[float, ...]
    metric: str

    @property
    def improved(self) -> int:
        """Classes in which the second run is closer to the real images."""
        return sum(b < a for a, b in zip(self.first, self.second, strict=True))

    @property
    def mean_change(self) -> float | None:
        """Of the means over classes, relative to the first run's; below 0 is better. None where the first run's is 0."""
        return sum(self.second) / sum(self.first) - 1 if sum(self.first) else None

    def by_change(self) -> list[int]:
        """Places in `classes`, the most improved first."""
        return sorted(range(len(self.classes)), key=lambda i: self.second[i] - self.first[i])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return asdict(self) | {"improved": self.improved, "mean_change": self.mean_change}

    def table(self) -> str:
        """Markdown, the most improved class first."""
        change = "from 0" if self.mean_change is None else f"{100 * self.mean_change:+.1f}%"
        head = f"{self.improved} of {len(self.classes)} classes improved, mean {self.metric} {change}"
        rows = [
            f"| {self.names[i]} | {self.first[i]:.4g} | {self.second[i]:.4g} | {self.second[i] - self.first[i]:+.3g} |"
            for i in self.by_change()
        ]
        return "\n".join([head, "", "| class | first | second | change |", "|---|---|---|---|", *rows]) + "\n"


def compare_classes(first: dict[str, Any], second: dict[str, Any]) -> ClassComparison:
    """Two records of the metric `intra`. Raises SparringError where they were measured differently, naming how."""
    both = [key for key in WHERE_KNOWN if None not in (first.get(key), second.get(key))]
    differences = [
        f"{key} {first.get(key)!r} against {second.get(key)!r}"
        for key in (*ALIKE, *both)
        if first.get(key) != second.get(key)
    ]
    if differences:
        raise SparringError(f"numbers measured differently cannot be compared: {'; '.join(differences)}")
    if "per_class" not in first:
        raise SparringError(f"'{first['metric']}' has no values within classes: measure with the metric 'intra'")
    pairs = list(zip(first["per_class"], second["per_class"], strict=True))
    measured = [k for k, pair in enumerate(pairs) if None not in pair]
    names = first.get("class_names") or [str(k) for k in range(len(pairs))]
    return ClassComparison(
        tuple(measured),
        tuple(names[k] for k in measured),
        tuple(pairs[k][0] for k in measured),
        tuple(pairs[k][1] for k in measured),
        first["metric"],
    )


def compare_runs(first: Any, second: Any, real: Any, out: str | Path | None, **options: Any) -> ClassComparison:
    """Measure two conditional runs with `intra` and write classes.md, classes.png (a scatter) and samples.png into `out`.

    options: those of `sparring.evaluate`; None is its default. samples.png has the most improved classes above the least
    improved, the first run's samples in each row beside the second's. Raises SparringError, before anything is measured,
    where one of the four is missing, a run has no generator with classes, or an option could have no effect.
    """
    from sparring.files import write_atomically
    from sparring.metrics.pairs import evaluate_pair
    from sparring.report.plots import render

    for name, value in (("a second run (--versus)", second), ("real images (--real)", real), ("a folder (--out)", out)):
        if value is None:
            raise SparringError(f"comparing two runs class by class needs {name}: give it")
    options = {key: value for key, value in options.items() if value is not None}
    if unused := [OPTIONS[key] for key in OPTIONS if key in options]:
        raise SparringError(f"two runs are compared by the metric intra alone: leave {', '.join(unused)} out")
    for run in (first, second):
        _check_conditional(run)
    (a,), (b,) = (evaluate_pair(run, real, **{**options, "metrics": ("intra",)}) for run in (first, second))
    found = compare_classes(a, b)
    folder = Path(str(out))
    write_atomically(folder / "classes.md", found.table())
    write_atomically(folder / "classes.png", render(_scatter(found, str(first), str(second)), "png"))
    _samples(found, first, second, folder / "samples.png")
    return found


def _check_conditional(run: Any) -> None:
    from sparring.metrics.sets import is_generator
    from sparring.sampling import load_generator, takes_labels

    if not is_generator(run):
        raise SparringError(f"'{run}' is no run and no generator's file: two runs are compared class by class")
    saved = load_generator(run)
    if not takes_labels(saved.module, saved.num_classes):
        raise SparringError(f"the generator of '{run}' takes no classes: runs are compared class by class")


def _scatter(found: ClassComparison, first: str, second: str) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot()
    highest = max(*found.first, *found.second) * 1.05
    axes.plot([0, highest], [0, highest], color="grey", linewidth=1)
    axes.scatter(found.first, found.second, s=14)
    axes.set(
        xlim=(0, highest), ylim=(0, highest), xlabel=f"{found.metric} of {first}", ylabel=f"{found.metric} of {second}"
    )
    axes.set_title(f"{found.improved} of {len(found.classes)} classes below the line: improved")
    return figure


def _samples(found: ClassComparison, first: str | Path, second: str | Path, out: Path) -> None:
    import torch

    from sparring.report.plots import image_grid
    from sparring.sampling import load_generator

    order = found.by_change()
    shown = order[:SHOWN] + [i for i in order[-SHOWN:] if i not in order[:SHOWN]]
    labels = [found.classes[i] for i in shown for _ in range(EACH)]
    rows = [load_generator(run).sample(len(labels), labels=labels, seed=0).split(EACH) for run in (first, second)]
    image_grid(torch.cat([part for pair in zip(*rows, strict=True) for part in pair]), out, columns=2 * EACH)
