"""The verbs of the command line as functions. `sparring.train` and `sparring.load` have modules of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from sparring.classify.describe import describe_classifier, is_classifier
from sparring.classify.recipe import ClassifierRecipe
from sparring.dry_run import describe
from sparring.errors import SparringError
from sparring.files import ANOTHER_FOLDER, one_line_for_disk_errors
from sparring.messages import Note, note_or_default, watched
from sparring.recipe import Recipe, differences
from sparring.recipe_files import parse_overrides
from sparring.report.plots import image_grid
from sparring.report.samples import layout
from sparring.sampling import load_generator
from sparring.training.progress import measuring
from sparring.training.run_folder import cure_for_moved, is_run
from sparring.trust import consenting


def show(
    recipe: Any,
    overrides: Iterable[str] | Mapping[str, Any] = (),
    *,
    allow_code: bool = False,
    note: Note | None = None,
) -> dict[str, Any]:
    """What a recipe is and costs, without training: see `sparring.dry_run.describe`, and `describe_classifier`.

    allow_code: whether a run may name code that does not ship, which is imported then (see docs/trust.md).
    """
    overrides = overrides if isinstance(overrides, Mapping) else list(overrides)
    loaded = load_recipe(recipe, overrides, allow_code=allow_code)
    if isinstance(loaded, ClassifierRecipe):
        return describe_classifier(loaded)
    with cure_for_moved(Path(recipe), loaded, verb="train") if is_run(recipe) else nullcontext():
        return describe(loaded, note or (lambda text: None), parse_overrides(overrides))


def load_recipe(
    recipe: Any, overrides: Iterable[str] | Mapping[str, Any] = (), *, allow_code: bool = False
) -> Recipe | ClassifierRecipe:
    """A GAN's or a classifier's recipe, from whatever names or holds one."""
    overrides = overrides if isinstance(overrides, Mapping) else list(overrides)
    return (ClassifierRecipe if is_classifier(recipe) else Recipe).load(recipe, overrides, allow_code=allow_code)


def compare(
    recipe: Any, other: Any, overrides: Iterable[str] | Mapping[str, Any] = (), *, allow_code: bool = False
) -> dict[str, dict[str, Any]]:
    """What two recipes do differently, by dotted keys: {"this": value, "other": value}, None where one lacks the key.

    Names, descriptions and the papers' numbers are left out. overrides are the first one's. Raises SparringError for a GAN's
    recipe beside a classifier's.
    """
    a, b = load_recipe(recipe, overrides, allow_code=allow_code), load_recipe(other, allow_code=allow_code)
    if type(a) is not type(b):
        raise SparringError(f"'{a.name}' and '{b.name}' cannot be compared: one trains a GAN, the other a classifier")
    changed = differences(a, b)
    said = {"name", "about", "run_in_full"} | {key for key in changed if key.startswith("paper")}
    return {key: {"this": one, "other": two} for key, (one, two) in changed.items() if key not in said}


def sample(
    run: str | Path,
    n: int = 64,
    *,
    seed: int = 0,
    labels: Any = None,
    out: str | Path | None = None,
    allow_code: bool = False,
) -> Tensor:
    """n images uint8 [N, C, H, W] from a run or a lone generator file; `out` also writes them.

    out: a .png (one picture of all), an .npz (`images` [N, C, H, W]), or a folder (one PNG each).
    allow_code: whether the file may name code that does not ship, which is imported then (see docs/trust.md).
    """
    target = None if out is None else Path(out)
    if target is not None and target.suffix not in ("", ".png", ".npz"):
        raise SparringError(f"cannot write samples to '{out}': give a .png, an .npz or a folder")
    generator = load_generator(run, allow_code=allow_code)
    images = generator.sample(n, labels=labels, seed=seed)
    if target is not None:
        with one_line_for_disk_errors(ANOTHER_FOLDER):
            write_images(images, target, classes=generator.num_classes if labels is None else 0)
    return images


def write_images(images: Tensor, out: Path, *, classes: int = 0) -> None:
    """uint8 images [N, C, H, W] as one PNG, an npz, or a folder of PNGs, by the ending of `out`.

    classes: so many, in turn.
    """
    import numpy as np

    if out.suffix == ".png":
        shown = layout(len(images), classes, rows=None)
        image_grid(images, out, columns=shown.columns, cells=shown.cells)
    elif out.suffix == ".npz":
        out.parent.mkdir(parents=True, exist_ok=True)
        np.savez(out, images=images.numpy())
    else:
        if out.is_dir() and any(out.iterdir()):
            raise SparringError(f"{out} is not empty: give a new folder, so that old samples do not stay among the new")
        out.mkdir(parents=True, exist_ok=True)
        for i, image in enumerate(images):
            pixels = image[0] if len(image) == 1 else image.permute(1, 2, 0)
            Image.fromarray(pixels.numpy()).save(out / f"{i:06d}.png")


def evaluate(
    run: Any,
    *,
    real: Any = None,
    overrides: Iterable[str] | Mapping[str, Any] = (),
    metrics: str | Iterable[str] | None = None,
    extractor: Any = None,
    weights: str | Path | None = None,
    sha256: str | None = None,
    n: int | None = None,
    seed: int | None = None,
    split: str | None = None,
    labels: str | None = None,
    is_splits: int | None = None,
    device: str | None = None,
    progress: Callable[[int, int], None] | bool | None = None,
    note: Note | None = None,
    allow_code: bool = False,
    **others: Any,
) -> list[dict[str, Any]]:
    """Measure a run by its recipe's protocol, or with `real` any images against any; each record carries all it depends on.

    run, real: each a run, a generator file, a folder, a zip, an npz, a named data set, or images from Python; `real` also an
        npz of statistics. Without `real`, `run` is a run, and its data and protocol are the recipe's.
    overrides: `n`, `extractor`, ... of the recipe's `evaluation`, as `key=value` strings or a mapping.
    metrics, extractor, weights, sha256, n, seed, split, labels, is_splits: `sparring.metrics.pairs.evaluate_pair` has them
        all, with `others` of its own; where they are None, the recipe's hold, or the defaults there.
    allow_code: whether runs, generators and extractors that are opened may name code that does not ship (see docs/trust.md).
    progress: whether a bar is shown, by default in a notebook and if stderr is a terminal; or a function of (images done,
        images in all). note: takes lines for people, which by default go to stderr in the same cases.
    """
    if "" in [each for each in (run, real) if isinstance(each, str)]:
        raise SparringError("'' names no images: give a run, a file, a folder or a data set")
    given = overrides if isinstance(overrides, Mapping) else list(overrides)
    chosen: dict[str, Any] = {"extractor": extractor, "n": n, "seed": seed, "split": split, "is_splits": is_splits}
    chosen |= {"metrics": metrics, "labels": labels}
    chosen = {key: value for key, value in chosen.items() if value is not None}
    common: dict[str, Any] = {"weights": weights, "sha256": sha256, "device": device, "note": note_or_default(note)}
    shown = watched() if progress is None else progress
    opened = (run,) if real is None else (run, real)
    with (
        measuring() if shown is True else nullcontext(shown or None) as common["progress"],
        consenting(allow_code, *opened),
    ):
        return _evaluate(run, real, given, chosen, common, others)


def _evaluate(
    run: Any,
    real: Any,
    given: Mapping[str, Any] | list[str],
    chosen: dict[str, Any],
    common: dict[str, Any],
    others: dict[str, Any],
) -> list[dict[str, Any]]:
    from sparring.metrics.pairs import evaluate_pair, evaluate_run

    if real is not None:
        if given:
            raise SparringError("key=value changes a recipe's evaluation, which --real sets aside: use the options")
        return evaluate_pair(run, real, **chosen, **common, **others)
    if others:
        options = ", ".join(f"--{key.replace('_', '-')}" for key in others)
        cure = f"; without it, the recipe's evaluation takes n_real={others['n_real']}" if "n_real" in others else ""
        raise SparringError(f"{options} only with --real, images to compare with{cure}")
    return evaluate_run(run, given, chosen, **common)
