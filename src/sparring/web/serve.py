"""Listens at an address and serves a page there until Ctrl-C."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import secrets
import socket
import threading
import webbrowser
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from sparring.errors import SparringError, needs
from sparring.messages import Note
from sparring.web.guard import MESSAGE, Address, Guard

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.routing import BaseRoute
    from uvicorn import Config

CONNECTIONS = 128  # at once; further ones are answered with 503
HEAD = 2**14  # bytes of a request's line and headers
LAST_WORDS = 2  # seconds that open connections have to end after Ctrl-C
Lifespan = Callable[[], AbstractAsyncContextManager[None]]


def site(routes: Sequence[BaseRoute], address: Address, *, lifespan: Lifespan | None = None) -> Guard:
    """The guarded application of some routes. lifespan: entered before the first request and left after the last."""
    with needs("pages in the browser need Starlette, uvicorn and websockets", "web"):
        from starlette.applications import Starlette

    @asynccontextmanager
    async def alive(app: Starlette) -> AsyncIterator[None]:
        if lifespan is None:
            yield
            return
        async with lifespan():
            yield

    return Guard(Starlette(routes=list(routes), lifespan=alive), address)


@contextmanager
def listening(host: str, port: int) -> Iterator[tuple[socket.socket, Address]]:
    """A socket that listens at a host and port (0: any free one), and its address.

    Raises SparringError if the port is taken, may not be used, or the host is not this machine's.
    """
    if not 0 <= port <= 65535:
        raise SparringError(f"--port takes 0 to 65535, got {port}")
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (socket.gaierror, UnicodeError):
        raise SparringError(f"--host {host!r} is not an address of this machine: try 127.0.0.1") from None
    listener = socket.socket(family, kind)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(place)
            listener.listen(64)
        except OSError as error:
            raise SparringError(_why_not(error, host, port)) from None
        local = ipaddress.ip_address(place[0]).is_loopback
        yield listener, Address(host, listener.getsockname()[1], None if local else secrets.token_urlsafe(16))
    finally:
        listener.close()


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken, perhaps by another page: take another with --port, or any free one with --port 0"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"port {port} needs an administrator's rights: take one above 1023 with --port"
    return f"cannot listen at {host}: {error.strerror}: try --host 127.0.0.1"


def serve(
    make: Callable[[Address], Guard],
    *,
    host: str = "127.0.0.1",
    port: int,
    open_browser: bool = False,
    note: Note,
    what: str,
) -> None:
    """Serve the application that `make` returns for the address, until Ctrl-C. what: its name, for the line to print."""
    with needs(f"{what} needs Starlette, uvicorn and websockets", "web"):
        import starlette  # noqa: F401
        import uvicorn
        import websockets  # noqa: F401
    with listening(host, port) as (listener, address):
        server = uvicorn.Server(_config(make(address)))
        note(f"{what}: {address.link}\nPress Ctrl-C to stop.")
        if open_browser:
            threading.Timer(0.5, webbrowser.open, [address.link]).start()
        with suppress(KeyboardInterrupt):  # which uvicorn raises again once it has shut down
            asyncio.run(server.serve(sockets=[listener]))


def _config(app: Any) -> Config:
    import uvicorn

    return uvicorn.Config(
        app,
        http="h11",
        ws="websockets-sansio",
        ws_max_size=MESSAGE,
        ws_per_message_deflate=False,  # frames are floats, which do not shrink, and compressing them takes time
        lifespan="on",
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        h11_max_incomplete_event_size=HEAD,
        timeout_graceful_shutdown=LAST_WORDS,
    )
