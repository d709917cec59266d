"""The documentation site: its pages are gathered and linked as `scripts/docs` needs them. Sphinx itself runs there."""

from __future__ import annotations

import importlib
import posixpath
import sys
from pathlib import Path

import typer

import sparring
from docs_blocks import ROOT
from sparring.classify.criteria import CRITERIA
from sparring.classify.networks import NETWORKS
from sparring.classify.recipe import ClassifierRecipe
from sparring.cli.main import app
from sparring.evaluation.extractors.registry import EXTRACTORS
from sparring.metrics import REGISTRY as METRICS
from sparring.networks import BACKBONES, GENERATORS
from sparring.recipe.augment import AUGMENTATIONS
from sparring.recipe.gan import Recipe
from sparring.study.executors import EXECUTORS
from sparring.study.plan import Plan
from sparring.terms import REGISTRY as TERMS

sys.path.insert(0, str(ROOT / "docs" / "_ext"))

from api import MODULES, doc_markdown, named, public_names
from docstrings import field_description, option_description, options
from keys import keys_of, shipped_values
from links import dead_links
from prose import prose, sentences
from reference import found, leaves, shown_parameters
from stage import DOCS, entries_of, navigation, pages, to_site


def test_every_page_is_in_the_navigation() -> None:
    written = pages()
    where = {file.resolve(): page for page, file in written.items()}
    reached, waiting = {"index.md"}, ["index.md"]
    while waiting:
        page = waiting.pop()
        if posixpath.basename(page) != "index.md":
            continue
        for entry in entries_of(written[page].read_text("utf-8")):
            goal = where[(written[page].parent / entry).resolve()]
            waiting += [goal] if goal not in reached else []
            reached.add(goal)
    left_out = sorted(set(written) - reached)
    assert not left_out, f"list {left_out} in docs/index.md, or in the index.md of their folder"


def test_links_lead_to_where_pages_lie_in_the_site() -> None:
    where = {DOCS / "runs.md": "runs.md", ROOT / "README.md": "project/readme.md"}
    text = "[a](../runs.md#lock) [b](../../README.md) ![c](images/x.png) [d](https://x.org) [e](#here)\n"
    text += "```\n[f](../../README.md)\n```\n"
    assert to_site(text, "studies/a.md", DOCS / "studies" / "a.md", where) == text.replace(
        "[b](../../README.md)", "[b](../project/readme.md)"
    )
    text = "[a](docs/runs.md#lock) ![b](docs/images/x.png)"
    turned = to_site(text, "project/readme.md", ROOT / "README.md", where)
    assert turned == "[a](../runs.md#lock) ![b](../images/x.png)"


def test_lists_of_links_become_the_navigation() -> None:
    text = (
        "# T\n\nSee [x](x.md).\n\n## One\n\n- [a](a.md): b\n- [c](c/index.md)\n\n| [`d`](d.md) | e |\n\n## Two\n\nf\n"
    )
    assert navigation(text) == text.replace(
        "| e |\n\n", "| e |\n\n```{toctree}\n:hidden:\n:caption: One\n\na.md\nc/index.md\nd.md\n```\n\n"
    )


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "b.html").write_text('<p id="there">')
    (tmp_path / "a.html").write_text(
        '<a href="b.html#there"><a href="b.html"><a href="#"><a href="https://x.org/y"><img src="data:image/png;base64,A">'
        '<a href="b.html#gone"><a href="c.html"><img src="d.png"><a href="#nowhere">'
    )
    found = [line.split()[1] for line in dead_links(tmp_path)]
    assert found == ["b.html#gone", "c.html", "d.png", "#nowhere"]


def test_every_key_is_described_and_its_example_is_valid() -> None:
    for model in (Recipe, ClassifierRecipe, Plan):
        keys = list(keys_of(model))
        assert len(keys) > 30 and not [key.path for key in keys if not key.meaning]
    base = {"GAN": "quickstart", "classifier": "nat/demo"}
    for kind, model in {"GAN": Recipe, "classifier": ClassifierRecipe}.items():
        for key in keys_of(model):
            if not key.has_example or ".NAME." in key.path or key.path in ("step", "negatives.size"):
                continue  # names code, or stands for other keys
            source = [f"{part}.source=pictures" for part in ("negatives", "unlabelled") if key.path.startswith(part)]
            model.load(base[kind], [*source, key.example(shipped_values(kind))])


def test_every_setting_of_terms_and_networks_is_described() -> None:
    for name, path in {**TERMS, **AUGMENTATIONS}.items():
        kind = found(path)
        assert not [field for field in kind.model_fields if not field_description(kind, field)], name
    for name, path in {**GENERATORS, **BACKBONES, **NETWORKS, **CRITERIA}.items():
        kind = found(path)
        assert not [option.name for option in options(kind) if not option_description(kind, option.name)], name


def test_every_name_has_a_docstring_and_every_option_help() -> None:
    registries = (TERMS, AUGMENTATIONS, GENERATORS, BACKBONES, NETWORKS, CRITERIA, METRICS, EXTRACTORS, EXECUTORS)
    assert not [
        name for registry in registries for name, path in registry.items() if not found(path).__dict__["__doc__"]
    ]
    for module in MODULES:
        here = importlib.import_module(module)
        public = {name: named(here, name) for name in public_names(module)}
        assert public and not [name for name, thing in public.items() if callable(thing) and not thing.__doc__]
    commands = dict(leaves("sparring", typer.main.get_command(app)))
    assert len(commands) > 20 and all(command.help for command in commands.values())
    assert not [(name, p.name) for name, each in commands.items() for p in shown_parameters(each) if not p.help]
    assert not [entry["name"] for entry in sparring.recipes() if not entry["about"]]


def test_docstrings_become_lists_and_code() -> None:
    def thing(a: int, b: int) -> None:
        """What it does.

            y = a * b

        a: one thing, such as <this>. b: another.
        Raises ValueError if b is 0.
        """

    assert doc_markdown(thing) == (
        "What it does.\n\n```text\ny = a * b\n```\n\n- **a**: one thing, such as \\<this>.\n- **b**: another.\n\n"
        "Raises ValueError if b is 0.\n"
    )


def test_sentences_are_counted_without_code(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    long = " ".join(["word"] * 36)
    page.write_text(
        f"# T\n\nOne. Two `{long}`, et al. 2014.\n\n- {long}.\n- a\n\n| b | {long} |\n\n```text\n{long}\n```\n"
    )
    counts = [len(sentence.split()) for sentence in sentences(prose(page)) if sentence.strip()]
    assert counts == [2, 1, 5, 37, 2, 1, 36]
