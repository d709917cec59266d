"""The documentation site: its pages are gathered and linked as `scripts/docs` needs them. Sphinx itself runs there."""

from __future__ import annotations

import posixpath
import sys
from pathlib import Path

from docs_blocks import ROOT

sys.path.insert(0, str(ROOT / "docs" / "_ext"))

from links import dead_links
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
