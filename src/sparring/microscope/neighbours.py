"""Nearest neighbours: whether a generator repeats its training images, and how much its samples differ from one another.

The distances of held-out real images to their nearest training image say what "near" means. A sample that is nearer may
have been remembered; it may also be smooth, or one of a collapsed generator: Euclidean distances favour pictures that
resemble the mean of many. Distances are in pixels (of [-1, 1]) divided by the square root of their number, so that 2 is
black against white everywhere; or in features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 256  # rows at a time
CLOSE = 0.01  # the quantile of the real images' distances below which a sample counts as closer than real ones


@dataclass(frozen=True)
class Nearest:
    """For each query its nearest image of a set: `index` [N] and `distance` [N]."""

    index: Tensor
    distance: Tensor


def nearest(queries: Tensor, among: Tensor, *, themselves: bool = False) -> Nearest:
    """The nearest of `among` [M, ...] for each of `queries` [N, ...], per root of the number of entries.

    themselves: row i of `among` is query i, and does not count for it.
    """
    a, b = queries.flatten(1).float(), among.flatten(1).float()
    scale = a.shape[1] ** 0.5
    indices, distances = [], []
    for start in range(0, len(a), CHUNK):
        rows = a[start : start + CHUNK]
        d = torch.cdist(rows, b)  # by a matrix product where there are many rows: to within rounding
        if themselves:
            d[torch.arange(len(rows)), torch.arange(start, start + len(rows))] = torch.inf
        found = d.argmin(1)
        indices.append(found)
        distances.append(torch.linalg.vector_norm(rows - b[found], dim=1) / scale)  # exactly, for the one that counts
    return Nearest(torch.cat(indices), torch.cat(distances))


def copies(sample_distances: Tensor, real_distances: Tensor) -> dict[str, float]:
    """How samples' distances to the nearest training image compare with those of real images.

    `share_closer` is the share of samples that are nearer than all but 1% of the real ones: about 0.01 for a generator that
    is as far from its training images as new real ones are. Near 1 it is no proof of copying: smooth or collapsed samples
    are nearer without it.
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
    """The mean distance between two different ones of images [N, ...], of the same label where there are labels [N].

    Classes weigh the same; one with fewer than two images is left out. 0: all are equal; None: there is no pair.
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
