"""Finds links inside a built site that lead nowhere: to no file, or to no place of that name in it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LEADS = {"a": "href", "link": "href", "img": "src", "script": "src", "source": "src", "iframe": "src"}


class Page(HTMLParser):
    """What a page links to, and the names of its places."""

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = {"", "top"}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.places |= {name for name in (given.get("id"), given.get("name") if tag == "a" else None) if name}
        if tag in LEADS and (link := given.get(LEADS[tag])):
            self.links.append(link)


def dead_links(site: Path) -> list[str]:
    """One line for each link of the site's pages to a file or a place that is not there. Other sites are not asked."""
    pages = {path.resolve(): Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        for link in page.links:
            scheme, host, target, _, place = urlsplit(link)
            if scheme or host:
                continue
            goal = (path.parent / unquote(target)).resolve() if target else path
            known = pages.get(goal)
            if not goal.is_file() or (known and unquote(place) not in known.places):
                found.append(f"{path.relative_to(site.resolve())}: {link} leads nowhere")
    return list(dict.fromkeys(found))
