"""Who may ask a page's server for something, and how much: a layer around the whole application.

Any page in the same browser can send requests to this machine. So a request must name the host that the server listens at
(else another site's name could be made to lead here), what changes or streams something must come from the page itself,
and a server that others can reach asks for the token in its link.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode

BODY = 2**16  # bytes of a request's body: pages send short JSON
MESSAGE = 2**17  # bytes of a websocket message: a drawn world of 2,000 points takes 40 KB
SOCKETS = 32  # websockets open at once, each of which is a page
LOCAL = ("127.0.0.1", "localhost", "::1")
CONTENT = {
    **{"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "connect-src": "'self'"},
    **{"img-src": "'self' data: blob:", "media-src": "'self' blob:", "font-src": "'self'", "manifest-src": "'self'"},
    **{"base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'"},
}
HEADERS = {
    "content-security-policy": "; ".join(f"{key} {value}" for key, value in CONTENT.items()),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Address:
    """Where a server listens. token: the word that its link carries, None if only this machine can reach it."""

    host: str
    port: int
    token: str | None = None

    @property
    def link(self) -> str:
        """What to open in a browser. A server that listens everywhere is reached by this machine's name."""
        host = socket.gethostname() if _is_unspecified(self.host) else self.host
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.port}/" + (f"?token={self.token}" if self.token else "")

    @property
    def cookie(self) -> str:
        """The name of the cookie that holds the token; cookies do not know ports."""
        return f"sparring-{self.port}"

    def is_named(self, host: str) -> bool:
        """Whether a Host header, such as `localhost:8100`, names this server. Its port may be one that is forwarded here."""
        name = _without_port(host)
        if name in LOCAL:
            return True
        if _is_unspecified(self.host):  # an address cannot be made to lead here as a foreign name can
            return _is_address(name) or name in (socket.gethostname().lower(), socket.getfqdn().lower())
        return name == self.host.lower()


def _without_port(host: str) -> str:
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and ":" in host else host


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_unspecified(host: str) -> bool:
    return host == "" or (_is_address(host) and ipaddress.ip_address(host).is_unspecified)


class Guard:
    """An ASGI application around another: refuses strangers and anything too large, and adds the headers of safe pages."""

    def __init__(self, app: Application, address: Address, *, body: int = BODY, message: int = MESSAGE):
        self.app, self.address, self.body, self.message = app, address, body, message
        self.open_sockets = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        headers = _headers(scope)

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message.get("headers", [])}
                more = [(k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in own]
                message = {**message, "headers": [*message.get("headers", []), *more]}
            await send(message)

        refusal = self._refusal(scope, headers, must_come_from_page=scope["method"] not in ("GET", "HEAD"))
        if refusal is not None:
            return await _answer(sent, *refusal)
        if (given := _token_in_link(scope)) is not None and self.address.token:
            return await self._remember(scope, given, sent)
        content = await _body(headers, receive, self.body)
        if content is None:
            return await _answer(sent, 413, "This is larger than the server reads.")
        pending = [content]

        async def received() -> Message:
            return {"type": "http.request", "body": pending.pop()} if pending else await receive()

        await self.app(scope, received, sent)

    async def _websocket(self, scope: Message, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope, _headers(scope), must_come_from_page=True)
        if refusal is None and self.open_sockets >= SOCKETS:
            refusal = (503, "Too many pages are open at once: close one.")
        if refusal is not None:
            await receive()  # websocket.connect
            return await send({"type": "websocket.close", "code": 1008, "reason": refusal[1]})

        async def received() -> Message:
            message = await receive()
            if len(message.get("text") or "") > self.message or len(message.get("bytes") or b"") > self.message:
                await send({"type": "websocket.close", "code": 1009, "reason": "The message is too large."})
                return {"type": "websocket.disconnect", "code": 1009}
            return message

        self.open_sockets += 1
        try:
            await self.app(scope, received, send)
        finally:
            self.open_sockets -= 1

    def _refusal(
        self, scope: Message, headers: Mapping[str, str], *, must_come_from_page: bool
    ) -> tuple[int, str] | None:
        """The status and words with which a request is refused; None if it is not."""
        host = headers.get("host", "")
        if not self.address.is_named(host):
            return 403, "This server does not go by that name."
        if must_come_from_page and _authority(headers.get("origin", "")) != host.lower():
            return 403, "This did not come from the server's own page."
        if not self._knows_token(scope, headers):
            return 403, "Open the link that the server printed: it carries a token."
        return None

    def _knows_token(self, scope: Message, headers: Mapping[str, str]) -> bool:
        if self.address.token is None:
            return True
        try:
            kept = SimpleCookie(headers.get("cookie", "")).get(self.address.cookie)
        except CookieError:
            kept = None
        given = _token_in_link(scope) or (kept.value if kept else "")
        return secrets.compare_digest(given.encode(), self.address.token.encode())

    async def _remember(self, scope: Message, token: str, send: Send) -> None:
        """Move the token from the link to a cookie, so that it is not left in the browser's history."""
        rest = [(k, v) for k, v in parse_qsl(scope["query_string"].decode("latin-1")) if k != "token"]
        cookie = f"{self.address.cookie}={token}; Path=/; HttpOnly; SameSite=Lax"
        path = "/" + scope["path"].lstrip("/")
        to = "".join(c for c in path + (f"?{urlencode(rest)}" if rest else "") if " " < c <= "~")
        await send(
            {
                "type": "http.response.start",
                "status": 303,
                "headers": [(b"location", to.encode()), (b"set-cookie", cookie.encode())],
            }
        )
        await send({"type": "http.response.body", "body": b""})


def _headers(scope: Message) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


async def _body(headers: Mapping[str, str], receive: Receive, limit: int) -> bytes | None:
    """The whole body of a request; None if it is larger than the limit."""
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length[:20]) > limit:
        return None
    content, more = b"", True
    while more:
        message = await receive()
        content += message.get("body", b"")
        more = message.get("more_body", False)
        if len(content) > limit:
            return None
    return content


def _authority(origin: str) -> str | None:
    """The host and port of an Origin header; None for none, and for `null`."""
    scheme, _, rest = origin.lower().partition("://")
    return rest if scheme in ("http", "https") and rest else None


def _token_in_link(scope: Message) -> str | None:
    query = parse_qsl(scope["query_string"].decode("latin-1"))
    return next((value for key, value in query if key == "token"), None)


async def _answer(send: Send, status: int, words: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{words}\n".encode()})
