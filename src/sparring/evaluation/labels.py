"""The classes that a conditional generator is given while it is measured.

A distance between two sets depends on their class shares: compared with 800 images of one class and 40 of each of nine
others, real images in equal shares are as far away as those of a poor generator. Samples are therefore generated in the
shares of the reference (`data`), unless a protocol asks for equal shares (`uniform`, as in the papers). Labels are
assigned by the sample's index, so no draw adds noise, and for equal shares both options give the same labels.
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
    """The labels [P] that a generator's samples take in turn, and which of the two options they are.

    Classes are matched by name, or by number if either side has no names. If the shares of the real images are unknown,
    equal shares are used, with a note.
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
        reason = "have none of the generator's classes" if known else "have no class labels"
        note(f"samples are drawn in equal shares of the classes, since the real images {reason}")
        return uniform, "uniform"
    if left_out:
        note(f"{left_out} of {sum(known.values())} real images are of classes that the generator does not have")
    return class_turns(counts), "data"


def _number_of(label: int, class_names: Sequence[str], real: ImageSet | GaussianStats) -> int | None:
    """The generator's number for a class of the real images; None if it has no class of that name."""
    names = real.class_names if isinstance(real, ImageSet) else ()
    if not names or not class_names:
        return label
    return list(class_names).index(names[label]) if names[label] in class_names else None
