"""What the board's server answers, and that no request, however hostile, brings it down or reaches another file."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from board_runs import everything_in, made_run, made_study
from sparring.web.board import board as boards
from sparring.web.board.app import as_json, board_app
from sparring.web.board.board import Board
from sparring.web.board.sampling import Sampler
from sparring.web.guard import Address

HERE = {"host": "127.0.0.1:8200"}
OWN = {**HERE, "origin": "http://127.0.0.1:8200"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A board of a run, a study, and beside their folder a secret."""
    monkeypatch.setattr(boards, "FRESH", 0.0)
    made_run(tmp_path / "runs" / "run")
    made_study(tmp_path / "runs" / "study", seeds=1, done=2)
    (tmp_path / "secret.png").write_bytes(b"hush-hush")
    (tmp_path / "runs" / "study" / "files" / "link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "runs" / "run" / "samples" / "step-000777.png").symlink_to(tmp_path / "secret.png")
    with TestClient(board_app(Board([tmp_path / "runs"]), Address("127.0.0.1", 8200))) as client:
        client.headers.update(HERE)
        client.base_url = "http://127.0.0.1:8200"  # type: ignore[assignment]
        yield client


def ids(client: TestClient) -> tuple[str, str]:
    said = client.get("/api/board").json()
    (run,) = [each["id"] for each in said["runs"] if each["study"] is None]
    return run, said["studies"][0]["id"]


def test_the_page_and_its_answers(here: TestClient) -> None:
    assert "sparring board" in here.get("/").text
    for name in ("board/main.js", "board/chart.js", "board/board.css", "shared.css"):
        assert here.get(f"/static/{name}").status_code == 200
    run, study = ids(here)
    assert here.get(f"/api/run/{run}").json()["step"] == 100 and here.get(f"/api/run/{run}/curves").json()["complete"]
    assert here.get(f"/api/study/{study}").json()["done"] == 2
    picture = here.get(f"/api/run/{run}/samples/50?v=1")
    assert picture.headers["content-type"] == "image/png" and "immutable" in picture.headers["cache-control"]
    assert here.get(f"/api/study/{study}/picture/a-0-samples.png").content[:4] == b"\x89PNG"


def test_an_answer_that_is_the_same_is_not_sent_again(here: TestClient, tmp_path: Path) -> None:
    run, _ = ids(here)
    first = here.get(f"/api/run/{run}")
    again = here.get(f"/api/run/{run}", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304 and again.content == b""
    (tmp_path / "runs" / "run" / "samples" / "step-000100.png").unlink()
    changed = here.get(f"/api/run/{run}", headers={"if-none-match": first.headers["etag"]})
    assert changed.status_code == 200 and changed.json()["samples"]["steps"] == [0, 50]


WRONG = [
    *(
        "..",
        "../..",
        "%2e%2e",
        "..%2f..%2fsecret.png",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "secret.png",
        "link.png",
        "777",
    ),
    *(
        "a" * 5000,
        "0" * 400,
        "-1",
        "1e9",
        "٣",
        "²",
        "NaN",
        "%00",
        "%0a",
        "%ff%fe",
        "' OR 1=1",
        "<script>",
        "\\..\\secret",
    ),
    *("a-0-samples.png/", ".lock", "recipe.json", "step-000050.png", "[]", "true", "99999999999999999999", "?", "#"),
]


def paths(run: str, study: str) -> Iterator[str]:
    for wrong in WRONG:
        yield from (
            f"/api/run/{wrong}",
            f"/api/run/{wrong}/curves",
            f"/api/study/{wrong}",
            f"/api/run/{run}/samples/{wrong}",
        )
        yield from (
            f"/api/run/{run}/diagnosis/{wrong}",
            f"/api/study/{study}/picture/{wrong}",
            f"/static/board/{wrong}",
        )
        yield f"/{wrong}"
    yield from (f"/api/run/{study}", f"/api/study/{run}", f"/api/run/{run.upper()}x", "/api", "/api/", "/api/run/")


def test_hostile_addresses_are_refused(here: TestClient, tmp_path: Path) -> None:
    run, study = ids(here)
    before = everything_in(tmp_path)
    asked = list(paths(run, study))
    assert len(asked) >= 250
    for path in asked:
        answer = here.get(path, follow_redirects=False)
        assert answer.status_code in (200, 307, 400, 404), path
        assert b"hush-hush" not in answer.content and b"Traceback" not in answer.content, path
        if answer.status_code == 200:  # what the client itself shortened to a page, such as `/..`
            assert answer.headers["content-type"].startswith(("text/html", "application/json")), path
    assert here.get(f"/api/run/{run}").status_code == 200 and everything_in(tmp_path) == before


NONSENSE: list[Any] = [
    *(
        None,
        [],
        7,
        "x",
        {"run": "../secret"},
        {"weights": "/etc/passwd"},
        {"allow_code": True},
        {"first": {"a": [[[]]] * 50}},
    ),
    *({"first": first} for first in ("0", -1, 10**30, 1.5, True, float("nan"))),
    *({"count": count} for count in (0, 65, 10**9, None, [1])),
    *({"label": label} for label in (3, -1, "ant", True, {})),
    *({"truncation": truncation} for truncation in (0, float("inf"), "0.7", -1)),
]


def test_hostile_requests_for_samples_start_nothing(
    here: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(self: Sampler, request: Any) -> dict[str, Any]:
        raise AssertionError("the worker was asked")

    monkeypatch.setattr(Sampler, "_answered", never)
    run, study = ids(here)
    address = f"/api/run/{run}/sample"
    assert "no generator of images yet" in here.post(address, json={}, headers=OWN).json()["message"]
    given = {"image_size": 8}
    described = {"class_names": ["ant", "bee", "cat"], "num_classes": 3, "given": given, "step": 100}
    (tmp_path / "runs" / "run" / "generator.json").write_text(json.dumps(described))
    (tmp_path / "runs" / "run" / "generator.safetensors").write_bytes(b"x")
    bodies = [json.dumps(each).encode() for each in NONSENSE]
    bodies += [b"", b"{", b"\xff", b"[" * 60_000, b"x" * 70_000, b'{"first": 1, "first": NaN}']
    for body in bodies:
        answer = here.post(address, content=body, headers=OWN)
        assert answer.status_code in (400, 413), body[:50]
        assert answer.status_code == 413 or len(answer.json()["message"]) < 600
    for method, path in itertools.product(("put", "delete", "patch", "get"), (address, "/api/nothing")):
        assert getattr(here, method)(path, headers=OWN).status_code in (404, 405)
    assert here.post(f"/api/run/{study}/sample", json={}, headers=OWN).status_code == 400


@pytest.mark.parametrize(
    "headers", [{"host": "evil.example:8200"}, {"host": ""}, {"origin": "http://evil.example"}, {"origin": "null"}]
)
def test_strangers_are_refused(here: TestClient, headers: dict[str, str]) -> None:
    run, _ = ids(here)
    assert here.post(f"/api/run/{run}/sample", json={}, headers=OWN | headers).status_code == 403
    assert here.post(f"/api/run/{run}/sample", json={}, headers=HERE).status_code == 403  # from no page
    if "host" in headers:
        for path in ("/", "/api/board", f"/api/run/{run}", f"/api/run/{run}/samples/50"):
            assert here.get(path, headers=headers).status_code == 403


def test_too_many_questions_at_once_are_refused(here: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparring.web.board.app.WAITING", 0)
    answer = here.get("/api/board")
    assert answer.status_code == 503 and answer.json() == {"message": "the board is busy: try again"}


def test_what_is_not_finite_becomes_null() -> None:
    assert as_json({"a": [float("nan"), 1.5, (float("inf"),)]}) == b'{"a":[null,1.5,[null]]}'
