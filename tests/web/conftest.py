"""Pages in a real browser: Chromium, a server in a thread, and a check that nothing went wrong in the page."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from sparring.web.guard import Address, Guard
from sparring.web.serve import _config, listening

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 8_000  # milliseconds for anything that a page should do
Serving = Callable[[Callable[[Address], Guard]], str]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for the tests of a module: while it is open, no other event loop runs in this thread."""
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def _pages() -> dict[str, Page]:
    """The module's open pages, by their size and options: opening another one costs more than most tests."""
    return {}


@pytest.fixture
def new_page(browser: Browser, _pages: dict[str, Page]) -> Iterator[Callable[..., Page]]:
    """`new_page(width, height, **options)`: an empty page. At the end, it may not have had an error or a warning.

    `page.wrong` lists those so far: clear it where a test provokes them.
    """
    used: list[Any] = []

    def make(width: int = 1280, height: int = 800, **options: Any) -> Page:
        key = f"{width} {height} {options}"
        if key not in _pages:
            size: Any = {"width": width, "height": height}
            context = browser.new_context(viewport=size, **{"reduced_motion": "reduce", **options})
            _pages[key] = _watched(context.new_page())
        page: Any = _pages[key]
        used.append(page)
        page.goto("about:blank")
        page.wrong.clear()
        return page

    yield make
    for page in used:
        if page.url.startswith("http"):
            page.evaluate("localStorage.clear()")
        page.goto("about:blank")
        assert page.wrong == []


def _watched(page: Any) -> Page:
    """A page that notes what goes wrong in it."""
    page.wrong = wrong = []
    page.set_default_timeout(PATIENCE)
    page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    return page


@contextmanager
def _served(make: Callable[[Address], Guard]) -> Iterator[str]:
    """The link of a server in a thread."""
    import uvicorn

    with listening("127.0.0.1", 0) as (listener, address):
        server = uvicorn.Server(_config(make(address)))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
        thread.start()
        try:
            yield address.link
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture
def served() -> Callable[[Callable[[Address], Guard]], AbstractContextManager[str]]:
    """`with served(make) as link`: a server that ends with the block."""
    return _served


@pytest.fixture(scope="module")
def serving() -> Iterator[Serving]:
    """`serving(make)` serves an application until the module's tests have ended, and returns its link."""
    with ExitStack() as servers:
        yield lambda make: servers.enter_context(_served(make))


@pytest.fixture
def overflow() -> Callable[[Page], list[str]]:
    """`overflow(page)`: what reaches beyond the right edge of a page, unless it scrolls by itself."""
    return lambda page: page.evaluate(
        """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll('body *')]
        .filter((each) => each.getBoundingClientRect().right > innerWidth + 1 && !each.closest('.scroll'))
        .map((each) => `${each.tagName} ${each.className}`)"""
    )
