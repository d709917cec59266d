"""Builds the documentation site: `scripts/docs`."""

from __future__ import annotations

import sys

from links import dead_links
from reference import generated, with_reference
from sphinx.cmd.build import build_main
from stage import DOCS, ROOT, stage

OUT = ROOT / "build" / "docs"


def main() -> int:
    pages, site = OUT / "pages", OUT / "html"
    stage(pages, generated() | {"index.md": with_reference((DOCS / "index.md").read_text("utf-8"))})
    words = [
        "-W",
        "--keep-going",
        "-q",
        "-a",
        "-E",  # every page anew: the navigation changes with other pages
        "-b",
        "html",
        "-c",
        str(DOCS),
        "-d",
        str(OUT / "doctrees"),
        str(pages),
        str(site),
    ]
    if failed := build_main(words):
        return failed
    found = dead_links(site)
    for line in found:
        print(line, file=sys.stderr)
    if not found:
        print(site / "index.html")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
