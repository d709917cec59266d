"""The code blocks of the documentation, and the commands in them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"(?P<marker><!-- fragment: [^\n]+ -->\n\s*)?^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```", re.S | re.M
)


@dataclass(frozen=True)
class Block:
    """`language` is "" if the page names none. `fragment` is true if the page marks the block as not to be run."""

    page: Path
    line: int
    language: str
    text: str
    fragment: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*pages: Path, language: str | None = None) -> list[Block]:
    """The fenced blocks of these pages (default: all pages), in order."""
    found = []
    for page in pages or PAGES:
        content = page.read_text(encoding="utf-8")
        for match in BLOCK.finditer(content):
            indent = len(match["indent"])
            text = "".join(line[indent:] or "\n" for line in match["text"].splitlines(keepends=True))
            line = content[: match.start("language")].count("\n") + 1
            found.append(Block(page, line, match["language"], text, match["marker"] is not None))
    return [block for block in found if language is None or block.language == language]


def saved_as(block: Block) -> str | None:
    """The file as which the page asks its readers to save a block: the line before it says "save this as `FILE`:"."""
    before = "\n".join(block.page.read_text(encoding="utf-8").splitlines()[: block.line - 1])
    found = re.search(r"\b[Ss]ave (?:this|them) as `([\w.-]+)`[^`\n]*(?:`[^`\n]+`)?:\s*\Z", before)
    return found[1] if found else None


@cache
def saved_files() -> dict[str, str]:
    """What the pages ask their readers to save, by file."""
    return {file: block.text for block in blocks() if (file := saved_as(block))}


def save_files(folder: Path) -> None:
    for file, text in saved_files().items():
        (folder / file).write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Command:
    """A shell command: its words and its standard input."""

    words: tuple[str, ...]
    given: str = ""


def commands(text: str) -> list[Command]:
    """The commands of a shell block, without comments, split at `&&`. In a `console` block they follow `$ `."""
    lines = iter(text.replace("\\\n", " ").splitlines())
    prompted = text.startswith("$ ")
    found = []
    for line in lines:
        if prompted and not line.startswith("$ "):
            continue
        heredoc = re.search(r"<<'(\w+)'", line)
        given = ""
        if heredoc:
            line = line.replace(heredoc[0], "")
            given = "".join(f"{each}\n" for each in iter(lambda: next(lines), heredoc[1]))
        words = shlex.split(line.removeprefix("$ "), comments=True)
        while "&&" in words:
            found.append(Command(tuple(words[: words.index("&&")])))
            words = words[words.index("&&") + 1 :]
        if words:
            found.append(Command(tuple(words), given))
    return found
