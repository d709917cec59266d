"""How well a discriminator classifies: by its classifier head, by its projection head, and as real or generated.

MHGAN (sections 2.1 and 3.2) uses these to detect memorisation and collapse. On real images, training and held-out:

    classifier   share with argmax_k C(x)_k = y, over the classes of the data
    projection   share with argmax_k D(x, k) = y
    real         share with D(x, y) above the boundary of the loss: 0 for hinge and non-saturating; some losses have none

On generated images, where y is the requested class, the first two are called self-accuracy. A wide gap between training and
held-out images means that the discriminator has memorised its training images.
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
    """The shares "classifier", "projection" and "real", as far as this discriminator has them.

    images    uint8 [N, C, H, W]
    labels    int64 [N], or None without classes
    boundary  the score above which an image counts as real; None leaves "real" out

    Other classifier heads than "class_logits" go by their own names. The discriminator is left unchanged. Raises
    SparringError for zero images, and for labels that are missing or do not fit.
    """
    from sparring.networks.frozen import evaluating

    heads = [name for name in discriminator.asked if name != "score"]
    if not len(images):
        raise SparringError("there is no accuracy on zero images: measure at least one")
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
        raise SparringError("accuracies of a discriminator with classes need labels: use labelled images")
    if labels.shape != (n,) or not is_whole(labels) or int(labels.min()) < 0 or int(labels.max()) >= num_classes:
        got = f"{labels.dtype} {list(labels.shape)}" + (f", {labels.min()} to {labels.max()}" if len(labels) else "")
        raise SparringError(f"labels must be from 0 to {num_classes - 1}, one for each of {n} images, got {got}")


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
            seen = d.extract(x, label) if d.uses_labels else activations  # otherwise one pass serves all classes
            scores.append(d.read("score", seen, label))
        assert y is not None
        found["projection"] = (torch.stack(scores, dim=1).argmax(1) == y).sum().item()
    return found
