"""The numbers themselves, from what one pass over each of two sets has left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from sparring.evaluation.extractors.base import Extractor
from sparring.evaluation.feature_pass import FeatureSet
from sparring.metrics.am_score import am_score
from sparring.metrics.fd_infinity import frechet_distance_infinity
from sparring.metrics.frechet import frechet_distance_of
from sparring.metrics.inception_score import SHUFFLE, inception_score_from_logits
from sparring.metrics.intra_class import intra_class_distances
from sparring.metrics.kid import kernel_distance, kernel_distance_subsets
from sparring.metrics.prdc import precision_recall_density_coverage

NEED_ROWS = {"kd", "kd-subsets", "prdc", "intra"}  # features of both sets, one by one
NEED_LOGITS = {"is", "am", "classes"}
NEED_LABELS = {"intra"}
CLASSIC = {  # names that only Inception's numbers may carry
    "FD": "FID",
    "KD": "KID",
    "FD-infinity": "FID-infinity",
    "KD-subsets": "KID-subsets",
    "intra-FD": "intra-FID",
}
SUBSET = 1_000  # images in a subset of the kernel distance, as in its authors' code

Record = dict[str, object]


def metric_name(extractor: str, metric: str) -> str:
    """What a number is called: "fashion-FD"; "FID" only through `inception`."""
    return CLASSIC.get(metric, metric) if extractor == "inception" else f"{extractor}-{metric}"


def values_of(
    wanted: set[str],
    extractor: Extractor,
    real: FeatureSet,
    fake: FeatureSet,
    sets: tuple[Any, Any],
    bias: list[str],
    *,
    splits: int,
    neighbours: int,
) -> Iterator[Record]:
    """Records in a fixed order, without what they have in common. sets: of the generated and the real images.

    bias: notes about that of Frechet distances at these numbers of images; kernel distances and scores have none of it.
    """

    def record(metric: str, value: object, better: str | None, **more: object) -> Record:
        return {"metric": metric_name(extractor.name, metric), "value": value, "better": better, **more}

    if "fd" in wanted:
        yield record("FD", frechet_distance_of(fake.stats, real.stats), "lower", notes=bias)
    if "fd-infinity" in wanted:
        assert fake.features is not None
        line = frechet_distance_infinity(fake.features, real.stats)
        yield record(
            "FD-infinity",
            line.value,
            "lower",
            slope=line.slope,
            sizes=line.sizes,
            distances=line.distances,
            subset_seed=0,
            notes=bias,
        )
    if wanted & {"kd", "kd-subsets"}:
        assert fake.features is not None and real.features is not None
        if "kd" in wanted:
            yield record("KD", kernel_distance(fake.features, real.features), "lower")
        if "kd-subsets" in wanted:
            size = min(SUBSET, len(fake.features), len(real.features))
            mean, deviation = kernel_distance_subsets(fake.features, real.features, subset_size=size)
            spread: Record = {"std": deviation}
            if size == min(len(fake.features), len(real.features)):
                spread = {
                    "notes": [f"each subset holds all {size} images of a set, so the subsets' spread says nothing"]
                }
            yield record("KD-subsets", mean, "lower", subsets=100, subset_size=size, subset_seed=0, **spread)
    if "intra" in wanted:
        mean, notes, more = _within_classes(fake, real, *sets)
        yield record("intra-FD", mean, "lower", notes=notes + bias, **more)
    if fake.logits is not None:
        for metric, value, better, more in _of_predictions(wanted, extractor, real, fake, fake.logits, splits):
            yield record(metric, value, better, **more)
    if "prdc" in wanted:
        assert fake.features is not None and real.features is not None
        four = precision_recall_density_coverage(real.features, fake.features, neighbours)
        for name, value in four._asdict().items():
            yield record(name, value, "higher", k=neighbours)


def _of_predictions(
    wanted: set[str], extractor: Extractor, real: FeatureSet, fake: FeatureSet, logits: Tensor, splits: int
) -> Iterator[tuple[str, object, str | None, Record]]:
    probabilities = logits.double().softmax(1)
    if "is" in wanted:
        mean, deviation = inception_score_from_logits(logits, splits, shuffle=SHUFFLE)
        yield "IS", mean, "higher", {"std": deviation, "groups": splits, "shuffle_seed": SHUFFLE}
    if "am" in wanted:
        assert real.probabilities is not None
        yield "AM", am_score(generated=probabilities, train=real.probabilities), "lower", {}
    if "classes" in wanted:
        assert extractor.class_names is not None
        classes = len(extractor.class_names)
        counts = torch.bincount(logits.argmax(1), minlength=classes)
        shares = (counts.double() / counts.sum()).tolist()
        yield "smallest-class-share", min(shares), "higher", {}
        yield "modes-covered", int((counts > 0).sum()), "higher", {"of": classes}
        yield "mean-max-probability", probabilities.amax(1).mean().item(), "higher", {}
        yield "class-shares", shares, None, {"class_names": list(extractor.class_names)}


def _within_classes(fake: FeatureSet, real: FeatureSet, fakes: Any, reals: Any) -> tuple[float, list[str], Record]:
    assert fake.features is not None and real.features is not None
    classes = max(fakes.num_classes, reals.num_classes) or None
    found = intra_class_distances(fake.features, fakes.labels, real.features, reals.labels, classes)
    order = found.order()
    notes = []
    if found.skipped:
        notes.append(f"{found.skipped} of {len(found.values)} classes have fewer than two images in a set: left out")
    if (counts := {n for k in order for n in (found.n_a[k], found.n_b[k])}) and len(counts) > 1:
        notes.append(f"classes have {min(counts)} to {max(counts)} images in the two sets: their biases differ")
    if min(counts) <= fake.features.shape[1]:
        notes.append(f"as few as {min(counts)} images of a class for {fake.features.shape[1]} dimensions: mostly bias")
    more: Record = {
        "median": found.median,
        "classes": len(found.values),
        "measured": len(order),
        "best_classes": order[:5],
        "worst_classes": order[::-1][:5],
        "per_class": list(found.values),
        "n_per_class": [list(found.n_a), list(found.n_b)],
        "class_names": list(reals.class_names or fakes.class_names),
    }
    return found.mean, notes, more
