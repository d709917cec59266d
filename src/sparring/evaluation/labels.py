"""Which classes a conditional generator is asked for while it is measured.

A distance compares two sets, and their class shares are part of it: against 800 images of one class and 40 of each of nine
others, real images in equal shares are as far away as a poor generator's. So samples are measured in the reference's shares
(`data`), unless a protocol says otherwise (`uniform`, each class as often, as the papers have it). Both are taken in turn by
the samples' index: no draw adds noise, and with equal shares the two are the same labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sparring.data.classes import class_turns
from sparring.evaluation.image_set import ImageSet, Labels
from sparring.metrics.moments import GaussianStats


def turns_for(
    num_classes: int,
    class_names: Sequence[str],
    real: ImageSet | GaussianStats,
    wanted: Labels = "data",
    note: Callable[[str], None] = lambda line: None,
) -> tuple[Tensor, Labels]:
    """Labels [P] that a generator's samples take in turn, and which of the two they are.

    Classes of the real images are the generator's of that name, or of that number where either has no names. Equal shares
    stand in, with a note, where the real images do not say theirs.
    """
    uniform = torch.arange(num_classes)
    if wanted == "uniform":
        return uniform, "uniform"
    known = real.class_counts if isinstance(real, ImageSet) else {}
    counts = [0] * num_classes
    left_out = 0
    for label, count in known.items():
        number = _number_of(label, class_names, real)
        if number is None or number >= num_classes:
            left_out += count
        else:
            counts[number] += count
    if not sum(counts):
        reason = "have none of the generator's classes" if known else "do not say their classes"
        note(f"samples are drawn in equal shares of the classes: the real images {reason}")
        return uniform, "uniform"
    if left_out:
        note(f"{left_out} of {sum(known.values())} real images are of classes that the generator does not have")
    return class_turns(counts), "data"


def _number_of(label: int, class_names: Sequence[str], real: ImageSet | GaussianStats) -> int | None:
    """The generator's number of a class of the real images; None where it has no class of that name."""
    names = real.class_names if isinstance(real, ImageSet) else ()
    if not names or not class_names:
        return label
    return list(class_names).index(names[label]) if names[label] in class_names else None
