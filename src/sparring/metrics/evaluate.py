"""Measure a generator, or any images, against real ones: one pass of features per set serves every metric asked for.

Each number is a record that says all that it depends on (extractor, hash of its weights, resize, how many images of each
set, split, seed, precision, version), since numbers that differ in any of these cannot be compared.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sparring import __version__
from sparring.errors import SparringError, nearest
from sparring.files import cache_folder
from sparring.metrics.am_score import am_score
from sparring.metrics.extractors.base import Extractor
from sparring.metrics.gaussian import GaussianStats, frechet_distance_of
from sparring.metrics.inception_score import inception_score_from_logits
from sparring.metrics.kid import kernel_distance
from sparring.metrics.prdc import precision_recall_density_coverage

if TYPE_CHECKING:
    from sparring.data.packed import PackedImages

METRICS = {
    "fd": "Frechet distance of features",
    "kd": "kernel distance of features, all pairs",
    "is": "score of predictions, exp E KL(p(y|x) || p(y))",
    "am": "AM score of predictions against the real images'",
    "prdc": "precision, recall, density, coverage",
    "classes": "class shares, the smallest of them, and mean maximum probability",
}
NEED_FEATURES = {"kd", "prdc"}
NEED_LOGITS = {"is", "am", "classes"}
CLASSIC = {"FD": "FID", "KD": "KID"}  # names that only Inception's numbers may carry
MOST_HASHED = 200_000  # images of the real set that are looked at for copies

Record = dict[str, object]
Generate = Callable[[int, int], Tensor]  # (start, count) -> uint8 [count, C, H, W]
Progress = Callable[[int, int], None]  # (images done, images in all)


def metric_name(extractor: str, metric: str) -> str:
    """What a number is called: "fashion-FD"; "FID" only through `inception`."""
    return CLASSIC.get(metric, metric) if extractor == "inception" else f"{extractor}-{metric}"


@dataclass
class _Seen:
    """What one pass over a set of images leaves."""

    stats: GaussianStats
    probabilities: Tensor | None  # [1, K] float64, mean
    features: Tensor | None = None  # [N, d], where a metric needs them one by one
    logits: Tensor | None = None  # [N, K]


def evaluate_images(
    generate: Generate,
    real: "PackedImages",
    *,
    extractor: Extractor,
    n: int,
    metrics: Sequence[str] = ("fd", "is", "classes"),
    batch_size: int = 500,
    seed: int = 0,
    splits: int = 10,
    neighbours: int = 5,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> list[Record]:
    """Records of the metrics (keys of `METRICS`) of n images from `generate(start, count)` against all of `real`.

    generate   called with start = 0, batch_size, ... in turn; returns uint8 [count, C, H, W]
    splits     groups of the Inception Score;  neighbours: k of precision, recall, density and coverage
    seed       of the latents behind `generate`; only recorded
    cache      folder of reference statistics, by default below $SPARRING_CACHE or ~/.cache

    The real set's statistics are kept by content of the images and identity of the extractor. Raises SparringError for an
    unknown metric, one that needs a classifier where the extractor is none, images of the wrong type, n < 2.
    """
    wanted = _checked_metrics(metrics, extractor)
    if n < 2:
        raise SparringError(f"n, the number of generated images to measure, must be at least 2, got {n}")
    settings = _settings(extractor)
    path = (cache or cache_folder() / "reference") / f"{_key(settings, real)}.npz"
    reference = None if wanted & NEED_FEATURES else _load(path, settings)
    total = n + (0 if reference else len(real))

    done = 0

    def tick(count: int) -> None:
        nonlocal done
        done += count
        if progress:
            progress(done, total)

    if reference is None:
        batches = real.images.split(batch_size)
        reference = _look(batches, extractor, wanted, tick, keep_logits=False)
        _save(path, reference, settings, real)
    copies = _Copies(real)
    starts = range(0, n, batch_size)
    fakes = (_generated(generate, start, min(batch_size, n - start), real.channels) for start in starts)
    fake = _look(map(copies.watch, fakes), extractor, wanted, tick, keep_logits=bool(wanted & NEED_LOGITS))

    common: Record = {
        **settings,
        "data": real.name,
        "split": real.split,
        "n_real": len(real),
        "n_fake": n,
        "seed": seed,
        "version": __version__,
    }
    rows = list(_values(wanted, extractor, reference, fake, splits=splits, neighbours=neighbours))
    notes = copies.notes()
    for row in rows:
        row.update(common)
        if found := notes + (_bias_notes(len(real), n, extractor.dimensions) if row["better"] == "lower" else []):
            row["notes"] = found
    return rows


def _values(
    wanted: set[str], extractor: Extractor, real: _Seen, fake: _Seen, *, splits: int, neighbours: int
) -> Iterable[Record]:
    """The numbers themselves, in a fixed order, without what they have in common."""

    def record(metric: str, value: object, better: str | None, **more: object) -> Record:
        return {"metric": metric_name(extractor.name, metric), "value": value, "better": better, **more}

    if "fd" in wanted:
        yield record("FD", frechet_distance_of(fake.stats, real.stats), "lower")
    if "kd" in wanted:
        assert fake.features is not None and real.features is not None
        yield record("KD", kernel_distance(fake.features, real.features), "lower")
    if fake.logits is not None:
        probabilities = fake.logits.double().softmax(1)
        if "is" in wanted:
            mean, deviation = inception_score_from_logits(fake.logits, splits)
            yield record("IS", mean, "higher", std=deviation, groups=splits)
        if "am" in wanted:
            assert real.probabilities is not None
            yield record("AM", am_score(generated=probabilities, train=real.probabilities), "lower")
        if "classes" in wanted:
            assert extractor.class_names is not None
            counts = torch.bincount(fake.logits.argmax(1), minlength=len(extractor.class_names))
            shares = (counts.double() / counts.sum()).tolist()
            yield record("smallest-class-share", min(shares), "higher")
            yield record("mean-max-probability", probabilities.amax(1).mean().item(), "higher")
            yield record("class-shares", shares, None, class_names=list(extractor.class_names))
    if "prdc" in wanted:
        assert fake.features is not None and real.features is not None
        four = precision_recall_density_coverage(real.features, fake.features, neighbours)
        for name, value in four._asdict().items():
            yield record(name, value, "higher", k=neighbours)


def _look(
    batches: Iterable[Tensor], extractor: Extractor, wanted: set[str], tick: Callable[[int], None], *, keep_logits: bool
) -> _Seen:
    """One pass over a set. Moments are streamed; rows are kept only for metrics that need them."""
    stats = GaussianStats(extractor.dimensions)
    kept_features: list[Tensor] = []
    kept_logits: list[Tensor] = []
    summed = None
    for images in batches:
        features, logits = extractor(images)
        stats.update(features)
        if logits is not None:
            batch_sum = logits.double().softmax(1).sum(0, keepdim=True).cpu()
            summed = batch_sum if summed is None else summed + batch_sum
            if keep_logits:
                kept_logits.append(logits)
        if wanted & NEED_FEATURES:
            kept_features.append(features)
        tick(len(images))
    assert stats.n is not None
    return _Seen(
        stats=stats,
        probabilities=None if summed is None else summed / stats.n,
        features=torch.cat(kept_features) if kept_features else None,
        logits=torch.cat(kept_logits) if kept_logits else None,
    )


def _generated(generate: Generate, start: int, count: int, channels: int) -> Tensor:
    images = generate(start, count)
    if images.dtype != torch.uint8 or images.ndim != 4 or len(images) != count:
        raise SparringError(
            f"generate({start}, {count}) must return uint8 images [{count}, C, H, W], got {images.dtype} "
            f"{list(images.shape)}: convert floats in [-1, 1] with sparring.data.packed.to_uint8"
        )
    if images.shape[1] != channels:
        raise SparringError(
            f"generated images have {images.shape[1]} channels and the real ones {channels}: compare like with like"
        )
    return images


def _checked_metrics(metrics: Sequence[str], extractor: Extractor) -> set[str]:
    for metric in metrics:
        if metric not in METRICS:
            raise SparringError(f"unknown metric '{metric}': {nearest(metric, METRICS)}")
        if metric in NEED_LOGITS and extractor.class_names is None:
            raise SparringError(
                f"metric '{metric}' needs class predictions, which the extractor '{extractor.name}' does not give: "
                "leave it out or choose a classifier"
            )
    return set(metrics)


class _Copies:
    """Counts generated images that equal another one, or a real one, pixel by pixel."""

    def __init__(self, real: "PackedImages") -> None:
        self.real = set(map(_digest, real.images)) if len(real) <= MOST_HASHED else set()
        self.seen: set[bytes] = set()
        self.total = self.repeated = self.copied = 0

    def watch(self, images: Tensor) -> Tensor:
        for digest in map(_digest, images.cpu()):
            self.total += 1
            self.repeated += digest in self.seen
            self.copied += digest in self.real
            self.seen.add(digest)
        return images

    def notes(self) -> list[str]:
        notes = []
        if self.repeated:
            notes.append(f"{self.repeated} of {self.total} generated images repeat another one exactly")
        if self.copied == self.total:
            notes.append("every generated image is one of the real set: the set is compared with itself")
        elif self.copied:
            notes.append(f"{self.copied} of {self.total} generated images equal a real one exactly")
        return notes


def _digest(image: Tensor) -> bytes:
    return hashlib.blake2b(image.contiguous().numpy().tobytes(), digest_size=16).digest()


def _bias_notes(n_real: int, n_fake: int, dimensions: int) -> list[str]:
    notes = []
    if min(n_real, n_fake) <= dimensions:
        notes.append(
            f"only {min(n_real, n_fake)} images for {dimensions} dimensions: a Frechet distance is then mostly bias"
        )
    if n_real != n_fake:
        notes.append(
            f"compare only with numbers from {n_fake} generated and {n_real} real images: the bias depends on both"
        )
    return notes


def _settings(extractor: Extractor) -> Record:
    return {
        "extractor": extractor.name,
        "weights_sha256": extractor.weights_sha256,
        "resize": extractor.resize,
        "dtype": "features float32, moments float64",
    }


def _key(settings: Record, real: "PackedImages") -> str:
    content = json.dumps([settings, real.fingerprint], sort_keys=True)
    return f"{settings['extractor']}-{hashlib.blake2b(content.encode(), digest_size=12).hexdigest()}"


def _load(path: Path, settings: Record) -> _Seen | None:
    """Statistics kept earlier; None where there are none, or only a damaged file, which will be written anew."""
    try:
        stats = GaussianStats.load(path)
    except SparringError:
        return None
    if any(stats.provenance.get(key) != value for key, value in settings.items()):
        return None
    mean = stats.provenance.get("mean_probabilities")
    return _Seen(stats, None if mean is None else torch.tensor([mean], dtype=torch.float64))


def _save(path: Path, seen: _Seen, settings: Record, real: "PackedImages") -> None:
    mean = None if seen.probabilities is None else seen.probabilities[0].tolist()
    seen.stats.provenance.update(settings)
    seen.stats.save(path, data=real.name, split=real.split, fingerprint=real.fingerprint, mean_probabilities=mean)
