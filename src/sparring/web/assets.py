"""The files that pages are made of. All are packaged; a request can only name one of them, never a path."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


@cache
def packaged() -> Mapping[str, Traversable]:
    """Every file of a known kind below web/static, by its path from there, such as `playground/main.js`."""
    found: dict[str, Traversable] = {}
    pending = [("", files("sparring.web") / "static")]
    while pending:
        before, folder = pending.pop()
        for each in folder.iterdir():
            if each.is_dir():
                pending.append((f"{before}{each.name}/", each))
            elif kind_of(each.name):
                found[before + each.name] = each
    return found


def kind_of(name: str) -> str | None:
    """The media type of a file's name; None for a kind that no page uses."""
    return KINDS.get("." + name.rpartition(".")[2])


def answer(name: str) -> Response:
    """The packaged file of a name, or 404."""
    from starlette.responses import PlainTextResponse, Response

    file = packaged().get(name)
    if file is None:
        return PlainTextResponse("There is no such file.\n", 404)
    return Response(file.read_bytes(), media_type=kind_of(name))


def routes(page: str) -> list[Route]:
    """The routes of a page's files: itself at /, its icon, and everything else below /static/."""
    from starlette.routing import Route

    async def index(request: Request) -> Response:
        return answer(page)

    async def icon(request: Request) -> Response:
        return answer("mark.svg")

    async def static(request: Request) -> Response:
        return answer(request.path_params["name"])

    return [Route("/", index), Route("/favicon.ico", icon), Route("/static/{name:path}", static)]
