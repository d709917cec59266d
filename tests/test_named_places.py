"""What the documentation, docstrings and comments name in backticks exists: modules, what is in them, and files."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs_blocks import PAGES, ROOT

PACKAGE = ROOT / "src" / "sparring"
FOLDERS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
KEYS = {"data", "evaluation", "objective"}  # of recipes, too: with these, only classes are looked up
GROUPS = re.findall(r'"(sparring\.\w+)"', (PACKAGE / "plugins.py").read_text(encoding="utf-8"))  # of entry points
DOTTED = re.compile(rf"`((?:sparring|{'|'.join(FOLDERS)})(?:\.\w+)+)`")
FILE = re.compile(r"`((?:[\w.-]+/)+[\w-]+\.(?:py|yaml|md))`(?! of commit)")
INVENTED = re.compile(r"\bNAME\.|/your_\w+\.py|^sparring/__init__\.py$")  # as in terms/NAME.py
ENDINGS = {"html", "json", "jsonl", "md", "py", "safetensors", "yaml"}


def missing(text: str, page: Path) -> Iterator[str]:
    """The names and paths in a page's text that lead nowhere."""
    for name in DOTTED.findall(text):
        first, last = name.partition(".")[0], name.rpartition(".")[2]
        known = name in GROUPS or last in ENDINGS or (first in KEYS and not last[0].isupper())
        if not known and not exists(name if first == "sparring" else f"sparring.{name}"):
            yield name
    for path in FILE.findall(text):
        if not INVENTED.search(path) and not any(
            (folder / path).exists() for folder in (ROOT, ROOT / "src", PACKAGE, PACKAGE / "recipes", page.parent)
        ):
            yield path


def exists(name: str) -> bool:
    """Whether a dotted name is a module, or leads to something in one."""
    module, *attributes = name.split(".")
    found = importlib.import_module(module)
    for each in attributes:
        module = f"{module}.{each}"
        try:
            found = getattr(found, each) if hasattr(found, each) else importlib.import_module(module)
        except ModuleNotFoundError:
            return False
    return True


def test_what_is_named_exists() -> None:
    pages = [ROOT / "ARCHITECTURE.md", *PAGES, *PACKAGE.rglob("*.py")]
    found = {page.relative_to(ROOT).as_posix(): list(missing(page.read_text("utf-8"), page)) for page in pages}
    assert not {page: names for page, names in found.items() if names}


@pytest.mark.parametrize(
    "name", ["networks.Discriminator", "training.attach", "training.own_images.fitted_to", "training/world.py"]
)
def test_what_has_moved_is_found(name: str) -> None:
    assert list(missing(f"see `{name}`, `data.size` and `networks.discriminator.Discriminator`", ROOT)) == [name]
