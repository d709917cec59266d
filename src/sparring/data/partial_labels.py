"""Labels for some images only, as semi-supervised training has them."""

from dataclasses import replace

import torch
from torch import Tensor

from sparring.data.packed import PackedImages
from sparring.errors import SparringError
from sparring.randomness import generator_for

UNLABELLED = -1


def remove_labels(labels: Tensor, share_kept: float, seed: int = 0) -> Tensor:
    """Labels int64 [N] of which each class keeps round(share_kept * its images), at least one; others become -1.

    Halves round up. Which images keep theirs depends on the seed and the class alone, and a larger share keeps all
    that a smaller one keeps. Raises SparringError for a share outside of (0, 1].
    """
    if not 0 < share_kept <= 1:
        raise SparringError(f"the share of labels kept must be above 0 and at most 1, got {share_kept}")
    kept = torch.full_like(labels, UNLABELLED)
    for label in labels[labels >= 0].unique().tolist():
        rows = (labels == label).nonzero().squeeze(1)
        count = max(1, int(share_kept * len(rows) + 0.5))
        order = torch.randperm(len(rows), generator=generator_for("labels kept", seed, label)).to(rows.device)
        kept[rows[order[:count]]] = label
    return kept


def split_labelled(packed: PackedImages) -> tuple[PackedImages, PackedImages]:
    """The labelled images, and all images without their labels, as the semi-supervised loss takes them.

    The second set shares its pixels with `packed`. Raises SparringError if no image has a label.
    """
    labels = packed.require_labels("semi-supervised training")
    rows = (labels >= 0).nonzero().squeeze(1)
    if not len(rows):
        raise SparringError(f"'{packed.name}' has no labelled images: all labels are below 0")
    return packed.take(rows), replace(packed, labels=None)


def keep_share_of_labels(packed: PackedImages, share_kept: float, seed: int = 0) -> tuple[PackedImages, PackedImages]:
    """(labelled, whole without labels), after `remove_labels`."""
    labels = remove_labels(packed.require_labels("semi-supervised training"), share_kept, seed)
    return split_labelled(replace(packed, labels=labels))
