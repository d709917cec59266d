"""One pass over a set of images. Moments are streamed; single rows are kept only if a metric needs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from sparring.errors import SparringError
from sparring.evaluation.extractors.base import Extractor, Features, check_finite
from sparring.evaluation.image_set import ImageSet
from sparring.evaluation.notes import digest
from sparring.metrics.base import FeatureSet
from sparring.metrics.moments import GaussianStats
from sparring.run.together import answered, working

MOST_HASHED = 200_000  # images of a set: larger ones are not searched for copies


def extract_features(
    images: ImageSet,
    extractor: Extractor,
    batch_size: int,
    tick: Callable[[int], None],
    *,
    rows: bool,
    logits: bool,
    real: Any = None,
    rank: int = 0,
    world: int = 1,
) -> FeatureSet:
    """Extract the features of all images. rows, logits: whether to keep these.

    real: the other set, whose digests are taken if its images are in memory. Each of several ranks extracts some of the
    batches that one rank would extract, consecutive ones. All get the results of all images: rows have the order and bits of
    one rank's, and sums differ by the rounding that their order brings.
    """
    stats = GaussianStats(extractor.dimensions)
    kept_features: list[Tensor] = []
    kept_logits: list[Tensor] = []
    digests: list[bytes] = []
    summed, size = None, None
    with working(rank, world):
        for start in _starts(images.n, batch_size, rank, world):
            batch = _batch(images, start, min(batch_size, images.n - start))
            size = f"{batch.shape[2]}x{batch.shape[3]}"
            features, found = answer = Features(*extractor(batch))
            check_finite(answer, extractor.name)
            stats.update(features)
            if found is not None:
                batch_sum = found.double().softmax(1).sum(0, keepdim=True).cpu()
                summed = batch_sum if summed is None else summed + batch_sum
                if logits:
                    kept_logits.append(found)
            if rows:
                kept_features.append(features)
            if images.n <= MOST_HASHED:
                digests += map(digest, batch.cpu())
            tick(len(batch))
        kept_features, kept_logits = _on_cpu(kept_features), _on_cpu(kept_logits)
    if world > 1:
        with answered(rank):
            stats.all_reduce()
            summed, size, kept_features, kept_logits, digests = _gathered(
                summed, size, kept_features, kept_logits, digests
            )
    if stats.n != images.n:
        raise SparringError(f"all ranks together saw {stats.n} images of {images.name}, which has {images.n}")
    others = getattr(real, "packed", None)
    return FeatureSet(
        stats=stats,
        probabilities=None if summed is None else summed / stats.n,
        size=size,
        features=torch.cat(kept_features) if kept_features else None,
        logits=torch.cat(kept_logits) if kept_logits else None,
        digests=digests,
        real_digests=[] if others is None or len(others) > MOST_HASHED else [digest(each) for each in others.images],
    )


def _starts(n: int, batch_size: int, rank: int, world: int) -> range:
    """Where this rank's batches start; the first ranks have one more if they do not divide evenly."""
    batches = -(-n // batch_size)
    first, last = (-(-batches * each // world) * batch_size for each in (rank, rank + 1))
    return range(first, min(last, n), batch_size)


def _on_cpu(rows: list[Tensor]) -> list[Tensor]:
    """All rows, copied from the device at once."""
    return [torch.cat(rows).cpu()] if rows else []


def _gathered(summed: Tensor | None, size: str | None, *lists: list[Any]) -> tuple[Any, ...]:
    """Everything except the moments from all ranks: the total of the sums, and rows in the order of the ranks."""
    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, (summed, size, *lists))
    sums = [part[0] for part in parts if part[0] is not None]
    total = torch.stack(sums).sum(0) if sums else None
    sizes = [part[1] for part in parts if part[1] is not None]
    return total, sizes[0], *([each for part in parts for each in part[2 + i]] for i in range(len(lists)))


def _batch(images: ImageSet, start: int, count: int) -> Tensor:
    batch = images.take(start, count)
    if batch.dtype != torch.uint8 or batch.ndim != 4 or len(batch) != count:
        raise SparringError(
            f"generate({start}, {count}) must return uint8 images [{count}, C, H, W], got {batch.dtype} "
            f"{list(batch.shape)}: convert floats in [-1, 1] with sparring.data.packed.to_uint8"
        )
    if batch.shape[1] != images.channels:
        raise SparringError(
            f"generated images have {batch.shape[1]} channels and the real ones {images.channels}: give both the same number"
        )
    return batch
