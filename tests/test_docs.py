"""Every code block of the documentation runs or is parsed, or the page says why not.

- `python`: the blocks of a page run in order and in one namespace. SHORTER lists what is shortened.
- `bash` and `console`: the real command line parses every command, and resolves its recipe with the overrides. No command
  runs here. Those of the README run in test_readme.py.
- `yaml` is loaded as a recipe or a study's plan, `json` and `toml` are parsed, `text` is for equations and layouts.
- Any other block follows a line `<!-- fragment: why -->`.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
import yaml

import sparring
from docs_blocks import PAGES, ROOT, Block, Command, blocks, commands, save_files
from sparring.cli.main import app
from sparring.data.arrays import write_npz
from sparring.data.packed import PackedImages
from sparring.describe import load_recipe
from sparring.errors import SparringError
from sparring.recipe.files import shipped_recipes
from tiny import tiny_images, tiny_recipe

LANGUAGES = {"python", "bash", "console", "yaml", "json", "toml", "text"}
RUN_ELSEWHERE = {ROOT / "README.md": "test_readme.py", ROOT / "docs" / "data.md": "data/test_docs.py"}
SHORTER = {  # replacements in a page's Python code before it runs
    "own_networks.md": {"range(100)": "range(3)"},
    "runs.md": {'{"steps": 100}': '{"steps": 2, "batch_size": 8, "evaluation": None}'},
    "diagnose.md": {"n=256": "n=16"},
    "own_loop.md": {"range(200)": "range(0, 200, 60)"},
    "toy.md": {"steps=500": "steps=4", "session.step(10)": "session.step(2)"},
}


def run_first(folder: Path) -> None:
    """A run for the pages that expect one."""
    write_npz(folder / "images.npz", tiny_images())
    sparring.train(tiny_recipe(steps=2), out=folder / "runs" / "first")


def run_classifier(folder: Path) -> None:
    """A classifier's run for the tutorial that trains one first."""
    write_npz(folder / "images.npz", sparring.load_images("fashion-mnist-10k", split="test").take(torch.arange(64)))
    recipe = {"data": "images.npz", "network": {"kind": "small_cnn", "width": 4}, "criterion": "baseline", "steps": 2}
    sparring.train_classifier(recipe, {"batch_size": 16}, out=folder / "runs" / "garments")


def share_generator(folder: Path) -> None:
    """The folder that the tutorial hands on."""
    images = tiny_images()
    clothes = PackedImages(images.images, images.labels, ("bag", "boot", "trouser"), name="clothes")
    recipe = tiny_recipe(steps=2)
    recipe["generator"]["network"]["conditioning"] = "conditional_batch_norm"
    sparring.share(sparring.train(recipe, out=folder / "runs" / "mine", data=clothes), folder / "clothes")


BEFORE: dict[str, Callable[[Path], None]] = {
    "diagnose.md": run_first,
    "film.md": share_generator,
    "generators.md": run_first,
    "own_networks.md": save_files,
    "unknown.md": run_classifier,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, from which modules can be imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for module in ("my_networks", "my_terms"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    return tmp_path


def test_every_block_names_its_language() -> None:
    assert len(blocks()) > 40
    unknown = [str(block) for block in blocks() if not block.fragment and block.language not in LANGUAGES]
    assert not unknown, f"name a language, or mark a fragment: {unknown}"
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        bare = re.search(r"^ {4,}(\$ )?(sparring|pip|import) .*$", text, re.MULTILINE)
        assert bare is None, f"{page}: put {bare and bare[0].strip()!r} into a fenced block"


def test_each_change_is_one_short_line_in_the_changelog() -> None:
    unreleased = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1]
    sections = re.findall(r"^### (.*)", unreleased, re.M)
    assert sections == ["Added", "Changed", "Fixed", "Changes numbers"]
    lines = [" ".join(found.split()) for found in re.findall(r"^- (.*(?:\n  .*)*)", unreleased, re.M)]
    assert len(lines) > 50 and not [line for line in lines if len(line.split()) >= 25]


def pages_with(language: str) -> list[Path]:
    return [page for page in PAGES if page not in RUN_ELSEWHERE and blocks(page, language=language)]


@pytest.mark.parametrize("page", pages_with("python"), ids=lambda page: page.name)
@pytest.mark.usefixtures("without_reports")
def test_python_runs(page: Path, folder: Path) -> None:
    BEFORE.get(page.name, lambda folder: None)(folder)
    names: dict[str, Any] = {"__name__": f"docs_{page.stem}"}
    used = set()
    for block in blocks(page, language="python"):
        if block.fragment:
            continue
        text = block.text
        for printed, short in SHORTER.get(page.name, {}).items():
            if printed in text:
                text, used = text.replace(printed, short), {*used, printed}
        exec(compile(text, str(block), "exec"), names)
    assert used == set(SHORTER.get(page.name, {}))  # otherwise the page changed and would run in full


def test_the_term_in_contributing_trains_from_a_users_module(folder: Path, without_reports: None) -> None:
    (block,) = blocks(ROOT / "CONTRIBUTING.md", language="python")
    (folder / "my_terms.py").write_text(block.text)
    objective = {"hinge": {}, "noise": {"kind": "my_terms:FakeNoise"}}
    run = sparring.train(tiny_recipe(steps=2, objective=objective), data=tiny_images(), out=folder / "run")
    assert run.log[-1]["discriminator/noise"] > 0


def test_the_example_of_the_package_runs(folder: Path, without_reports: None) -> None:
    lines = [line[4:] for line in (sparring.__doc__ or "").splitlines() if line.startswith("    ")]
    text = "\n".join(lines)
    short = text.replace('"quickstart", out', '"quickstart", ["steps=2", "evaluation=null", "batch_size=8"], out')
    assert short != text
    names: dict[str, Any] = {}
    exec(short, names)
    assert tuple(names["images"].shape) == (64, 1, 32, 32)


def shell_blocks() -> list[Block]:
    return [block for block in blocks() if block.language in ("bash", "console") and not block.fragment]


@pytest.mark.parametrize("block", shell_blocks(), ids=str)
def test_commands_exist(block: Block, folder: Path) -> None:
    save_files(folder)
    found = commands(block.text)
    assert found
    for command in found:
        check_command(command)


def check_command(command: Command) -> None:
    words = list(command.words)
    if words[0] == "torchrun":
        words = words[words.index("sparring") :]
    match words:
        case ["sparring", *rest]:
            check_sparring(rest)
        case [script, *_] if script.startswith("scripts/"):
            assert (ROOT / script).stat().st_mode & 0o100, script
        case ["python", "-"]:
            compile(command.given, "given", "exec")
        case ["python", script, *_]:
            assert (ROOT / script).is_file(), script
        case ["pip", "install", *what]:
            check_extras(" ".join(what))
        case ["python3", "-m", "venv", ".venv"] | ["source", ".venv/bin/activate"]:
            pass
        case _:
            pytest.fail(f"what is {' '.join(words)}? teach this test, or mark the block as a fragment")


def check_extras(text: str) -> None:
    section = (ROOT / "pyproject.toml").read_text().partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    known = set(re.findall(r"^(\w+) = ", section, re.M))
    for named in re.findall(r"\[([\w,]+)\]", text):
        assert set(named.split(",")) <= known


def check_sparring(words: list[str]) -> None:
    """Parse a command with the real parser, with every command replaced by one that checks its arguments."""
    group = typer.main.get_command(app)
    called: list[tuple[str, dict[str, Any]]] = []

    def replace(name: str, verb: Any) -> None:
        for inner, each in getattr(verb, "commands", {}).items():
            replace(f"{name} {inner}".strip(), each)
        if not getattr(verb, "commands", None):
            verb.callback = lambda **given: called.append((name, given))

    replace("", group)
    group.main(list(words), prog_name="sparring", standalone_mode=False)
    if not words:
        return  # the start page
    ((verb, given),) = called
    check_given(verb, given)


def check_given(verb: str, given: dict[str, Any]) -> None:
    recipe, overrides = given.get("recipe"), list(given.get("overrides") or [])
    if verb in ("train", "show", "classify", "bench step"):
        shipped = shipped_recipes()
        if recipe in shipped:
            load_recipe(recipe, overrides)
        else:
            assert "/" in recipe or recipe.isupper() or recipe.endswith(".yaml"), f"{recipe} is no recipe"
    elif verb == "recipes":
        sparring.recipes(given["words"] or (), data=given["data"])
    elif verb == "toy":
        check_toy(given)
    elif verb == "diagnose":
        from sparring.microscope.sections import SECTIONS

        assert set(given["only"] or ()) <= set(SECTIONS)
    elif verb == "evaluate":
        from sparring.evaluation.engine import find_metrics, names_of
        from sparring.evaluation.extractors import EXTRACTORS

        find_metrics([name for name in names_of(given["metrics"] or "fd") if name != "accuracies"] or ["fd"])
        assert given["extractor"] in (None, *EXTRACTORS) or given["extractor"].isupper()
        load_recipe("quickstart", [f"evaluation.{override}" for override in overrides])


def check_toy(given: dict[str, Any]) -> None:
    from sparring.toy.methods import split_words, toy_recipe
    from sparring.toy.worlds import FILE_WORLDS, world

    words = list(given["words"] or ())
    if given["world"] in FILE_WORLDS:
        words, place = words[1:], world("ring-8")  # the reader of the page has a file
        method, changes, _ = split_words(words)
    else:
        method, changes, options = split_words(words)
        place = world(given["world"], options)
    toy_recipe(place, method, changes, steps=given["steps"] or 1000, seed=0)
    if given["versus"]:
        method, changes, _ = split_words(given["versus"].split())
        toy_recipe(place, method, changes, steps=1000, seed=0)


@pytest.mark.parametrize("block", [b for b in blocks() if b.language in ("yaml", "json", "toml")], ids=str)
def test_data_blocks_are_valid(block: Block, folder: Path) -> None:
    if block.language == "json":
        json.loads(block.text)
    elif block.language == "toml":
        tomllib.loads(block.text)
    elif "rows" in yaml.safe_load(block.text):
        from sparring.study.resolve import resolve

        (folder / "plan.yaml").write_text(block.text)
        resolve(folder / "plan.yaml")
    else:
        save_files(folder)
        (folder / "mine.yaml").write_text(block.text)
        loaded = load_recipe(str(folder / "mine.yaml"))
        assert set(yaml.safe_load(block.text)) - {"extends"} <= set(loaded.to_dict())


@pytest.mark.parametrize(
    "text",
    [
        "sparring tain quickstart",
        "sparring train quickstrat",
        "sparring train quickstart stepz=5",
        "sparring sample RUN --n many --out x.png",
        "sparring evaluate RUN --metrics fdd",
        "sparring toy ring-9",
        "sparring toy ring-8 --versus hinje",
        "pip install 'sparring[nothing]'",
        "scripts/nothing",
        "rm -r everything",
    ],
)
def test_commands_that_do_not_exist_are_found(text: str) -> None:
    with pytest.raises(BaseException) as error:
        check_command(commands(text)[0])
    refused = (SparringError, AssertionError, OSError, pytest.fail.Exception)
    assert isinstance(error.value, refused) or hasattr(error.value, "format_message")  # click's own


def test_what_troubleshooting_says_to_type_is_accepted() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", page, flags=re.DOTALL))
    typed = [span for span in spans if re.match(r"(sparring|torchrun) \S+ \S", span)]
    changes = [span for span in spans if re.match(r"[a-z_]+(\.\w+)*=", span)]
    assert len(typed) > 15 and len(changes) > 30
    for span in typed:
        check_command(commands(span)[0])
    for span in changes:
        load_recipe("quickstart", re.findall(r"[\w.]+=(?:\{.*?\}|\S+)", span))
