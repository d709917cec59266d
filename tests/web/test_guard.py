"""Who a page's server answers: nobody through another name, from another page, without the token, or with too much."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from sparring.web import guard
from sparring.web.assets import packaged
from sparring.web.assets import routes as assets
from sparring.web.guard import BODY, MESSAGE, Address
from sparring.web.serve import site

HERE = {"host": "127.0.0.1:8100"}
OWN = {**HERE, "origin": "http://127.0.0.1:8100"}


async def echo(request: Request) -> Response:
    return JSONResponse({"size": len(await request.body())})


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    with suppress(WebSocketDisconnect):
        while True:
            await socket.send_text(f"{len(await socket.receive_text())}")


async def hello(request: Request) -> Response:
    return JSONResponse({"here": True})


def client(host: str = "127.0.0.1", token: str | None = None) -> TestClient:
    routes = [*assets("shared.css"), Route("/hello", hello), Route("/echo", echo, methods=["POST"])]
    page = site([*routes, WebSocketRoute("/talk", talk)], Address(host, 8100, token))
    return TestClient(page, base_url="http://127.0.0.1:8100", follow_redirects=False)


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("127.0.0.1:8100", True),
        ("localhost:9000", True),  # a port forwarded through ssh
        ("[::1]:8100", True),
        ("LOCALHOST", True),
        ("evil.example:8100", False),  # a name that was made to lead here
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:8100", False),
        ("10.0.0.7:8100", False),
        ("", False),
    ],
)
def test_a_request_must_name_the_server(host: str, named: bool) -> None:
    for path in ("/hello", "/", "/static/shared.js"):
        assert client().get(path, headers={"host": host}).status_code == (200 if named else 403)


def test_a_server_that_listens_everywhere_goes_by_addresses_and_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard.socket, "gethostname", lambda: "workstation7")
    monkeypatch.setattr(guard.socket, "getfqdn", lambda: "workstation7.example.org")
    everywhere = Address("0.0.0.0", 8100)
    named = ["10.0.0.7:8100", "[fe80::1]:8100", "workstation7:8100", "workstation7.example.org", "localhost"]
    assert all(map(everywhere.is_named, named)) and not everywhere.is_named("evil.example:8100")
    assert Address("10.0.0.7", 8100).is_named("10.0.0.7:8100") and not Address("10.0.0.7", 8100).is_named("10.0.0.8")
    assert everywhere.link == "http://workstation7:8100/" and Address("::1", 1).link == "http://[::1]:1/"


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "http://evil.example",
        "http://localhost:3000",
        "http://127.0.0.1:8101",
        "file://",
        "ftp://127.0.0.1:8100",
    ],
)
def test_only_the_page_itself_may_post_or_stream(origin: str | None) -> None:
    headers = HERE if origin is None else {**HERE, "origin": origin}
    assert client().post("/echo", content=b"x", headers=headers).status_code == 403
    with pytest.raises(WebSocketDisconnect) as closed, client().websocket_connect("/talk", headers=headers):
        raise AssertionError("it was let in")
    assert closed.value.code == 1008


def test_the_page_itself_may() -> None:
    assert client().post("/echo", content=b"x" * BODY, headers=OWN).json() == {"size": BODY}
    with client().websocket_connect("/talk", headers=OWN) as socket:
        socket.send_text("x" * MESSAGE)
        assert socket.receive_text() == str(MESSAGE)


def test_nothing_too_large_is_read() -> None:
    def stream(pieces: int) -> Callable[[], object]:
        return lambda: (b"x" * 1000 for _ in range(pieces))

    assert client().post("/echo", content=b"x" * (BODY + 1), headers=OWN).status_code == 413
    assert client().post("/echo", content=stream(BODY // 1000 + 2)(), headers=OWN).status_code == 413  # no length told
    assert client().post("/echo", content=b"", headers={**OWN, "content-length": "-5"}).status_code == 413
    assert client().post("/echo", content=b"", headers={**OWN, "content-length": "9" * 5000}).status_code == 413
    with client().websocket_connect("/talk", headers=OWN) as socket, pytest.raises(WebSocketDisconnect) as closed:
        socket.send_text("x" * (MESSAGE + 1))
        socket.receive_text()
    assert closed.value.code == 1009


def test_a_page_too_many_is_refused_until_another_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "SOCKETS", 2)
    here = client()
    with here.websocket_connect("/talk", headers=OWN):
        second = here.websocket_connect("/talk", headers=OWN)
        with second, pytest.raises(WebSocketDisconnect) as refused, here.websocket_connect("/talk", headers=OWN):
            raise AssertionError("it was let in")
        assert "close one" in refused.value.reason
        with here.websocket_connect("/talk", headers=OWN) as socket:
            socket.send_text("four")
            assert socket.receive_text() == "4"


def test_a_server_that_others_reach_asks_for_its_token_once() -> None:
    far = client("10.0.0.7", token="secret-word")
    there = {"host": "10.0.0.7:8100", "origin": "http://10.0.0.7:8100"}
    for path in ("/hello", "/", "/static/shared.js", "/hello?token=wrong", "/hello?token=", "/hello?token=%E4"):
        assert far.get(path, headers=there).status_code == 403
    assert far.post("/echo", headers=there).status_code == 403
    with pytest.raises(WebSocketDisconnect), far.websocket_connect("/talk", headers=there):
        raise AssertionError("it was let in")
    told = far.get("/hello?token=secret-word&world=moons", headers=there)
    assert told.status_code == 303 and told.headers["location"] == "/hello?world=moons"
    cookie = told.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and told.headers["referrer-policy"] == "no-referrer"
    known = {**there, "cookie": cookie.partition(";")[0]}
    assert far.get("/hello", headers=known).json() == {"here": True}
    elsewhere = far.get("http://10.0.0.7:8100//evil.example/?token=secret-word", headers=there)
    assert elsewhere.headers["location"] == "/evil.example/"
    with far.websocket_connect("/talk", headers=known) as socket:
        socket.send_text("four")
        assert socket.receive_text() == "4"
    assert far.get("/hello", headers={**known, "cookie": "sparring-8100=wrong"}).status_code == 403
    assert client("10.0.0.7", token="w").app.address.link == "http://10.0.0.7:8100/?token=w"  # type: ignore[attr-defined]


def test_every_answer_says_what_its_page_may_do() -> None:
    here = client()
    answers = [here.get(path, headers=HERE) for path in ("/", "/hello", "/nothing", "/static/shared.js")]
    answers += [here.get("/", headers={"host": "evil.example"}), here.delete("/hello", headers=OWN)]
    assert [a.status_code for a in answers] == [200, 200, 404, 200, 403, 405]
    for answer in answers:
        content = answer.headers["content-security-policy"]
        assert "default-src 'none'" in content and "script-src 'self';" in content and "unsafe" not in content
        assert "frame-ancestors 'none'" in content and answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "name",
    ["../serve.py", "..%2fserve.py", "%2e%2e/serve.py", "....//serve.py", "/etc/passwd", "shared.css/", "", "playground",
     "..\\serve.py", "shared.css%00", "C:/x", "~root"],
)  # fmt: skip
def test_only_packaged_files_of_known_kinds_are_served(name: str) -> None:
    assert client().get(f"/static/{name}", headers=HERE).status_code == 404


def test_packaged_files_are_served_as_what_they_are() -> None:
    kinds = {"shared.css": "text/css", "shared.js": "text/javascript", "mark.svg": "image/svg+xml"}
    for name, kind in kinds.items():
        answer = client().get(f"/static/{name}", headers=HERE)
        assert answer.content == packaged()[name].read_bytes() and answer.headers["content-type"].startswith(kind)
