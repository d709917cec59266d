"""Gathers the site's pages in one folder: docs/, the repository's own pages, and those that are generated.

The pages are plain Markdown that reads well in a repository. Here their links are turned to where the pages lie in the site,
and each list of links in an index.md becomes an entry in the site's navigation.
"""

from __future__ import annotations

import posixpath
import re
import shutil
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
OF_THE_ROOT = ("README", "CHANGELOG", "CONTRIBUTING", "ARCHITECTURE", "THIRD_PARTY")  # pages beside docs/
LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)\s]+)(?=\))")
FENCE = re.compile(r"^( *)(`{3,})[^`\n]*\n.*?^\1\2$", re.S | re.M)
ENTRY = re.compile(
    r"^(?:- |\| )\[[^\]]+\]\(([^)#\s]+\.md)\)", re.M
)  # a link that begins a list's item or a table's row


def pages() -> dict[str, Path]:
    """The pages that are written by hand: where they lie in the site, and their files."""
    found = {path.relative_to(DOCS).as_posix(): path for path in sorted(DOCS.rglob("*.md"))}
    return found | {f"project/{name.lower()}.md": ROOT / f"{name}.md" for name in OF_THE_ROOT}


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """The text, changed everywhere but in fenced blocks."""
    done, at = [], 0
    for block in FENCE.finditer(text):
        done += [change(text[at : block.start()]), block[0]]
        at = block.end()
    return "".join([*done, change(text[at:])])


def to_site(text: str, page: str, file: Path, where: dict[Path, str]) -> str:
    """The text of a page with its relative links turned to where their targets lie in the site."""

    def turned(match: re.Match[str]) -> str:
        target, _, anchor = match[1].partition("#")
        goal = (file.parent / target).resolve()
        path = where.get(goal)
        if path is None and goal.is_relative_to(DOCS):
            path = goal.relative_to(DOCS).as_posix()  # a picture
        if path is None:
            return match[0]  # a dead link, which the build reports
        return posixpath.relpath(path, posixpath.dirname(page) or ".") + (f"#{anchor}" if anchor else "")

    return outside_code(text, lambda part: LINK.sub(turned, part))


def shown_files(texts: dict[Path, str]) -> dict[Path, str]:
    """The files of source code, and the licence, that these pages link to: where each is shown in the site."""
    goals = {(file.parent / link).resolve() for file, text in texts.items() for link in LINK.findall(text)}
    inside = [goal for goal in sorted(goals) if goal.is_relative_to(ROOT) and goal.is_file()]
    return {
        goal: f"source/{goal.relative_to(ROOT).with_suffix('').as_posix()}.md"
        for goal in inside
        if goal.suffix in (".py", ".yaml", "")
    }


def shown(file: Path) -> str:
    """The page of a file that is shown as it is."""
    language = {".py": "python", ".yaml": "yaml"}.get(file.suffix, "text")
    return (
        f"---\norphan: true\n---\n\n# {file.relative_to(ROOT)}\n\n``````{language}\n{file.read_text('utf-8')}``````\n"
    )


def entries_of(text: str) -> list[str]:
    """The pages that an index lists, relative to it."""
    return list(dict.fromkeys(ENTRY.findall(text)))


def navigation(text: str) -> str:
    """The page with hidden tables of contents: one for each of its sections that lists pages."""
    done = []
    for part in re.split(r"(?m)^(?=## )", text):
        entries = entries_of(part)
        if entries:
            caption = re.match(r"## (.*)", part)
            options = [":hidden:", *([f":caption: {caption[1]}"] if caption else [])]
            part = "\n".join([part.rstrip("\n"), "", "```{toctree}", *options, "", *entries, "```", "", ""])
        done.append(part)
    return "".join(done)


def stage(target: Path, generated: dict[str, str]) -> None:
    """Write all pages below `target`, but for those that are there already, and copy their pictures."""
    files = pages() | {page: DOCS / page for page in generated}
    texts = {file: generated[page] if page in generated else file.read_text("utf-8") for page, file in files.items()}
    files |= {page: file for file, page in shown_files(texts).items()}
    where = {file.resolve(): page for page, file in files.items()}
    for page, file in files.items():
        text = to_site(texts[file], page, file, where) if file in texts else shown(file)
        text = navigation(text) if posixpath.basename(page) == "index.md" else text
        path = target / page
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
    for path in set(target.rglob("*.md")) - {target / page for page in files}:
        path.unlink()
    for folder in (*DOCS.rglob("images"), DOCS / "figures"):
        shutil.copytree(
            folder, target / folder.relative_to(DOCS), ignore=shutil.ignore_patterns("*.md"), dirs_exist_ok=True
        )
