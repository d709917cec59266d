"""The playground's server: one page, one websocket a page, one worker behind each."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sparring.errors import SparringError, needs
from sparring.messages import Note
from sparring.web import assets
from sparring.web.guard import Address, Guard
from sparring.web.serve import serve, site

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from sparring.web.playground.worker import Worker

PORT = 8100
SESSIONS = 8  # at once, each of which takes some megabytes and a share of the processor
MISTAKES = 100  # messages that are none before a page is sent away


class Playground:
    """Counts the sessions and answers their pages."""

    def __init__(self, sessions: int = SESSIONS):
        self.sessions, self.workers = sessions, set[Any]()

    def routes(self) -> Sequence[BaseRoute]:
        from starlette.routing import Route, WebSocketRoute

        return [
            *assets.routes("playground/index.html"),
            Route("/catalogue.json", self.catalogue),
            WebSocketRoute("/session", self.session),
        ]

    async def catalogue(self, request: Any) -> Any:
        from starlette.responses import JSONResponse

        from sparring.web.playground.catalogue import catalogue

        return JSONResponse(await asyncio.to_thread(catalogue))

    async def session(self, socket: Any) -> None:
        """A page's session, from its first word to its last."""
        from sparring.web.playground.worker import Worker

        await socket.accept()
        if len(self.workers) >= self.sessions:
            await socket.send_json({"is": "full", "text": f"All {self.sessions} places are taken: close another page."})
            await socket.close(1013)
            return
        loop = asyncio.get_running_loop()

        def send(message: str | bytes) -> None:
            go = socket.send_text(message) if isinstance(message, str) else socket.send_bytes(message)
            try:
                asyncio.run_coroutine_threadsafe(go, loop).result()
            except Exception as error:
                raise OSError("the page is gone") from error

        worker = Worker(send)
        self.workers.add(worker)
        thread = threading.Thread(target=self._work, args=(worker,), name="playground", daemon=True)
        thread.start()
        try:
            await _listen(socket, worker)
        finally:
            worker.close()

    def _work(self, worker: Worker) -> None:
        """Its place is free once it has really ended."""
        try:
            worker.run()
        finally:
            self.workers.discard(worker)

    def close(self) -> None:
        for worker in list(self.workers):
            worker.close()


async def _listen(socket: Any, worker: Worker) -> None:
    """Pass a page's messages to its worker until either ends."""
    from sparring.web.playground import protocol

    mistakes = 0
    while not worker.closed.is_set():
        event = await socket.receive()
        if event["type"] != "websocket.receive":
            return
        try:
            text = event.get("text")
            if text is None:
                raise SparringError("messages are text")
            if not worker.tell(protocol.read(text)):
                raise SparringError("too many messages are waiting")
        except SparringError as error:
            mistakes += 1
            if mistakes > MISTAKES:
                await socket.close(1008)
                return
            await socket.send_json({"is": "error", "text": str(error)})
    await socket.close(1011)


def _warm_up() -> None:
    """Import what the first page will need while it is being opened."""
    from sparring.web.playground import worker
    from sparring.web.playground.catalogue import catalogue

    catalogue()
    assert worker


def run(*, host: str = "127.0.0.1", port: int = PORT, open_browser: bool = False, note: Note) -> None:
    """Serve the playground until Ctrl-C. Raises SparringError if the port is taken or the extra is missing."""
    with needs("the playground needs Starlette, uvicorn and websockets", "web"):
        import starlette  # noqa: F401
    playground = Playground()

    def make(address: Address) -> Guard:
        threading.Thread(target=_warm_up, name="warm-up", daemon=True).start()
        return site(playground.routes(), address)

    try:
        serve(make, host=host, port=port, open_browser=open_browser, note=note, what="playground")
    finally:
        playground.close()
