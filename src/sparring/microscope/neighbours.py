"""Nearest neighbours: whether a generator repeats its training images, and how much its samples differ from each other.

The distances of held-out real images to their nearest training image define what "near" means. A sample that is nearer
may be memorised. It may also be smooth, or come from a collapsed generator: Euclidean distances favour images that
resemble the mean of many. Distances are in pixels of [-1, 1], divided by the square root of their number, so that all
black against all white is 2; or in features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 256  # rows at a time
CLOSE = 0.01  # a sample counts as closer if it is below this quantile of the real images' distances


@dataclass(frozen=True)
class Nearest:
    """The nearest image of a set for each query: `index` [N] and `distance` [N]."""

    index: Tensor
    distance: Tensor


def nearest(queries: Tensor, among: Tensor, *, themselves: bool = False) -> Nearest:
    """The nearest of `among` [M, ...] for each of `queries` [N, ...]. Distances are divided by the root of their dimension.

    themselves: row i of `among` is query i itself, and is ignored for it.
    """
    a, b = queries.flatten(1).float(), among.flatten(1).float()
    scale = a.shape[1] ** 0.5
    indices, distances = [], []
    for start in range(0, len(a), CHUNK):
        rows = a[start : start + CHUNK]
        d = torch.cdist(rows, b)  # with many rows by a matrix product, so with rounding errors
        if themselves:
            d[torch.arange(len(rows)), torch.arange(start, start + len(rows))] = torch.inf
        found = d.argmin(1)
        indices.append(found)
        distances.append(torch.linalg.vector_norm(rows - b[found], dim=1) / scale)  # exact for the nearest one
    return Nearest(torch.cat(indices), torch.cat(distances))


def copies(sample_distances: Tensor, real_distances: Tensor) -> dict[str, float]:
    """Compare the distances of samples to the nearest training image with those of real images.

    `share_closer` is the share of samples that are nearer than 99% of the real images. It is about 0.01 if samples are as
    far from the training images as new real images are. A value near 1 does not prove copying, because smooth or
    collapsed samples are nearer as well.
    """
    threshold = real_distances.double().quantile(CLOSE)
    return {
        "median_sample": float(sample_distances.double().median()),
        "median_real": float(real_distances.double().median()),
        "smallest_sample": float(sample_distances.min()),
        "smallest_real": float(real_distances.min()),
        "share_closer": float((sample_distances.double() < threshold).double().mean()),
    }


def mean_distance(images: Tensor, labels: Tensor | None = None) -> float | None:
    """The mean distance between two of the images [N, ...], or between two with the same label if labels [N] are given.

    All classes have the same weight; those with fewer than two images are ignored. None if there is no pair.
    """
    if labels is not None:
        of_classes = [mean_distance(images[labels == k]) for k in labels.unique()]
        found = [distance for distance in of_classes if distance is not None]
        return sum(found) / len(found) if found else None
    if len(images) < 2:
        return None
    flat = images.flatten(1).double()
    total = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist").sum()
    return float(total / (len(flat) * (len(flat) - 1)) / flat.shape[1] ** 0.5)
