"""How well a discriminator classifies: its classifier head, its projection head used as one, and its sense of what is real.

MHGAN (sections 2.1 and 3.2) watches these for memorisation and collapse. On real images, train and held-out:

    classifier   share with argmax_k C(x)_k = y, over the classes of the data
    projection   share with argmax_k D(x, k) = y
    real         share with D(x, y) above the loss's boundary: 0 for hinge and non-saturating; others have another or none

On generated ones, with y the class asked for, the first two are called self-accuracy. A wide gap between train and held-out
says that the discriminator has memorised its training images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sparring.data.packed import is_whole, to_float
from sparring.errors import SparringError

if TYPE_CHECKING:
    from sparring.networks.discriminator import Discriminator

BATCH = 250


@torch.no_grad()
def discriminator_accuracies(
    discriminator: Discriminator, images: Tensor, labels: Tensor | None, *, boundary: float | None = 0.0
) -> dict[str, float]:
    """Those of "classifier", "projection" and "real" that this discriminator can have; shares in [0, 1].

    boundary: the score above which "real" is counted, such as a loss's own; None leaves "real" out.
    images: uint8 [N, C, H, W], as everywhere between generators and metrics. labels: int64 [N], or None without classes.
    Classifier heads beside "class_logits" are called by their own names. Nothing of the discriminator changes. Raises
    SparringError for no image, and for images or labels that are missing or do not fit.
    """
    from sparring.networks.frozen import evaluating

    heads = [name for name in discriminator.asked if name != "score"]
    if not len(images):
        raise SparringError("accuracies of no image are no numbers: measure one or more")
    if heads or discriminator.embedding is not None or discriminator.uses_labels:
        _check_labels(labels, len(images), discriminator.num_classes)
    else:
        labels = None
    device = next(discriminator.parameters()).device
    hits: dict[str, float] = {}
    with evaluating(discriminator), torch.random.fork_rng(devices=[]):
        for start in range(0, len(images), BATCH):
            x = to_float(images[start : start + BATCH]).to(device)
            y = None if labels is None else labels[start : start + BATCH].to(device)
            for name, count in _hits(discriminator, x, y, heads, boundary).items():
                hits[name] = hits.get(name, 0.0) + count
    return {name: count / len(images) for name, count in hits.items()}


def _check_labels(labels: Tensor | None, n: int, num_classes: int) -> None:
    if labels is None:
        raise SparringError(
            "accuracies of a discriminator with classes need the images' labels: measure labelled images"
        )
    if labels.shape != (n,) or not is_whole(labels) or int(labels.min()) < 0 or int(labels.max()) >= num_classes:
        got = f"{labels.dtype} {list(labels.shape)}" + (f", {labels.min()} to {labels.max()}" if len(labels) else "")
        raise SparringError(f"labels must be one of 0 to {num_classes - 1} for each of {n} images, got {got}")


def _hits(d: Discriminator, x: Tensor, y: Tensor | None, heads: list[str], boundary: float | None) -> dict[str, float]:
    found = {}
    activations = d.extract(x, y if d.uses_labels else None)
    for head in heads:
        assert y is not None
        name = "classifier" if head == "class_logits" else head
        logits = d.read(head, activations)[:, : d.num_classes]
        found[name] = logits.argmax(1).eq(y).sum().item()
    if "score" in d.asked and boundary is not None:
        found["real"] = (d.read("score", activations, y) > boundary).sum().item()
    if "score" in d.asked and d.embedding is not None:
        scores = []
        for k in range(d.num_classes):
            label = torch.full((len(x),), k, device=x.device)
            seen = d.extract(x, label) if d.uses_labels else activations  # else one pass serves all classes
            scores.append(d.read("score", seen, label))
        assert y is not None
        found["projection"] = (torch.stack(scores, dim=1).argmax(1) == y).sum().item()
    return found
