"""Intra-class Frechet distance for conditional generators: the distance within each class, and its mean over classes.

Miyato and Koyama 2018 (arXiv 1802.05637), section 5. The covariances of both sets are used. Some published code uses the
real covariance twice, which leaves only the distance of the means. A class has few images, so most of the number is bias
(about d / n): compare only at equal n per class.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.data.packed import is_whole
from sparring.errors import SparringError
from sparring.messages import counted
from sparring.metrics.base import Comparison, FeatureSet, Metric, Record, record
from sparring.metrics.features import check_matrix
from sparring.metrics.frechet import bias_notes, frechet_distance
from sparring.metrics.moments import GaussianStats


@dataclass(frozen=True)
class IntraClass:
    """The distance within each class.

    values    [K], None for a class with fewer than two images in either set
    n_a, n_b  [K], the number of images of each class
    """

    values: tuple[float | None, ...]
    n_a: tuple[int, ...]
    n_b: tuple[int, ...]

    @property
    def measured(self) -> list[float]:
        return [value for value in self.values if value is not None]

    @property
    def mean(self) -> float:
        return sum(self.measured) / len(self.measured)

    @property
    def median(self) -> float:
        return float(torch.tensor(self.measured, dtype=torch.float64).quantile(0.5))

    @property
    def skipped(self) -> int:
        """The number of classes without a distance."""
        return len(self.values) - len(self.measured)

    def order(self) -> list[int]:
        """The classes that have a distance, best first."""
        return sorted((k for k, v in enumerate(self.values) if v is not None), key=lambda k: self.values[k] or 0.0)


def intra_class_distances(
    features_a: Tensor,
    labels_a: Tensor,
    features_b: Tensor,
    labels_b: Tensor,
    num_classes: int | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> IntraClass:
    """Distances within classes between features [N, d] with labels [N], and [M, d] with [M]. Labels < 0 are ignored.

    One class at a time is held in memory. Raises SparringError for invalid labels, or if no class has two images in
    both sets.
    """
    for features, labels in ((features_a, labels_a), (features_b, labels_b)):
        check_matrix(features)
        _check_labels(labels, len(features))
    highest = max(int(labels.max()) if len(labels) else -1 for labels in (labels_a, labels_b))
    count = highest + 1 if num_classes is None else num_classes
    if highest >= count:
        raise SparringError(f"label {highest} is out of range: classes are 0 to {count - 1}")
    rows_a, rows_b = _rows_of_classes(labels_a, count), _rows_of_classes(labels_b, count)
    values: list[float | None] = []
    for k, (in_a, in_b) in enumerate(zip(rows_a, rows_b, strict=True)):
        enough = min(len(in_a), len(in_b)) >= 2
        values.append(frechet_distance(features_a[in_a], features_b[in_b]) if enough else None)
        if progress:
            progress(k + 1, count)
    if all(value is None for value in values):
        raise SparringError(f"none of the {count} classes has two images in both sets: measure more images")
    return IntraClass(tuple(values), tuple(map(len, rows_a)), tuple(map(len, rows_b)))


def _check_labels(labels: Tensor, n: int) -> None:
    if isinstance(labels, Tensor):
        if labels.shape == (n,) and is_whole(labels):
            return
        got = f"labels {labels.dtype} {list(labels.shape)} for {n} images"
    else:
        got = f"labels {type(labels).__name__}"
    raise SparringError(
        f"intra-class distances need one integer label per image, got {got}: give an integer tensor [{n}]"
    )


def _rows_of_classes(labels: Tensor, count: int) -> list[Tensor]:
    """The rows of each class."""
    order = labels.argsort(stable=True)
    sizes = torch.bincount(labels[labels >= 0], minlength=count).tolist()
    return list(order[len(labels) - sum(sizes) :].split(sizes))


class IntraClassDistance(Metric):
    """Frechet distance within each class, averaged over the classes."""

    needs = frozenset({"real.features", "fake.features"})

    def check(self, c: Comparison) -> None:
        assert not isinstance(c.real, GaussianStats)
        for what, images in (("generated", c.fake), ("real", c.real)):
            if images.labels is None:
                raise SparringError(
                    f"metric 'intra' compares class by class, but the {what} images ({images.name}) have no class labels: "
                    "leave it out, or use labelled images or a class-conditional generator"
                )
        fakes, reals = c.fake.class_names, c.real.class_names
        if fakes and reals and fakes != reals:
            raise SparringError(
                f"metric 'intra' compares class by class, but the classes differ: {_difference(fakes, reals)}; leave it "
                "out, or choose the same classes in both"
            )

    def records(self, fake: FeatureSet, real: FeatureSet, c: Comparison) -> Iterator[Record]:
        assert not isinstance(c.real, GaussianStats) and c.fake.labels is not None and c.real.labels is not None
        assert fake.features is not None and real.features is not None
        classes = max(c.fake.num_classes, c.real.num_classes) or None
        found = intra_class_distances(fake.features, c.fake.labels, real.features, c.real.labels, classes)
        order = found.order()
        yield record(
            "intra-FD",
            found.mean,
            "lower",
            notes=_notes(found, c.dimensions) + bias_notes(c),
            median=found.median,
            classes=len(found.values),
            measured=len(order),
            best_classes=order[:5],
            worst_classes=order[::-1][:5],
            per_class=list(found.values),
            n_per_class=[list(found.n_a), list(found.n_b)],
            class_names=list(c.real.class_names or c.fake.class_names),
        )


def _notes(found: IntraClass, dimensions: int) -> list[str]:
    notes = []
    if found.skipped:
        notes.append(f"left out {found.skipped} of {len(found.values)} classes: fewer than two images in either set")
    counts = {n for k in found.order() for n in (found.n_a[k], found.n_b[k])}
    if len(counts) > 1:
        notes.append(f"classes have {min(counts)} to {max(counts)} images in the two sets: their biases differ")
    if min(counts) <= dimensions:
        notes.append(f"some classes have only {counted(min(counts), 'image')} for {dimensions} dimensions: mostly bias")
    return notes


def _difference(fakes: tuple[str, ...], reals: tuple[str, ...]) -> str:
    """How two lists of classes differ, naming at most four of each."""
    parts = []
    for where, names, others in (("generated", fakes, reals), ("real", reals, fakes)):
        if alone := [name for name in names if name not in others]:
            more = f" and {len(alone) - 4} more" if len(alone) > 4 else ""
            parts.append(f"only in the {where} images: {', '.join(alone[:4])}{more}")
    if not parts:
        first = next(i for i, (a, b) in enumerate(zip(fakes, reals, strict=True)) if a != b)
        parts.append(
            f"in their order: class {first} is '{fakes[first]}' in the generated images and '{reals[first]}' in the real"
        )
    return "; ".join(parts)
