"""What the board's server answers: lists, pages, curves and pictures by id, and samples when they are asked for.

The page asks again every few seconds, one question after the other, and an answer that is the same is not sent again. So
nothing piles up for a page that does not read.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from sparring.errors import SparringError
from sparring.web import assets
from sparring.web.board.board import Board
from sparring.web.board.sampling import BusyError, Sampler, wanted
from sparring.web.guard import Address, Guard
from sparring.web.serve import site

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

WAITING = 64  # questions at once
FOR_EVER = {"cache-control": "private, max-age=31536000, immutable"}  # of a picture whose address names its version
T = TypeVar("T")


class Reader:
    """The one thread that reads the runs' files."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "board")
        self._waiting = 0

    async def read(self, work: Callable[[], T]) -> T:
        """What `work` returns. Raises BusyError if too many questions wait already."""
        if self._waiting >= WAITING:
            raise BusyError("the board is busy: try again")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


def board_app(board: Board, address: Address, *, allow_code: bool = False) -> Guard:
    """The guarded application of a board."""
    reader, sampler = Reader(), Sampler(allow_code=allow_code)

    @asynccontextmanager
    async def alive() -> AsyncIterator[None]:
        yield
        reader.close()
        await sampler.close()

    return site([*assets.routes("board/index.html"), *_routes(board, reader, sampler)], address, lifespan=alive)


def _routes(board: Board, reader: Reader, sampler: Sampler) -> list[Route]:
    from starlette.routing import Route

    def values(question: Callable[[dict[str, str]], Any]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            return await _said(request, reader, lambda: question(request.path_params))

        return answer

    def picture(question: Callable[[dict[str, str]], bytes]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            return await _shown(request, reader, lambda: question(request.path_params))

        return answer

    async def sample(request: Request) -> Response:
        return await _sampled(request, board, reader, sampler)

    return [
        Route("/api/board", values(lambda p: board.overview())),
        Route("/api/run/{id}", values(lambda p: board.run_page(p["id"]))),
        Route("/api/run/{id}/curves", values(lambda p: board.curves(p["id"]))),
        Route("/api/run/{id}/samples/{step}", picture(lambda p: board.run(p["id"]).sheet(_step(p["step"])))),
        Route("/api/run/{id}/diagnosis/{name}", picture(lambda p: board.run(p["id"]).diagnosed(p["name"]))),
        Route("/api/run/{id}/sample", sample, methods=["POST"]),
        Route("/api/study/{id}", values(lambda p: board.study_page(p["id"]))),
        Route("/api/study/{id}/picture/{name}", picture(lambda p: board.study(p["id"]).picture(p["name"]))),
    ]


def _step(words: str) -> int:
    if not (words.isascii() and words.isdecimal() and len(words) <= 15):
        raise SparringError(f"a step is a whole number, got {words!r:.40}")
    return int(words)


async def _said(request: Request, reader: Reader, question: Callable[[], Any]) -> Response:
    """JSON with an ETag; an answer that the page has already is not sent again."""
    from starlette.responses import Response

    try:
        content = await reader.read(lambda: as_json(question()))
    except SparringError as error:
        return _refused(error, 404)
    tag = f'"{hashlib.sha1(content, usedforsecurity=False).hexdigest()}"'
    headers = {"etag": tag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(None, 304, headers)
    return Response(content, 200, headers, "application/json")


async def _shown(request: Request, reader: Reader, question: Callable[[], bytes]) -> Response:
    from starlette.responses import Response

    try:
        content = await reader.read(question)
    except SparringError as error:
        return _refused(error, 404)
    headers = FOR_EVER if "v" in request.query_params else {}
    return Response(content, 200, headers, "image/png")


async def _sampled(request: Request, board: Board, reader: Reader, sampler: Sampler) -> Response:
    from starlette.responses import Response

    try:
        asked = json.loads(await request.body())
    except (ValueError, RecursionError):
        return _refused(SparringError("ask for samples in JSON"), 400)
    try:
        run = await reader.read(lambda: board.run(request.path_params["id"]))
        generator = await reader.read(run.generator)
        found = await sampler.draw(run, wanted(asked, generator))
    except SparringError as error:
        return _refused(error, 400)
    return Response(as_json(found), 200, media_type="application/json")


def _refused(error: SparringError, status: int) -> Response:
    from starlette.responses import Response

    status = 503 if isinstance(error, BusyError) else status
    return Response(as_json({"message": str(error)}), status, media_type="application/json")


def as_json(values: Any) -> bytes:
    """JSON that every browser reads: what is not finite becomes null."""
    try:
        return json.dumps(values, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:
        return json.dumps(_finite(values), allow_nan=False, separators=(",", ":")).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value
