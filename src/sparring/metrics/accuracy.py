"""How well a discriminator classifies: its classifier head, its projection head used as one, and its sense of what is real.

MHGAN (sections 2.1 and 3.2) watches these for memorisation and collapse. On real images, train and held-out:

    classifier   share with argmax_k C(x)_k = y, over the classes of the data
    projection   share with argmax_k D(x, k) = y
    real         share with D(x, y) above the loss's boundary: 0 for hinge and non-saturating; others have another or none

On generated ones, with y the class asked for, the first two are called self-accuracy. A wide gap between train and held-out
says that the discriminator has memorised its training images.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sparring.data.packed import PackedImages, is_whole, to_float
from sparring.errors import SparringError
from sparring.files import content_hash

if TYPE_CHECKING:
    from sparring.metrics.sets import ImageSet, Labels
    from sparring.networks.discriminator import Discriminator
    from sparring.training.run_folder import RunData

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
    from sparring.training.frozen import evaluating

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
    evidence = d.extract(x, y if d.uses_labels else None)
    for head in heads:
        assert y is not None
        name = "classifier" if head == "class_logits" else head
        logits = d.read(head, evidence)[:, : d.num_classes]
        found[name] = logits.argmax(1).eq(y).sum().item()
    if "score" in d.asked and boundary is not None:
        found["real"] = (d.read("score", evidence, y) > boundary).sum().item()
    if "score" in d.asked and d.embedding is not None:
        scores = []
        for k in range(d.num_classes):
            label = torch.full((len(x),), k, device=x.device)
            seen = d.extract(x, label) if d.uses_labels else evidence  # else one pass serves all classes
            scores.append(d.read("score", seen, label))
        assert y is not None
        found["projection"] = (torch.stack(scores, dim=1).argmax(1) == y).sum().item()
    return found


def run_accuracies(
    run: str | Path,
    *,
    held_out: PackedImages | None = None,
    split: str | None = None,
    n: int = 2_000,
    seed: int = 0,
    labels: Labels | None = None,
    device: torch.device | str = "cpu",
    note: Any = None,
) -> list[dict[str, Any]]:
    """Records of a run's discriminator on n train images, n held-out ones and n of its own; seed: of draws and latents.

    held-out: given, or of `split`, by default of "test", where the data have it; a note says where they have not, or where
        these are the training images. "real" is left out, with a note, for a loss without a boundary.
    labels: of its own images, in the training images' class shares ("data") or all as often ("uniform"); None: the recipe's.
    Reads the run's last checkpoint. Raises SparringError where the run has none, or its data no such split.
    """
    from sparring.metrics.sets import of_generator, of_images
    from sparring.recipe import Recipe
    from sparring.training.checkpoint import CheckpointFolder, load_checkpoint
    from sparring.training.run_folder import load_trained_on
    from sparring.training.state import build_networks

    folder = Path(run)
    checkpoints = CheckpointFolder(folder / "checkpoints")
    step = checkpoints.last() if (folder / "recipe.json").is_file() else None
    if step is None:
        raise SparringError(f"'{run}' holds no checkpoint, and accuracies are its discriminator's: give a run's folder")
    recipe = Recipe.load(folder)
    say = note or (lambda text: None)
    data = load_trained_on(folder, recipe, say)
    discriminator, _ = build_networks(
        recipe, image_size=data.real.size, image_channels=data.real.channels, num_classes=data.real.num_classes
    )
    discriminator.load_state_dict(load_checkpoint(checkpoints.path(step))["discriminator"])
    discriminator.to(device)
    held = _held_out(data, held_out, split, say)
    host = recipe.objective.host(step)
    if host.boundary is None and "score" in discriminator.asked:
        say("no share of images called real: the loss has no boundary between real and generated")
    records = []
    said = {"weights_sha256": content_hash(dict(discriminator.state_dict())), "dtype": "float32", "step": step}
    sets = {"train": of_images(data.real, min(n, len(data.real)), seed)}
    if held is not None:
        sets["held-out"] = of_images(held, min(n, len(held)), seed)
    asked = labels or ("data" if recipe.evaluation is None else recipe.evaluation.labels)
    like = of_images(data.reference(None))
    sets["generated"] = of_generator(folder, n, seed, device, real=like, labels=asked)
    for which, images in sets.items():
        if which == "generated" and images.labels is None and (set(discriminator.asked) != {"score"}):
            continue  # nobody asked its generator for a class
        found = discriminator_accuracies(discriminator, images.take(0, images.n), images.labels, boundary=host.boundary)
        records += [_record(name, share, which, images, host.boundary) | said for name, share in found.items()]
    return records


def _held_out(data: RunData, held: PackedImages | None, split: str | None, say: Any) -> PackedImages | None:
    """The images given, or of the split; None, said why, where there are none or they are those of training."""
    if held is None:
        try:
            held = data.reference(split or "test")
        except SparringError as error:
            if split is not None:
                raise
            say(f"no held-out images, so train images alone: {error}")
            return None
    if not data.trained_on(held):
        return held
    say(f"no held-out images: those of {held.name} are the training images themselves; choose another --split")
    return None


def _record(name: str, share: float, which: str, images: ImageSet, boundary: float | None) -> dict[str, Any]:
    from sparring.version import __version__

    kind = f"share above {boundary:g}" if name == "real" else "self-accuracy" if which == "generated" else "accuracy"
    return {
        "metric": f"{name}, {which}: {kind}",
        "value": share,
        "better": None,
        "of": which,
        "data": images.name,
        "split": images.split,
        "n_fake" if which == "generated" else "n_real": images.n,
        "generated_hash" if which == "generated" else "data_hash": images.content_hash,
        "labels": images.drawn_labels,
        "seed" if which == "generated" else "real_seed": images.seed,
        "extractor": "the discriminator",
        "version": __version__,
        "torch": torch.__version__,
    }
