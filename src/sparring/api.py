"""The verbs of the command line as functions. `sparring.train` and `sparring.load` have modules of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from sparring.classify.recipe import shipped_classifiers
from sparring.dry_run import describe
from sparring.errors import SparringError
from sparring.recipe import Recipe
from sparring.recipe_files import read_recipe, shipped_recipes
from sparring.report.plots import image_grid
from sparring.sampling import load_generator

Note = Callable[[str], None]


def recipes() -> list[dict[str, Any]]:
    """Every shipped recipe: its name, what it is, the paper's row if it is one, and whether it has been run in full."""
    found = []
    for name in shipped_recipes():
        recipe = read_recipe(name)
        shown = {"about": recipe.get("about", ""), "paper": recipe.get("paper")}
        found.append({"name": name, **shown, "run_in_full": recipe.get("run_in_full", False)})
    for name, path in shipped_classifiers().items():
        recipe = read_recipe(path)
        shown = {"about": recipe.get("about", ""), "paper": recipe.get("paper")}
        found.append({"name": name, **shown, "run_in_full": recipe.get("run_in_full", False)})
    return found


def show(recipe: Any, overrides: Iterable[str] | Mapping[str, Any] = (), *, note: Note | None = None) -> dict[str, Any]:
    """What a recipe is and costs, without training: see `sparring.dry_run.describe`."""
    overrides = overrides if isinstance(overrides, Mapping) else list(overrides)
    return describe(Recipe.load(recipe, overrides), note or (lambda text: None))


def sample(run: str | Path, n: int = 64, *, seed: int = 0, labels: Any = None, out: str | Path | None = None) -> Tensor:
    """n images uint8 [N, C, H, W] from a run or a lone generator file; `out` also writes them.

    out: a .png (one picture of all), an .npz (`images` [N, C, H, W]), or a folder (one PNG each).
    """
    target = None if out is None else Path(out)
    if target is not None and target.suffix not in ("", ".png", ".npz"):
        raise SparringError(f"cannot write samples to '{out}': give a .png, an .npz or a folder")
    generator = load_generator(run)
    images = generator.sample(n, labels=labels, seed=seed)
    if target is not None:
        columns = generator.num_classes if 2 <= generator.num_classes <= 16 and labels is None else 8
        write_images(images, target, columns)
    return images


def write_images(images: Tensor, out: Path, columns: int = 8) -> None:
    """uint8 images [N, C, H, W] as one PNG, an npz, or a folder of PNGs, by the ending of `out`."""
    import numpy as np

    if out.suffix == ".png":
        image_grid(images, out, columns=min(columns, len(images)))
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
    run: str | Path,
    *,
    overrides: Iterable[str] | Mapping[str, Any] = (),
    progress: Callable[[int, int], None] | None = None,
    note: Note | None = None,
) -> list[dict[str, Any]]:
    """Measure a run's generator against its data by the recipe's protocol; each record carries all that it depends on.

    overrides: `n`, `extractor`, ... of the recipe's `evaluation`, as `key=value` strings or a mapping.
    """
    from sparring.recipe_files import parse_overrides
    from sparring.sampling import sampler_of
    from sparring.training.measure import measure
    from sparring.training.run_folder import load_run_data

    folder = Path(run)
    if not (folder / "recipe.json").is_file():
        raise SparringError(f"'{run}' is no run: give the folder that `sparring train` wrote")
    given = overrides if isinstance(overrides, Mapping) else list(overrides)
    changes = {f"evaluation.{key}": value for key, value in parse_overrides(given).items()}
    recipe = Recipe.load(folder, changes)
    if recipe.evaluation is None:
        recipe = Recipe.load(folder, {"evaluation": {}, **changes})
    assert recipe.evaluation is not None
    generator = load_generator(folder)
    data = load_run_data(recipe, note or (lambda text: None))
    generate = sampler_of(generator.module, generator.latent_size, data.real.num_classes, recipe.evaluation.seed)
    records = measure(generate, data, recipe.evaluation, note or (lambda text: None), progress)
    return [{"step": generator.description["step"], **record} for record in records]
