"""One loader for recipes of GANs and classifiers: which of the two a recipe is, and what happens if it is the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import sparring
from sparring.classify.recipe import ClassifierRecipe
from sparring.classify.run import ClassifierRun
from sparring.describe import load_recipe
from sparring.errors import SparringError
from sparring.files import write_json
from sparring.recipe.files import kind_of, read_recipe, shipped_recipes
from sparring.recipe.gan import Recipe
from sparring.run.folder import choose_folder
from sparring.training.run import Run
from tiny import tiny_recipe

SHORTEST = {"data": "images.npz", "steps": 3, "criterion": "baseline"}


def written(folder: Path, name: str, values: dict[str, Any]) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_every_shipped_recipe_is_of_one_kind():
    gans, classifiers = shipped_recipes("GAN"), shipped_recipes("classifier")
    assert len(gans) > 100 and len(classifiers) == 10
    assert {**gans, **classifiers} == shipped_recipes() and not gans.keys() & classifiers.keys()
    assert "quickstart" in gans and {name.partition("/")[0] for name in classifiers} == {"nat"}
    for name in ("quickstart", "nat/demo"):
        assert read_recipe(name)["name"] == name


@pytest.mark.parametrize("loader", [Recipe, ClassifierRecipe])
@pytest.mark.parametrize("given", ["name", "file", "mapping", "recipe", "run"])
def test_a_recipe_of_the_other_kind_is_refused_with_the_command_that_trains_it(loader, given, tmp_path):
    other, kind, command = (
        (ClassifierRecipe, "classifier", "classify") if loader is Recipe else (Recipe, "GAN", "train")
    )
    values = SHORTEST if loader is Recipe else tiny_recipe()
    write_json(tmp_path / "run" / "recipe.json", {"recipe": values})
    source = {
        "name": "nat/demo" if loader is Recipe else "quickstart",
        "file": written(tmp_path, "other", values),
        "mapping": values,
        "recipe": other.load(values),
        "run": tmp_path / "run",
    }[given]
    with pytest.raises(SparringError, match=rf"is a {kind}'s (recipe|run): .*`sparring {command}") as caught:
        loader.load(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("loader", [Recipe, ClassifierRecipe])
def test_extending_a_recipe_of_the_other_kind_is_one_clear_line(loader, tmp_path):
    base = "nat/demo" if loader is Recipe else "quickstart"
    own = {"objective": {"hinge": {}}} if loader is Recipe else {"criterion": "baseline"}
    alone = written(tmp_path, "alone", {"extends": base, "steps": 3})
    with pytest.raises(SparringError, match=r"alone.yaml' is a .*'s recipe: `sparring \w+ \S+alone.yaml` trains it"):
        loader.load(alone)
    mixed = written(tmp_path, "mixed", {"extends": base, **own})
    with pytest.raises(SparringError, match=rf"is a .*'s recipe and extends '{base}', a .*'s: extend"):
        loader.load(mixed)
    with pytest.raises(SparringError, match=r"extends 'nat/demo', a classifier's: extend only recipes of a GAN"):
        loader.load(written(tmp_path, "both", {"extends": ["quickstart", "nat/demo"]}))


@pytest.mark.parametrize("name", [".", ".."])
@pytest.mark.parametrize("loader", [Recipe, ClassifierRecipe])
def test_a_name_that_would_leave_runs_is_refused(loader, name):
    values = tiny_recipe() if loader is Recipe else SHORTEST
    with pytest.raises(SparringError, match=rf"name.*'{name}' cannot be the name of a run's folder: use letters"):
        loader.load({**values, "name": name})
    for harmless in ("../..", "a/..", "...", "/tmp/a"):
        recipe = loader.load({**values, "name": harmless})
        assert choose_folder(recipe.name, recipe, None, resume=False).resolve().parent == Path("runs").resolve()


def test_the_kind_is_read_from_the_values():
    either = {"data": "x", "negatives": "y", "steps": 3}
    assert kind_of(either) is None
    assert type(load_recipe(either)) is ClassifierRecipe  # which needs no more than these
    assert type(load_recipe(tiny_recipe())) is Recipe
    assert type(load_recipe("nat/demo", ["criterion=baseline"])) is ClassifierRecipe


@pytest.mark.parametrize("verb", [sparring.show, load_recipe])
def test_a_mistyped_name_finds_the_nearest_of_either_kind(verb):
    with pytest.raises(SparringError, match="unknown recipe 'nat/demoo': did you mean 'nat/demo'"):
        verb("nat/demoo")
    with pytest.raises(SparringError, match="did you mean 'quickstart'"):
        verb("quickstar")


def test_a_run_of_either_kind_is_shown(tmp_path):
    for name, values in (("gan", tiny_recipe()), ("classifier", SHORTEST)):
        write_json(tmp_path / name / "recipe.json", {"recipe": load_recipe(values).to_dict()})
    assert sparring.show(ClassifierRun(tmp_path / "classifier"))["recipe"]["criterion"] == {"kind": "baseline"}
    assert type(load_recipe(Run(tmp_path / "gan"))) is Recipe


def test_images_from_python_drop_what_described_the_recipes_own_images():
    recipe = ClassifierRecipe.load("nat/demo", sources={"data": "python:ndarray", "negatives": "python:ndarray"})
    assert recipe.data.model_dump(exclude_defaults=True) == {"source": "python:ndarray"}
    assert recipe.negatives is not None and recipe.negatives.classes is None and recipe.negatives.range == (5, 25)
    mine = {**SHORTEST, "data": {"source": "images.npz", "classes": "0-2"}}
    assert ClassifierRecipe.load(mine, sources={"data": "python:ndarray"}).data.classes == "0-2"  # written with them


@pytest.mark.parametrize("loader", [Recipe, ClassifierRecipe])
def test_another_source_of_negatives_keeps_how_they_join_a_batch(loader, tmp_path):
    if loader is ClassifierRecipe:
        base = {**SHORTEST, "criterion": "nat", "negatives": {"classes": [2], "per_batch": 3}}
        by_override = loader.load(base, ["negatives=noise:normal"])
        written(tmp_path, "base", base)
        by_file = loader.load(written(tmp_path, "mine", {"extends": "base", "negatives": "noise:normal"}))
        assert by_override.negatives == by_file.negatives
        assert by_file.negatives.per_batch == 3 and by_file.negatives.classes is None
    else:
        base = tiny_recipe(negatives={"source": "folder", "split": "train", "skip_unreadable": True})
        changed = loader.load(base, ["negatives=other"]).negatives
        assert (changed.source, changed.split, changed.skip_unreadable) == ("other", None, True)
