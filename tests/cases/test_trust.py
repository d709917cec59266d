"""Opened files are data: they run nobody's code without consent. What a user writes, types or installs does run."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import save_file

import sparring
from tiny import tiny_images, tiny_recipe

CODE = """
import pathlib
pathlib.Path(__file__).with_name("marker").write_text("ran")
from sparring.networks.dcgan import DCGANBackbone as D, DCGANGenerator as G
from sparring.terms.hinge import Hinge
from sparring.training.step import train_step
from sparring.training.augment import DiffAugment
from sparring.classify.networks import SmallCNN
from sparring.classify.nat_loss import NATLoss
class H(Hinge): pass
"""
SAID = "names code that does not ship with sparring: "
Cli = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images.npz, photos/, a run of a GAN and one of a classifier: nothing in them names code."""
    from PIL import Image

    import sparring.classify.run
    import sparring.report.html
    from sparring.data.arrays import write_npz

    folder = tmp_path_factory.mktemp("trained")
    monkeypatch = pytest.MonkeyPatch()  # reports take longer than all the rest
    monkeypatch.setattr(sparring.report.html, "write_report", lambda folder: None)
    monkeypatch.setattr(sparring.classify.run, "write_classifier_report", lambda *given: None)
    write_npz(folder / "images.npz", tiny_images())
    (folder / "photos").mkdir()
    Image.new("L", (8, 8)).save(folder / "photos" / "a.png")
    gan = tiny_recipe(data=str(folder / "images.npz"), steps=2)
    sparring.train(gan, out=folder / "gan")
    classifier = {"data": str(folder / "images.npz"), "network": {"kind": "small_cnn", "width": 2}, "steps": 2}
    sparring.train_classifier({**classifier, "criterion": "baseline", "batch_size": 8}, out=folder / "classifier")
    monkeypatch.undo()
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder: a copy of `trained`, and a module of its own name whose import leaves the file `marker`."""
    import shutil

    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPARRING_ALLOW_CODE", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("sparring.report.html.write_report", lambda folder: None)
    monkeypatch.setattr("sparring.classify.run.write_classifier_report", lambda *given: None)
    before = set(sys.modules)
    Path(f"{module(tmp_path)}.py").write_text(CODE)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("stranger_"):
            del sys.modules[name]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """`cli(words...)` -> (exit code, stderr) of the command line, in this process."""
    from sparring.cli import main

    def call(*words: Any) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["sparring", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return call


def module(folder: Path) -> str:
    return f"stranger_{folder.name}".replace("-", "_")


def rename_in_generator(folder: Path, kind: str) -> None:
    """A generator's file that says it is of another class; its weights and their hash are untouched."""
    with safe_open(folder / "generator.safetensors", framework="pt") as file:
        described = json.loads(file.metadata()["sparring"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    described["network"]["kind"] = kind
    save_file(tensors, folder / "generator.safetensors", metadata={"sparring": json.dumps(described)})


def change_recipe(folder: Path, **changes: Any) -> None:
    """Dotted keys of a run's recipe.json, written with `__`."""
    path = folder / "recipe.json"
    written = json.loads(path.read_text())
    for key, value in changes.items():
        *parts, last = key.split("__")
        at = written["recipe"]
        for part in parts:
            at = at[part]
        at[last] = value
    path.write_text(json.dumps(written))


def refused(code: int, text: str, wanted: str, marker: Path) -> None:
    assert not marker.exists(), "a stranger's code ran"
    assert code == 2 and text.count("\n") == 1, text
    assert wanted in text and SAID in text and "--allow-code" in text


# --- strangers ---
OF_A_GENERATOR = [
    ("sample", "gan", "--out", "x.png", "--n", "2"),
    ("sample", "gan/generator.safetensors", "--out", "x.png", "--n", "2"),
    ("sample", "gan/generator.json", "--out", "x.png", "--n", "2"),
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


def test_case_02_a_script_that_a_run_names_is_not_loaded(here: Path, cli: Cli) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of newer Pythons, about scripts
        torch.jit.trace(torch.nn.Flatten(), torch.zeros(2, 1, 8, 8)).save("extractor.pt")
    change_recipe(here / "gan", evaluation={"extractor": "extractor.pt", "n": 4, "metrics": ["fd"]})
    refused(*cli("evaluate", "gan"), "extractor.pt (TorchScript extractor)", here / "marker")
    assert cli("evaluate", "gan", "--allow-code")[0] == 0
    assert cli("evaluate", "gan", "extractor=extractor.pt")[0] == 0  # the user typed it


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
    assert code == 0 and (here / "marker").exists(), text  # the user typed the very name


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
        sparring.sample(here / "gan", 2)  # consent is for one call


# --- the user's own ---
def own_recipe(here: Path, folder: Path, **changes: Any) -> Path:
    """A recipe in another folder than the current one, whose generator lies beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (here / f"{module(here)}.py").rename(folder / f"{module(here)}.py")
    generator = {"network": {"kind": f"{module(here)}:G", "width": 4}, "latent_size": 6}
    recipe = tiny_recipe(data=str(here / "images.npz"), steps=2, generator=generator, **changes)
    (folder / "mine.yaml").write_text(yaml.safe_dump(recipe))
    return folder / "mine.yaml"


def test_case_02_ones_own_recipe_finds_its_modules_and_resumes_without_being_asked(here: Path, cli: Cli) -> None:
    mine = own_recipe(here, here / "project")
    assert cli("train", mine, "--out", "r")[0] == 0
    code, text = cli("train", mine, "steps=3", "--resume", "--out", "r")
    assert code == 0, text
    (here / "project" / "marker").unlink()
    del sys.modules[module(here)]
    code, text = cli("train", "r", "steps=4", "--resume")
    refused(code, text, f"{module(here)}:G (generator)", here / "project" / "marker")
    assert "sparring train RECIPE --resume --out r" in text
    other = {"generator.network": {"kind": "dcgan", "width": 4}}
    with pytest.raises(sparring.SparringError, match=r"started with another recipe: 'r/recipe\.json' names code"):
        sparring.train(mine, {**other, "steps": 5}, resume=True, out="r")


def test_a_recipe_extends_another_whose_modules_lie_beside_that_one(here: Path, cli: Cli) -> None:
    own_recipe(here, here / "base")
    (here / "on_top").mkdir()
    (here / "on_top" / "mine.yaml").write_text("extends: ../base/mine.yaml\nsteps: 1\n")
    code, text = cli("show", here / "on_top" / "mine.yaml")
    assert code == 0 and (here / "base" / "marker").exists(), text


def test_a_run_of_this_process_samples_its_own_generator(here: Path) -> None:
    run = sparring.train(own_recipe(here, here / "project"), out="r")
    assert run.sample(2).shape == sparring.sample(run, 2).shape == sparring.load(run).sample(2).shape
    assert run.recipe.generator.network.kind == f"{module(here)}:G"
    records = sparring.evaluate(run, real="images.npz", extractor="classifier", n=4, metrics="fd")
    assert len(records) == 1
    with pytest.raises(sparring.SparringError, match="names code that does not ship"):
        sparring.sample("r", 2)
    rename_in_generator(here / "gan", "elsewhere:G")
    with pytest.raises(sparring.SparringError, match=r"names code that does not ship with sparring: elsewhere:G"):
        sparring.evaluate(run, real="gan", extractor="classifier", n=4, n_real=4, metrics="fd")


def test_starting_from_a_run_imports_none_of_its_code(here: Path) -> None:
    change_recipe(here / "gan", generator__network__kind=f"{module(here)}:G")
    rename_in_generator(here / "gan", f"{module(here)}:G")
    mine = tiny_recipe(data="images.npz", steps=1)
    sparring.train(mine, out="r", start_from="gan")
    assert not (here / "marker").exists()


def test_case_02_two_modules_of_one_name_do_not_mix(here: Path, cli: Cli) -> None:
    first, second = here / "one", here / "two"
    mine = own_recipe(here, first)
    second.mkdir()
    (second / "mine.yaml").write_text(mine.read_text())
    (second / f"{module(here)}.py").write_text(CODE)
    assert cli("show", mine)[0] == 0
    code, text = cli("show", second / "mine.yaml")
    assert code == 2 and f"there are two modules '{module(here)}'" in text and "rename one" in text
    assert not (second / "marker").exists()


def test_modules_that_a_recipes_modules_import_do_not_mix(here: Path, cli: Cli) -> None:
    for folder in ("one", "two"):
        (here / folder).mkdir()
        (here / folder / "stranger_helpers.py").write_text("WIDTH = 4")
        code = "import stranger_helpers\nfrom sparring.networks.dcgan import DCGANGenerator as G"
        (here / folder / f"stranger_{folder}.py").write_text(code)
        generator = {"network": {"kind": f"stranger_{folder}:G", "width": 4}, "latent_size": 6}
        (here / folder / "mine.yaml").write_text(yaml.safe_dump(tiny_recipe(data="images.npz", generator=generator)))
    assert cli("show", "one/mine.yaml")[0] == 0
    code, text = cli("show", "two/mine.yaml")
    assert code == 2 and "there are two modules 'stranger_helpers'" in text


# --- installed packages ---
def test_what_an_installed_package_registers_is_used_by_its_name(
    here: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = module(here)
    site = here / "site"
    (site / "plugin-1.0.dist-info").mkdir(parents=True)
    (here / f"{name}.py").rename(site / f"{name}.py")
    (site / "plugin-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    points = f"[sparring.generators]\nmine = {name}:G\n\n[sparring.terms]\nmy_hinge = {name}:H\n"
    points += f"\n[sparring.steps]\nmy_step = {name}:train_step\n\n[sparring.criteria]\nmy_nat = {name}:NATLoss\n"
    (site / "plugin-1.0.dist-info" / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(site))
    generator = {"network": {"kind": "mine", "width": 4}, "latent_size": 6}
    recipe = tiny_recipe(
        data="images.npz", steps=1, generator=generator, objective={"h": {"kind": "my_hinge"}}, step="my_step"
    )
    run = sparring.train(recipe, out="r")
    written = json.loads((run.folder / "recipe.json").read_text())["recipe"]
    assert written["objective"]["h"]["kind"] == "my_hinge" and written["generator"]["network"]["kind"] == "mine"
    for words in (("show", "r"), ("sample", "r", "--n", "2", "--out", "x.png"), ("train", "r", "steps=2", "--resume")):
        code, text = cli(*words)
        assert code == 0, text
    change_recipe(here / "r", generator__network__kind=f"{name}:G")  # the same class by its path
    assert cli("show", "r")[0] == 0
    change_recipe(here / "r", generator__network__kind=f"{name}:D")
    assert cli("show", "r")[0] == 2
    code, text = cli("show", "quickstart", "objective.x.kind=my_hing")
    assert code == 2 and "did you mean 'my_hinge'?" in text


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (".a:b", "your own is package.module:Name"),
        ("a..b:C", "your own is package.module:Name"),
        ("a/b:C", "your own is package.module:Name"),
        ("'os:'", "your own is package.module:Name"),
        ("broken:G", "importing broken failed: no good"),
        ("lacking:G", "importing lacking failed: No module named 'nowhere_at_all'"),
        ("invalid:G", "importing invalid failed:"),
        ("nowhere_at_all:G", "there is no module 'nowhere_at_all' to import"),
    ],
)
def test_case_19_a_name_that_cannot_be_imported_is_one_line(kind: str, words: str, here: Path, cli: Cli) -> None:
    Path("broken.py").write_text("raise RuntimeError('no\\ngood')")
    Path("lacking.py").write_text("import nowhere_at_all")
    Path("invalid.py").write_text("def (:")
    code, text = cli("show", "quickstart", f"generator.network={kind}")
    assert code == 2 and text.count("\n") == 1 and words in text, text
