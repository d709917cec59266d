"""Opened files are data: they run no code without consent."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from strangers import CODE, SAID, Cli, change_recipe, module, refused, rename_in_generator

import sparring
from sparring.classify.recipe import ClassifierRecipe

# --- strangers ---
OF_A_GENERATOR = [
    ("sample", "gan", "--out", "x.png", "--n", "2"),
    ("sample", "gan/generator.safetensors", "--out", "x.png", "--n", "2"),
    ("sample", "gan/generator.json", "--out", "x.png", "--n", "2"),
    ("interpolate", "gan", "--seeds", "1,2", "--frames", "3", "--out", "x.gif"),
    ("project", "gan", "photos/a.png", "--starts", "4", "--out", "found"),
    ("nearest", "gan", "--seeds", "1", "--out", "x.png"),
    ("share", "gan", "shared"),
    ("evaluate", "gan/generator.safetensors", "--real", "images.npz", "--extractor", "classifier", "--n", "4"),
    ("evaluate", "images.npz", "--real", "gan", "--extractor", "classifier", "--n-real", "4"),
    ("evaluate", "gan", "extractor=classifier", "n=4", "metrics=fd"),
]


@pytest.mark.parametrize("words", OF_A_GENERATOR, ids=lambda words: " ".join(words[:3]))
def test_case_02_a_strangers_generator_runs_nothing_unasked(words: tuple[str, ...], here: Path, cli: Cli) -> None:
    kind = f"{module(here)}:G"
    rename_in_generator(here / "gan", kind)
    refused(
        *cli(*words),
        f"generator.safetensors' {SAID}{kind} (generator)",
        here / "marker",
    )
    code, text = cli(*words, "--allow-code")
    assert code == 0 and (here / "marker").exists(), text


def test_what_cannot_be_opened_is_not_exported(here: Path, cli: Cli) -> None:
    kind = f"{module(here)}:G"
    rename_in_generator(here / "gan", kind)
    words = ("export", "gan", "--format", "torch")
    refused(*cli(*words), f"generator.safetensors' {SAID}{kind} (generator)", here / "marker")


PLACES: dict[str, dict[str, Any]] = {
    "generator": {"generator__network__kind": "{}:G"},
    "backbone": {"discriminator__network__kind": "{}:D"},
    "term": {"objective": {"hinge": {"kind": "{}:H"}}},
    "term by its name": {"objective": {"{}:H": {}}},
    "step": {"step": "{}:train_step"},
    "augmentation": {"augment": {"kind": "{}:DiffAugment"}},
    "parent package": {"generator__network__kind": "{}.part:G"},
}


def filled(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {filled(key, name): filled(each, name) for key, each in value.items()}
    return value.replace("{}", name) if isinstance(value, str) else value


@pytest.mark.parametrize(
    ("verb", "place"), [*(("show", place) for place in PLACES), ("train", "step"), ("diagnose", "backbone")]
)
def test_case_02_a_strangers_run_runs_nothing_unasked(verb: str, place: str, here: Path, cli: Cli) -> None:
    changes = filled(PLACES[place], module(here))
    change_recipe(here / "gan", **changes)
    if place == "parent package":
        (here / f"{module(here)}.py").unlink()
        (here / module(here)).mkdir()
        (here / module(here) / "__init__.py").write_text(CODE.replace("with_name", "parent.with_name"))
        (here / module(here) / "part.py").write_text("from sparring.networks.dcgan import DCGANGenerator as G")
    words = {
        "show": ["gan"],
        "train": ["gan", "--out", "again"],
        "diagnose": ["gan", "--only", "gradients", "--n", "16"],
    }
    refused(
        *cli(verb, *words[verb]),
        f"gan/recipe.json' {SAID}{module(here)}",
        here / "marker",
    )
    assert not (here / "again").exists()
    if place in ("generator", "term by its name") and verb == "show":
        code, text = cli(verb, *words[verb], "--allow-code")
        assert code == 0 and (here / "marker").exists(), text


def test_case_02_everything_that_a_run_names_is_said_at_once(here: Path, cli: Cli) -> None:
    name = module(here)
    change_recipe(
        here / "gan", step=f"{name}:train_step", objective={"a": {"kind": f"{name}:H"}, "b": {"kind": "x.y:Z"}}
    )
    refused(*cli("show", "gan"), f"{name}:H (term), x.y:Z (term), {name}:train_step (step)", here / "marker")


@pytest.mark.parametrize(
    "words",
    [
        ("predict", "classifier", "photos/a.png", "--threshold", "0.5"),
        ("export", "classifier", "--out", "x.safetensors"),
        ("evaluate", "images.npz", "--real", "images.npz", "--extractor", "classifier"),
        ("classify", "mine.yaml", "--beside", "a=classifier", "--out", "b"),
    ],
    ids=lambda words: words[0],
)
def test_case_02_a_strangers_classifier_runs_nothing_unasked(words: tuple[str, ...], here: Path, cli: Cli) -> None:
    kind = f"{module(here)}:SmallCNN"
    described = here / "classifier" / "classifier.json"
    values = json.loads(described.read_text())
    values["network"]["kind"] = kind
    described.write_text(json.dumps(values))
    network = {"kind": "small_cnn", "width": 2}
    mine = {"data": "images.npz", "network": network, "steps": 1, "batch_size": 8, "criterion": "baseline"}
    Path("mine.yaml").write_text(yaml.safe_dump({**mine}))
    refused(*cli(*words), f"{SAID}{kind} (network)", here / "marker")
    code, text = cli(*words, "--allow-code")
    assert code == 0 and (here / "marker").exists(), text


@pytest.mark.parametrize(("key", "name"), [("network__kind", "SmallCNN"), ("criterion__kind", "NATLoss")])
def test_case_02_a_strangers_classifier_recipe_runs_nothing_unasked(key: str, name: str, here: Path, cli: Cli) -> None:
    change_recipe(here / "classifier", **{key: f"{module(here)}:{name}"})
    for words in (("show", "classifier"), ("classify", "classifier", "--out", "again")):
        refused(
            *cli(*words),
            f"classifier/recipe.json' {SAID}{module(here)}",
            here / "marker",
        )


def test_case_02_functions_of_the_library_are_no_steps(here: Path, cli: Cli) -> None:
    change_recipe(here / "gan", step="sparring.files:write_json")
    refused(*cli("show", "gan"), "sparring.files:write_json (step)", here / "marker")
    shipped = {
        "step": "sparring.training.step:train_step",
        "discriminator__network__kind": "sparring.networks.dcgan:DCGANBackbone",
    }
    change_recipe(here / "gan", **shipped)
    assert cli("show", "gan")[0] == 0


@pytest.mark.parametrize(
    "name", ["extractor.pt", "./extractor.pt", "extractor.pt/", "extractor.pt/.", "gan/..//extractor.pt"]
)
def test_case_02_a_script_that_a_run_names_is_not_loaded(name: str, here: Path, cli: Cli) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer Python versions warn about scripts
        torch.jit.trace(torch.nn.Flatten(), torch.zeros(2, 1, 8, 8)).save("extractor.pt")
    change_recipe(here / "gan", evaluation={"extractor": name, "n": 4, "metrics": ["fd"]})
    refused(*cli("evaluate", "gan"), f"{name} (TorchScript extractor)", here / "marker")
    assert cli("evaluate", "gan", "--allow-code")[0] == 0
    assert cli("evaluate", "gan", f"extractor={name}")[0] == 0  # the user typed it


def test_case_02_what_a_strangers_recipe_extends_is_the_strangers(here: Path, cli: Cli) -> None:
    network = {"kind": f"{module(here)}:G", "width": 4}
    (here / "gan" / "more.yaml").write_text(yaml.safe_dump({"generator": {"network": network}}))
    values = json.loads((here / "gan" / "recipe.json").read_text())["recipe"]
    (here / "gan" / "recipe.json").write_text(json.dumps({**values, "generator": {}, "extends": "more.yaml"}))
    refused(*cli("show", "gan"), f"{module(here)}:G (generator)", here / "marker")


def test_case_02_a_runs_recipe_is_a_strangers_by_whatever_way(here: Path, cli: Cli) -> None:
    change_recipe(here / "gan", generator__network__kind=f"{module(here)}:G")
    Path("link.json").symlink_to("gan/recipe.json")
    for words in (["gan/recipe.json"], ["link.json"], ["quickstart", "--diff", "gan"]):
        refused(*cli("show", *words), f"{module(here)}:G (generator)", here / "marker")
    Path("mine.yaml").write_text("extends: gan/recipe.json\nsteps: 3\n")
    refused(
        *cli("show", "mine.yaml"),
        f"'gan/recipe.json' {SAID}{module(here)}:G",
        here / "marker",
    )
    code, text = cli("show", "mine.yaml", f"generator.network={module(here)}:G")
    assert code == 0 and (here / "marker").exists(), text  # the user typed this name


def test_case_02_other_texts_of_a_strangers_run_are_no_consent(here: Path, cli: Cli, monkeypatch: Any) -> None:
    kind = f"{module(here)}:SmallCNN"
    described = here / "classifier" / "classifier.json"
    values = json.loads(described.read_text())
    values["network"]["kind"] = kind
    described.write_text(json.dumps(values))
    monkeypatch.syspath_prepend(str(here))  # like `python -m sparring` and notebooks
    measured = {"extractor": "classifier", "n": 4, "n_real": 4, "metrics": ["fd"]}
    change_recipe(here / "gan", about=kind, paper={"kind": kind}, evaluation=measured)
    refused(*cli("train", "gan", "--out", "again"), f"{SAID}{kind} (network)", here / "marker")
    run = sparring.train("gan", {"evaluation": None}, out="python")
    with pytest.raises(sparring.SparringError, match="names code that does not ship"):
        sparring.evaluate(run, real="images.npz", extractor="classifier", n=4, metrics="fd")
    assert not (here / "marker").exists()


@pytest.mark.parametrize("load", [sparring.Recipe.load, ClassifierRecipe.load])
def test_case_02_a_mapping_extends_as_a_file_does(load: Any, here: Path) -> None:
    run, key, name = ("gan", "generator", "G") if load == sparring.Recipe.load else ("classifier", "", "SmallCNN")
    network = {"network": {"kind": f"{module(here)}:{name}", "width": 2}}
    Path("mine.yaml").write_text(
        yaml.safe_dump({"extends": f"{run}/recipe.json", **({key: network} if key else network)})
    )
    change_recipe(here / run, **{f"{key}__network__kind".strip("_"): f"{module(here)}:{name}"})
    with pytest.raises(sparring.SparringError, match=rf"'{run}/recipe.json' names code .*:{name}"):
        load({"extends": f"{run}/recipe.json"})
    assert not (here / "marker").exists()
    load({"extends": "mine.yaml"})  # the user wrote this file
    assert (here / "marker").exists()
    load({"extends": f"{run}/recipe.json"}, allow_code=True)


def test_case_02_consent_by_the_environment_and_from_python(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename_in_generator(here / "gan", f"{module(here)}:G")
    for value in ("", "0", "no"):
        monkeypatch.setenv("SPARRING_ALLOW_CODE", value)
        with pytest.raises(sparring.SparringError, match="names code that does not ship"):
            sparring.load(here / "gan")
        assert not (here / "marker").exists()
    monkeypatch.setenv("SPARRING_ALLOW_CODE", "1")
    assert sparring.load(here / "gan").sample(2).shape == (2, 1, 8, 8) and (here / "marker").exists()
    monkeypatch.delenv("SPARRING_ALLOW_CODE")
    assert sparring.sample(here / "gan", 2, allow_code=True).shape == (2, 1, 8, 8)
    with pytest.raises(sparring.SparringError, match="names code that does not ship"):
        sparring.sample(here / "gan", 2)  # consent covers a single call
