"""Accuracies of a run's discriminator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sparring.data.packed import PackedImages
from sparring.errors import SparringError
from sparring.files import content_hash
from sparring.messages import no_note
from sparring.metrics.discriminator_accuracy import discriminator_accuracies
from sparring.run.device import device_name
from sparring.run.numerics import numerics

if TYPE_CHECKING:
    from sparring.evaluation.image_set import ImageSet, Labels
    from sparring.run.data import RunData


@numerics()
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
    """Accuracies of a run's discriminator on n training images, n held-out ones and n generated ones.

    held_out: by default the images of `split`, or of "test" if there is such a split. A note says if there are none, or if
        they are the training images. seed: of draws and latents.
    labels: of the generated images, in the class shares of the training images ("data") or in equal shares ("uniform"); by
        default as in the recipe.
    The last checkpoint is used. "real" is left out, with a note, for a loss without a boundary. Raises SparringError if
    the run has no checkpoint, or its data no such split.
    """
    from sparring.evaluation.image_set import of_images
    from sparring.evaluation.sources import of_generator
    from sparring.recipe.gan import Recipe
    from sparring.recipe.networks import build_networks
    from sparring.run.checkpoint import CheckpointFolder, load_checkpoint, taking
    from sparring.run.folder import load_trained_on

    folder = Path(run)
    checkpoints = CheckpointFolder(folder / "checkpoints")
    step = checkpoints.last() if (folder / "recipe.json").is_file() else None
    if step is None:
        raise SparringError(f"'{run}' has no checkpoint, which accuracies need: give the folder of a run")
    recipe = Recipe.load(folder)
    say = note or no_note
    data = load_trained_on(folder, recipe, say)
    discriminator, _ = build_networks(
        recipe, image_size=data.real.size, image_channels=data.real.channels, num_classes=data.real.num_classes
    )
    with taking(checkpoints.path(step)):
        discriminator.load_state_dict(load_checkpoint(checkpoints.path(step))["discriminator"])
    discriminator.to(device)
    held = _held_out(data, held_out, split, say)
    host = recipe.objective.host(step)
    if host.boundary is None and "score" in discriminator.asked:
        say("the share of images called real is left out: the loss has no boundary between real and generated")
    records = []
    provenance = {"weights_sha256": content_hash(dict(discriminator.state_dict())), "dtype": "float32", "step": step}
    provenance["device"] = device_name(device)
    sets = {"train": of_images(data.real, min(n, len(data.real)), seed)}
    if held is not None:
        sets["held-out"] = of_images(held, min(n, len(held)), seed)
    asked = labels or ("data" if recipe.evaluation is None else recipe.evaluation.labels)
    like = of_images(data.reference(None))
    sets["generated"] = of_generator(folder, n, seed, device, real=like, labels=asked)
    for which, images in sets.items():
        if which == "generated" and images.labels is None and (set(discriminator.asked) != {"score"}):
            continue  # the generator takes no classes
        rates = discriminator_accuracies(discriminator, images.take(0, images.n), images.labels, boundary=host.boundary)
        records += [_record(name, share, which, images, host.boundary) | provenance for name, share in rates.items()]
    return records


def _held_out(data: RunData, held: PackedImages | None, split: str | None, say: Any) -> PackedImages | None:
    """The given images, or the split's; None, with a note saying why, if there are none or they were trained on."""
    if held is None:
        try:
            held = data.reference(split or "test")
        except SparringError as error:
            if split is not None:
                raise
            say(f"no held-out images, only training images: {error}")
            return None
    if not data.trained_on(held):
        return held
    say(f"no held-out images: {held.name} are the training images themselves; choose another --split")
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
