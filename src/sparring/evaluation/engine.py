"""Measures generated images against real ones. One pass of features per set serves all metrics.

Each number is a record with everything it depends on (extractor, hash of its weights, resize, number of images, split, seed,
precision, version), because numbers that differ in any of these cannot be compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor

from sparring.data.stored import Stored, stored_notes
from sparring.errors import SparringError
from sparring.evaluation.extractors.base import Extractor
from sparring.evaluation.extractors.registry import check_name
from sparring.evaluation.feature_pass import extract_features
from sparring.evaluation.image_set import Generate, ImageSet, of_images
from sparring.evaluation.notes import copy_notes, size_notes
from sparring.files import cache_folder
from sparring.messages import Note, ProgressHook, counted
from sparring.metrics import REGISTRY
from sparring.metrics.base import Comparison, FeatureSet, Metric, Record
from sparring.metrics.features import check_same_dimensions, check_whole
from sparring.metrics.moments import GaussianStats, check_same_settings
from sparring.metrics.names import metric_name
from sparring.plugins import find_class
from sparring.run.device import device_name
from sparring.run.numerics import numerics
from sparring.run.together import answered, working
from sparring.trust import VALIDATED
from sparring.version import __version__

if TYPE_CHECKING:
    from sparring.data.packed import PackedImages


def evaluate_images(
    generate: Generate,
    real: PackedImages | ImageSet,
    *,
    extractor: Extractor,
    n: int,
    metrics: str | Sequence[str] = ("fd", "is", "classes"),
    labels: Tensor | None = None,
    batch_size: int = 500,
    seed: int = 0,
    splits: int = 10,
    neighbours: int = 5,
    cache: Path | None = None,
    progress: ProgressHook | None = None,
    note: Note | None = None,
    generator_hash: str | None = None,
    drawn_labels: str | None = None,
    rank: int = 0,
    world: int = 1,
) -> list[Record]:
    """Measure n images from `generate(start, count)` against all of `real`, and return the records.

    generate        called with start = 0, batch_size, ... in turn; returns uint8 [count, C, H, W]
    metrics         names, as for `find_metrics`
    labels          int64 [n], classes of the generated images, for metrics within classes
    seed            of the latents; only recorded
    splits          number of groups of the Inception Score
    neighbours      k of precision, recall, density and coverage
    cache           folder for statistics of real images, by default below $SPARRING_CACHE or ~/.cache
    progress        called with the numbers of images done and of all images
    note            called with messages for the user
    generator_hash  of the generator's weights; only recorded
    drawn_labels    how the labels were chosen; only recorded
    rank, world     of this process, if several processes of one group share the work; each gets all records

    Statistics of the real images are cached by the images' content, the extractor and this package's version, if the
    extractor is `cacheable`. Raises SparringError for an unknown metric, a metric that needs a classifier if the
    extractor is not one, an extractor under a reserved name, too few images, or images of the wrong type.
    """
    check_whole(n, "n, the number of generated images to measure,", 2)
    own: dict[str, Any] = {"labels": labels, "drawn_labels": drawn_labels, "content_hash": generator_hash}
    fake = ImageSet("generated", n, real.channels, generate, seed=seed, **own)
    return evaluate_sets(
        fake,
        real if isinstance(real, ImageSet) else of_images(real),
        extractor=extractor,
        metrics=metrics,
        batch_size=batch_size,
        splits=splits,
        neighbours=neighbours,
        cache=cache,
        progress=progress,
        note=note,
        rank=rank,
        world=world,
    )


@numerics()  # whatever a run was trained with
def evaluate_sets(
    fake: ImageSet,
    real: ImageSet | GaussianStats,
    *,
    extractor: Extractor,
    metrics: str | Sequence[str] = ("fd",),
    batch_size: int = 500,
    splits: int = 10,
    neighbours: int = 5,
    cache: Path | None = None,
    progress: ProgressHook | None = None,
    note: Note | None = None,
    rank: int = 0,
    world: int = 1,
) -> list[Record]:
    """Measure one set against another, or against statistics from a file.

    The other arguments, and the errors, are those of `evaluate_images`; only the default of `metrics` differs.
    """
    check_name(extractor)
    chosen = find_metrics(names_of(metrics))
    comparison = Comparison(fake, real, extractor.dimensions, extractor.class_names, splits, neighbours)
    check_metrics(chosen, comparison, extractor.name)
    check_whole(batch_size, "batch_size", 1)
    settings = _settings(extractor)
    if isinstance(real, GaussianStats):
        check_same_settings(_like_statistics(settings, fake), real.provenance)
        check_same_dimensions(extractor.dimensions, real.dimensions)
    path = _place(settings, extractor, real, cache)
    needs = frozenset[str]().union(*(metric.needs for metric in chosen.values()))
    reference: FeatureSet | None = None
    if isinstance(real, GaussianStats):
        reference = FeatureSet(real, None)
    elif "real.features" not in needs:
        reference = _kept(path, settings, rank, world)
    total = fake.n + (real.n if reference is None and isinstance(real, ImageSet) else 0)
    done = 0

    def tick(count: int) -> None:
        nonlocal done
        done = min(total, done + count * world)
        if progress:
            progress(done, total)

    if reference is None:
        assert isinstance(real, ImageSet)
        rows = "real.features" in needs
        reference = extract_features(real, extractor, batch_size, tick, rows=rows, logits=False, rank=rank, world=world)
        reference.stats.provenance.update(settings, size=reference.size, channels=real.channels)
        if path is not None and rank == 0:
            _save(path, reference, real, note)
    features = extract_features(
        fake, extractor, batch_size, tick,
        rows="fake.features" in needs, logits="fake.predictions" in needs, real=real, rank=rank, world=world,
    )  # fmt: skip
    with working(rank, world):
        records = [record for metric in chosen.values() for record in metric.records(features, reference, comparison)]
    for record in records:
        record["metric"] = metric_name(extractor.name, str(record["metric"]))
    how = {**settings, "batch_size": batch_size, "device": device_name(getattr(extractor, "device", "cpu"))}
    return _with_provenance(records, how, fake, real, features, reference)


def _with_provenance(
    records: list[Record],
    settings: Record,
    fake: ImageSet,
    real: ImageSet | GaussianStats,
    features: FeatureSet,
    reference: FeatureSet,
) -> list[Record]:
    size_real = reference.stats.provenance.get("size")
    common: Record = {
        **settings,
        **_provenance_of_real(real),
        "n_real": real.n,
        "n_fake": fake.n,
        "size_real": size_real,
        "size_fake": features.size,
        "labels": fake.drawn_labels,
        "stored_real": _said(real.stored) if isinstance(real, ImageSet) else None,
        "stored_fake": _said(fake.stored),
        "seed": fake.seed,
        "generated": fake.name,
        "generated_split": fake.split,
        "generated_hash": fake.content_hash,
        "version": __version__,
        "torch": torch.__version__,
    }
    notes = copy_notes(features.digests, features.real_digests or reference.digests) + size_notes(
        features.size, size_real
    )
    if isinstance(real, ImageSet):
        notes += stored_notes(fake.stored, real.stored)
    if isinstance(real, GaussianStats) and "extractor" not in real.provenance:
        notes.append(
            "the file of statistics does not say how it was measured: make sure that it was measured in the same way"
        )
    for record in records:
        own = record.pop("notes", [])
        record.update(common)
        if notes or own:
            record["notes"] = [*notes, *own]  # type: ignore[misc]
    return records


def _said(stored: Stored | None) -> str | None:
    return None if stored is None else str(stored)


def _provenance_of_real(real: ImageSet | GaussianStats) -> Record:
    if isinstance(real, ImageSet):
        return {"data": real.name, "split": real.split, "data_hash": real.content_hash, "real_seed": real.seed}
    provenance = real.provenance
    return {
        "data": provenance.get("data", "statistics"),
        "split": provenance.get("split"),
        "data_hash": provenance.get("fingerprint"),
        "real_seed": provenance.get("real_seed"),
        **real.origin,
    }


def usual_metrics(
    extractor: Extractor, n: int, splits: int, note: Note | None = None, *, classes: Sequence[str] = ()
) -> tuple[str, ...]:
    """The default metrics for n images: the Frechet distance, and those that the extractor's predictions allow.

    classes: the names of the real images' classes. Class shares are measured only if the extractor predicts these classes:
    how many of ImageNet's 1,000 classes occur says nothing about data with three. A note says if n is too small for `is`.
    """
    if extractor.class_names is None:
        return ("fd",)
    names = ("fd", "is", "classes") if set(classes) == set(extractor.class_names) else ("fd", "is")
    if n >= splits:
        return names
    if note:
        note(
            f"no Inception Score: {counted(n, 'image')} cannot form {splits} groups: lower --is-splits, or measure more"
        )
    return tuple(name for name in names if name != "is")


def names_of(metrics: str | Iterable[str]) -> tuple[str, ...]:
    """The names of metrics, from a sequence or from one comma-separated string."""
    return tuple(name.strip() for name in metrics.split(",")) if isinstance(metrics, str) else tuple(metrics)


def find_metrics(names: Iterable[str], *others: str) -> dict[str, Metric]:
    """The metrics with these names. Those that ship come first, in the order of `REGISTRY`.

    A name is a key of `REGISTRY`, one that an installed package registers, or `package.module:Class`, which the user typed
    or the validation of a recipe allowed. others: further names to suggest. Raises SparringError for an unknown name.
    """
    known = REGISTRY | {name: name for name in others}
    chosen = {name: find_class(name, known, "metric", Metric, VALIDATED)() for name in names}
    if not chosen:
        raise SparringError(f"no metric was given: choose one or more of {', '.join(known)}")
    return {name: chosen[name] for name in [*REGISTRY, *chosen] if name in chosen}


def check_metrics(metrics: Mapping[str, Metric], c: Comparison, extractor: str) -> None:
    """Raise SparringError, before features are extracted, for a metric that these sets or this extractor do not support."""
    if isinstance(c.fake, ImageSet) and isinstance(c.real, ImageSet):
        check_channels(c.fake, c.real)
    for name, metric in metrics.items():
        of_real = any(need.startswith("real.") for need in metric.needs)
        if of_real and isinstance(c.real, GaussianStats):
            raise SparringError(f"metric '{name}' needs the real images, not their statistics: give the images")
        if c.class_names is None and any(need.endswith(".predictions") for need in metric.needs):
            raise SparringError(
                f"metric '{name}' needs class predictions, which the extractor '{extractor}' does not make: leave it out, "
                "or choose a classifier"
            )
        metric.check(c)


def check_channels(fake: ImageSet, real: ImageSet) -> None:
    """Raise SparringError if one set is greyscale and the other is in colour."""
    if fake.channels != real.channels:
        raise SparringError(
            f"different numbers of channels: {fake.name} has {fake.channels}, {real.name} has {real.channels}; load "
            "both with --channels 1 or 3"
        )


def _settings(extractor: Extractor) -> Record:
    return {
        "extractor": extractor.name,
        "weights_sha256": extractor.weights_sha256,
        "resize": extractor.resize,
        "dtype": "features float32, moments float64",
    }


def _like_statistics(settings: Record, images: ImageSet) -> Record:
    """The settings that statistics of these images would record."""
    height, width = images.take(0, 1).shape[2:]
    return {**settings, "size": f"{height}x{width}", "channels": images.channels}


def _place(settings: Record, extractor: Extractor, real: ImageSet | GaussianStats, cache: Path | None) -> Path | None:
    """Where statistics of the real set are cached; None if not everything that they depend on is known."""
    if isinstance(real, GaussianStats) or not real.fingerprint or not getattr(extractor, "cacheable", False):
        return None
    content = json.dumps([settings, real.fingerprint, __version__], sort_keys=True)
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in str(settings["extractor"]))
    key = f"{name}-{blake2b(content.encode(), digest_size=12).hexdigest()}"
    return (cache or cache_folder() / "reference") / f"{key}.npz"


def _kept(path: Path | None, settings: Record, rank: int, world: int) -> FeatureSet | None:
    """Cached statistics, or None. Rank 0 decides, because all ranks must take the same passes."""
    cached = [_load(path, settings) if path is not None and rank == 0 else None]
    if world > 1:
        with answered(rank):
            dist.broadcast_object_list(cached, src=0)
    return cached[0]


def _load(path: Path, settings: Record) -> FeatureSet | None:
    """Cached statistics; None if there are none, or if the file is damaged, which is then written again."""
    try:
        stats = GaussianStats.load(path)
    except SparringError:
        return None
    if any(stats.provenance.get(key) != value for key, value in settings.items()):
        return None
    mean = stats.provenance.get("mean_probabilities")
    return FeatureSet(stats, None if mean is None else torch.tensor([mean], dtype=torch.float64))


def _save(path: Path, features: FeatureSet, real: ImageSet, note: Note | None) -> None:
    mean = None if features.probabilities is None else features.probabilities[0].tolist()
    facts = {"data": real.name, "split": real.split, "fingerprint": real.fingerprint, "real_seed": real.seed}
    try:
        features.stats.save(path, **facts, mean_probabilities=mean)
    except SparringError as error:
        if note:
            note(f"statistics of the real images are not cached: {error}")
