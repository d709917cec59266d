"""The methods' pages name recipes, terms and files that exist, and leave none out."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from sparring.recipe.files import shipped_recipes
from sparring.terms import REGISTRY

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs" / "methods").glob("*.md"))
GROUPS = sorted({name.partition("/")[0] for name in shipped_recipes("GAN") if "/" in name})


def expanded(text: str) -> list[str]:
    """`a-{b,c}[-d]` as a shell would have it, brackets being optional: a-b, a-b-d, a-c, a-c-d."""
    parts = re.split(r"(\{[^}]*\}|\[[^]]*\])", text)
    choices = [p[1:-1].split(",") if p[:1] == "{" else ["", p[1:-1]] if p[:1] == "[" else [p] for p in parts]
    return ["".join(found) for found in itertools.product(*choices)]


def named_recipes(text: str) -> set[str]:
    text = text.partition("<!-- 300 steps -->")[0]
    words = re.findall(rf"`((?:{'|'.join(GROUPS)})/[^`\s]+)`", text)
    return {name for word in words for name in expanded(word)}


def test_there_are_pages() -> None:
    assert len(PAGES) > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    unknown = named_recipes(text) - set(shipped_recipes("GAN"))
    assert not unknown, sorted(unknown)
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / target).exists(), target


def test_every_term_and_every_papers_recipe_is_on_a_page() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    assert [kind for kind in REGISTRY if f"`{kind}`" not in text] == []
    named = set().union(*(named_recipes(page.read_text()) for page in PAGES))
    missing = {name for name in shipped_recipes("GAN") if "/" in name} - named
    assert not missing, sorted(missing)
