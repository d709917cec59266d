"""The playground's server against pages that mean no good: it answers or closes, lives on, and stays small."""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from sparring.errors import SparringError
from sparring.web.guard import MESSAGE, Address
from sparring.web.playground.app import Playground, run
from sparring.web.playground.frames import unpack
from sparring.web.serve import listening, site

OWN = {"host": "127.0.0.1:8100", "origin": "http://127.0.0.1:8100"}
SMALL = {"batch_size": 8, "generator.network.width": 4, "discriminator.network.width": 4}
START = {"do": "start", "world": {"name": "checkerboard"}, "sides": [{"method": "hinge", "changes": SMALL}], "seed": 0}


def client(sessions: int = 8) -> tuple[Playground, TestClient]:
    playground = Playground(sessions)
    return playground, TestClient(
        site(playground.routes(), Address("127.0.0.1", 8100)), base_url="http://127.0.0.1:8100"
    )


def wait(until: Callable[[], Any]) -> None:
    end = time.monotonic() + 20
    while not until():
        assert time.monotonic() < end
        time.sleep(0.01)


def until_frame(socket: Any) -> dict[str, Any]:
    for _ in range(200):
        message = socket.receive()
        if message.get("bytes") is not None:
            header, _ = unpack(message["bytes"])
            if header["is"] == "frame":
                return header
    raise AssertionError("no frame came")


def plays(http: TestClient) -> None:
    """A page that behaves is served."""
    with http.websocket_connect("/session", headers=OWN) as socket:
        socket.send_json(START)
        assert until_frame(socket)["sides"][0]["step"] == 0
        socket.send_json({"do": "step", "count": 2})
        assert until_frame(socket)["sides"][0]["step"] == 2


def hostile(seed: int) -> list[str | bytes]:
    """500 messages that no page sends: broken, of wrong types, huge, deep, and with names that lead elsewhere."""
    r = random.Random(seed)
    good = [
        START,
        {"do": "change", "side": 0, "changes": {"objective.sdp.k": 3}},
        {"do": "play", "pace": 2},
        {"do": "seen", "frame": 1},
        {"do": "rewind", "step": 3},
        {"do": "step", "count": 1},
        {"do": "slow", "side": 0},
        {"do": "export", "side": 1},
    ]
    odd: list[Any] = [
        None,
        True,
        -1,
        2**70,
        -(10**30),
        1e308,
        "",
        "x" * 3000,
        "../../etc/passwd",
        "os:system",
        "\0",
        "\ud800",
        [],
        {},
        [[[[]]]],
        {"__class__": 1},
        ["a"] * 300,
        {"kind": "subprocess:run"},
        "file:///etc/passwd",
        "toy:ring-8",
        "NaN",
    ]

    def spoil(value: Any) -> Any:
        if isinstance(value, dict) and value and r.random() < 0.8:
            key = r.choice(list(value))
            changed = {k: spoil(v) if k == key else v for k, v in value.items()}
            if r.random() < 0.3:
                changed[r.choice(["", "do", "kind", "step", "source", "__proto__", "x" * 200])] = r.choice(odd)
            return changed
        return (
            [spoil(value[0]), *value[1:]] if isinstance(value, list) and value and r.random() < 0.7 else r.choice(odd)
        )

    made: list[str | bytes] = []
    while len(made) < 500:
        kind = r.random()
        text = json.dumps(spoil(r.choice(good)))
        if kind < 0.1:
            made.append(r.randbytes(r.randrange(200)))
        elif kind < 0.2:
            made.append(text[: r.randrange(len(text) + 1)])
        elif kind < 0.25:
            made.append("[" * r.randrange(1, 20_000))
        elif kind < 0.27:
            made.append('{"do": "' + "x" * r.randrange(MESSAGE))
        else:
            made.append(text.replace('"NaN"', "NaN"))
    return made


@pytest.mark.parametrize("seed", [0])
def test_500_hostile_messages_are_answered_or_their_sender_is_sent_away(seed: int) -> None:
    playground, http = client()
    waiting = hostile(seed)
    closed = answered = 0
    while waiting:
        try:
            with http.websocket_connect("/session", headers=OWN) as socket:
                socket.send_json(START)
                until_frame(socket)
                while waiting:
                    message = waiting.pop()
                    socket.send_bytes(message) if isinstance(message, bytes) else socket.send_text(message)
                    answered += 1
                    if answered % 70 == 0:  # a page that misbehaves may also leave
                        break
        except WebSocketDisconnect:
            closed += 1
        wait(lambda: not playground.workers)  # its worker ends with it
    assert answered > 400
    plays(http)


def test_mistakes_are_answered_one_by_one_and_too_many_end_the_session() -> None:
    _, http = client()
    with http.websocket_connect("/session", headers=OWN) as socket:
        for _ in range(100):
            socket.send_text("nonsense")
            assert socket.receive_json() == {"is": "error", "text": "the message: " + NOT_JSON}
        socket.send_text("nonsense")
        with pytest.raises(WebSocketDisconnect):
            socket.receive_json()
    plays(http)


NOT_JSON = "Invalid JSON: expected ident at line 1 column 2"


def test_of_a_hundred_pages_eight_are_served_and_the_others_told() -> None:
    playground, http = client()
    served, full = [], 0
    for _ in range(100):
        try:
            connection = http.websocket_connect("/session", headers=OWN)
            socket = connection.__enter__()
        except WebSocketDisconnect:
            full += 1
            continue
        if len(playground.workers) >= 8 and len(served) >= 8:
            assert socket.receive_json()["is"] == "full"
            with pytest.raises(WebSocketDisconnect):
                socket.receive_json()
            connection.__exit__(None, None, None)
            full += 1
        else:
            served.append(connection)
    assert len(served) == 8 and full == 92
    threads = [thread for thread in threading.enumerate() if thread.name == "playground"]
    assert len(threads) == 8
    for connection in served:
        connection.__exit__(None, None, None)
    wait(lambda: not playground.workers)
    plays(http)


def test_a_session_ends_with_its_page() -> None:
    playground, http = client()
    with http.websocket_connect("/session", headers=OWN) as socket:
        socket.send_json(START)
        until_frame(socket)
        socket.send_json({"do": "play"})
        until_frame(socket)
        (worker,) = playground.workers
    wait(lambda: not playground.workers)
    assert worker.closed.is_set() and worker.tracks == []


def test_a_foreign_page_gets_no_session() -> None:
    playground, http = client()
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9999"):
        with pytest.raises(WebSocketDisconnect), http.websocket_connect("/session", headers={**OWN, "origin": origin}):
            raise AssertionError("it was let in")
    assert not playground.workers


def test_the_page_and_all_that_it_is_made_of_are_served() -> None:
    _, http = client()
    page = http.get("/", headers=OWN)
    assert page.status_code == 200 and "<title>sparring playground</title>" in page.text
    assert len(http.get("/catalogue.json", headers=OWN).json()["terms"]) > 20
    assert http.get("/static/playground/../../app.py", headers=OWN).status_code == 404
    assert http.post("/catalogue.json", headers=OWN).status_code == 405


def test_the_command_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "starlette", None)
        with pytest.raises(SparringError, match=r"pip install 'sparring\[web\]'"):
            run(note=print)


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_port_that_is_taken_is_one_line() -> None:
    with listening("127.0.0.1", 0) as (_, here), pytest.raises(SparringError, match=f"port {here.port} is taken"):
        run(port=here.port, note=print)
