"""Looks for hard reading in the pages, a part of scripts/lint: sentences of more than 35 words, and what proselint finds.

Code is left out, and so are the parts of pages that programs write. EXCEPTIONS names checks that do not suit these pages.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from proselint.checks import __register__
from proselint.registry import CheckRegistry
from proselint.tools import LintFile
from stage import ROOT, pages

MOST = 35  # words of a sentence
EXCEPTIONS = {
    "typography": "the pages are plain text: straight quotes, three dots, x for times",
    "lexical_illusions": "a heading and its first words, columns of a table",
    "dates_times": "1,000s are no decades",
    "psychology": "tables round p to three digits",
}
WRITTEN_BY_PROGRAMS = r"<!-- (studies/\S+) -->.*?<!-- end of \1 -->"
CODE = re.compile(rf"{WRITTEN_BY_PROGRAMS}|^ *(`{{3,}})[^`\n]*\n.*?^ *\2$|<!--.*?-->|<[^>\n]+>|`[^`]*`", re.S | re.M)
ABBREVIATIONS = re.compile(r"\b(al|Eq|e\.g|i\.e|vs|etc|Fig|cf)\.(?= )")


def prose(file: Path) -> str:
    """A page's text on the same lines, with one word instead of each piece of code."""
    return CODE.sub(lambda found: "\n" * found[0].count("\n") or "code", file.read_text("utf-8"))


def sentences(text: str) -> Iterator[str]:
    """The sentences of paragraphs, of items of lists and of the cells of tables."""
    for block in re.split(r"\n\s*\n|^(?= *(?:[-*]|\d+\.) )|^(?=#)|^(?=\|)", text, flags=re.M):
        for cell in block.split("|") if block.lstrip().startswith("|") else [block]:
            words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(cell.split()))  # of a link, its text
            yield from re.split(r"(?<=[.!?])[*_)\"']* +", ABBREVIATIONS.sub(r"\1", words))


def hard_reading(file: Path) -> Iterator[str]:
    """One line for each thing to mend."""
    text, name = prose(file), file.relative_to(ROOT)
    for sentence in sentences(text):
        if (count := sum(1 for word in sentence.split() if re.search(r"\w", word))) > MOST:
            yield f"{name}: {count} words, at most {MOST}: {sentence}"
    page = LintFile(str(name), text)
    for found in page.lint():
        if found.check_result.check_path.partition(".")[0] not in EXCEPTIONS:
            yield f"{name}:{found.pos[0]}: {found.check_result.message}"


def main() -> int:
    CheckRegistry().register_many(__register__)
    found = [line for file in pages().values() for line in hard_reading(file)]
    print("\n".join(found), file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
