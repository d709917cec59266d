"""A page's worker: frames one at a time, alarms instead of exceptions, exports that repeat the run, and its end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sparring.toy.session import ToySession
from sparring.web.playground import protocol
from sparring.web.playground import worker as workers
from sparring.web.playground.frames import unpack
from sparring.web.playground.worker import Turns, Worker
from tiny import same_bits

SMALL = {"batch_size": 8, "generator.network.width": 8, "discriminator.network.width": 8}


class Page:
    """The other end of the wire. `sees`: whether it acknowledges frames."""

    def __init__(self) -> None:
        self.texts: list[dict[str, Any]] = []
        self.frames: list[Any] = []
        self.others: list[Any] = []
        self.sees, self.gone = True, False
        self.worker = Worker(self.take)
        self.thread = threading.Thread(target=self.worker.run, daemon=True)
        self.thread.start()

    def take(self, message: str | bytes) -> None:
        if self.gone:
            raise OSError("gone")
        if isinstance(message, str):
            self.texts.append(json.loads(message))
            return
        header, arrays = unpack(message)
        (self.frames if header["is"] == "frame" else self.others).append((header, arrays))
        if header["is"] == "frame" and self.sees:
            self.worker.tell(protocol.Seen(do="seen", frame=header["frame"]))

    def say(self, do: str, **more: Any) -> None:
        assert self.worker.tell(protocol.read(json.dumps({"do": do, **more})))

    def start(self, *methods: str, world: str = "ring-8", **changes: Any) -> None:
        sides = [{"method": method, "changes": {**SMALL, **changes}} for method in methods or ("non_saturating",)]
        before = len(self.frames)
        self.say("start", world={"name": world}, sides=sides)
        self.wait(lambda: len(self.frames) > before)

    def wait(self, until: Callable[[], Any], seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.01)

    @property
    def last(self) -> dict[str, Any]:
        return self.frames[-1][0]

    def at(self, step: int) -> Callable[[], bool]:
        return lambda: bool(self.frames) and self.last["sides"][0]["step"] == step


@pytest.fixture
def page() -> Iterator[Page]:
    here = Page()
    yield here
    here.worker.close()
    here.thread.join(10)
    assert not here.thread.is_alive()


def test_a_start_shows_the_world_the_settings_and_a_frame(page: Page) -> None:
    page.start("sdp")
    world, arrays = page.others[0]
    assert world["is"] == "world" and world["dimensions"] == 2 and world["classes"] == 8
    assert arrays["data"].shape == (2000, 2) and arrays["modes"].shape == (8, 2)
    assert page.texts[0]["is"] == "settings" and "sdp" in page.texts[0]["sides"][0]["objective"]
    header, arrays = page.frames[0]
    assert (
        header["sides"][0]["step"] == 0
        and arrays["0.samples"].shape == (1000, 2)
        and arrays["0.realness"].shape == (2304,)
    )
    assert header["sides"][0]["numbers"]["distance"] == header["sides"][0]["numbers"]["sliced_wasserstein"]


def test_playing_sends_frames_and_a_pause_ends_them_at_once(page: Page) -> None:
    page.start()
    page.say("play")
    page.wait(lambda: len(page.frames) > 8)
    page.say("pause")
    page.wait(lambda: not page.last["playing"])
    stopped = len(page.frames), page.last["sides"][0]["step"]
    time.sleep(0.3)
    assert (len(page.frames), page.last["sides"][0]["step"]) == stopped
    steps = [header["steps"] for header, _ in page.frames[2:-1]]
    assert all(each >= 1 for each in steps) and page.last["sides"][0]["step"] == sum(h["steps"] for h, _ in page.frames)
    with_numbers = [i for i, (header, _) in enumerate(page.frames[1:-1]) if header["sides"][0]["numbers"]]
    assert with_numbers and all(
        b - a == workers.NUMBERS_EVERY for a, b in zip(with_numbers, with_numbers[1:], strict=False)
    )


def test_one_frame_is_on_its_way_and_training_goes_on_for_a_while(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PATIENCE", 0.5)
    page.start()
    page.sees = False
    page.say("play")
    page.wait(lambda: len(page.frames) == 2)
    time.sleep(1.2)
    assert len(page.frames) == 2
    reached = page.worker.tracks[0].step
    assert reached > page.last["sides"][0]["step"]  # it trained without a picture
    time.sleep(0.4)
    assert page.worker.tracks[0].step <= reached + 1  # and waits now
    page.sees = True
    page.say("seen", frame=page.last["frame"])
    page.wait(lambda: len(page.frames) > 4)


def test_two_pairs_of_players_keep_step(page: Page) -> None:
    page.start("non_saturating", "hinge")
    page.say("step", count=7)
    page.wait(page.at(7))
    first, second = page.last["sides"]
    assert second["step"] == 7 and first["of_data"] != second["of_data"]
    page.say("change", side=1, changes={"d_steps": 2})
    page.wait(lambda: len(page.texts) > 1)
    assert [side["d_steps"] for side in page.texts[-1]["sides"]] == [1, 2]
    page.say("rewind", step=3)
    page.wait(page.at(3))
    assert [side["d_steps"] for side in page.texts[-1]["sides"]] == [1, 1] and page.last["sides"][1]["step"] == 3


def test_what_a_page_exports_repeats_its_run(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    page.start("sdp", **{"objective.sdp.t": 0})
    for count, changes in ((5, {"objective.r1": {"weight": 0.1}}), (4, {"d_steps": 2, "objective.sdp": None})):
        page.say("step", count=count)
        page.say("change", changes=changes)
    page.say("step", count=3)
    page.say("export")
    page.wait(lambda: page.texts and page.texts[-1]["is"] == "export")
    texts = page.texts[-1]
    scope: dict[str, Any] = {}
    exec(texts["python"], scope)
    assert isinstance(scope["session"], ToySession)
    same_bits(scope["session"].state.state_dict(), page.worker.tracks[0].session.state.state_dict())
    assert "sliced_wasserstein" in capsys.readouterr().out
    assert texts["command"].startswith("sparring toy ring-8 sdp batch_size=8") and "objective:" in texts["recipe"]


def test_the_python_of_a_drawing_repeats_it(page: Page) -> None:
    points = [[-1.0, 0.5], [0.0, 0.25], [1.0, 0.5], [1.5, 1.0]]
    world = {"name": "drawn", "points": points, "negatives": [[2.0, 2.0]] * 3}
    page.say("start", world=world, sides=[{"method": "negatives", "changes": SMALL}], seed=3)
    page.say("step", count=2), page.say("export")
    page.wait(lambda: page.texts and page.texts[-1]["is"] == "export")
    scope: dict[str, Any] = {}
    exec(page.texts[-1]["python"].replace("print", "str"), scope)
    same_bits(scope["session"].state.state_dict(), page.worker.tracks[0].session.state.state_dict())


def test_slow_motion_tells_each_part_of_a_step(page: Page) -> None:
    page.start("as_gan", **{"objective.as_gan.warmup": 0, "objective.as_gan.eps": 0.1})
    page.say("slow")
    page.wait(lambda: any(header["is"] == "slow" for header, _ in page.others))
    header, arrays = page.others[-1]
    assert [(part["player"], part["second"]) for part in header["parts"]] == [
        ("discriminator", False), ("discriminator", True), ("generator", False)]  # fmt: skip
    assert arrays["0.batch_real"].shape == (8, 2) and arrays["1.attacked"].shape == (8, 2, 2)
    answers = [arrays["before.realness"], arrays["0.realness"], arrays["1.realness"]]
    assert all((a != b).any() for a, b in zip(answers, answers[1:], strict=False))
    page.wait(page.at(1))
    assert (answers[2] == page.frames[-1][1]["0.realness"]).all()  # the generator's update leaves D alone


def test_a_run_that_breaks_raises_an_alarm_and_can_be_rewound(page: Page) -> None:
    page.start()
    page.say("step", count=3)
    page.say("change", changes={"generator.optimizer.kind": "sgd", "generator.optimizer.lr": 1e6})
    page.say("play")
    page.wait(lambda: page.frames and page.last["sides"][0]["alarm"], 30)
    page.wait(lambda: not page.last["playing"])
    page.say("rewind", step=2)
    page.wait(page.at(2))
    assert page.last["sides"][0]["alarm"] is None
    page.say("step", count=1)
    page.wait(page.at(3))


def test_samples_far_away_stop_the_run_once(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "alarm", lambda world, look: "far away" if look.step >= 2 else None)
    page.start()
    page.say("play")
    page.wait(lambda: page.last["sides"][0]["alarm"] == "far away" and not page.last["playing"])
    at = page.last["sides"][0]["step"]
    page.say("play")  # whoever plays on wants to see it
    page.wait(lambda: page.last["sides"][0]["step"] > at + 3)
    assert page.last["playing"]


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ({"do": "step"}, "start a run first"),
        ({"do": "start", "world": {"name": "image"}, "sides": [{"method": "hinge"}]}, "no world 'image'"),
        (
            {"do": "start", "world": {"name": "ring-8", "options": {"modes": 500}}, "sides": [{"method": "hinge"}]},
            "at most 40",
        ),
        (
            {"do": "start", "world": {"name": "moons", "options": {"file": 1}}, "sides": [{"method": "hinge"}]},
            "no option",
        ),
        ({"do": "start", "world": {"name": "nat-1d"}, "sides": [{"method": "am_gan"}]}, "learns classes"),
        ({"do": "start", "world": {"name": "nat-1d"}, "sides": [{"method": "nonsense"}]}, "unknown method"),
    ],
)
def test_what_cannot_be_done_is_said_and_the_worker_lives(page: Page, message: dict[str, Any], why: str) -> None:
    assert page.worker.tell(protocol.read(json.dumps(message)))
    page.wait(lambda: page.texts)
    assert page.texts[-1]["is"] == "error" and why in page.texts[-1]["text"]
    page.start()


def test_a_page_that_is_gone_ends_its_worker() -> None:
    page = Page()
    page.start()
    page.gone = True
    page.say("play")
    page.thread.join(10)
    assert not page.thread.is_alive() and page.worker.tracks == []


def test_turns_go_to_who_waited_longest() -> None:
    turns, order = Turns(), []

    def work(name: int) -> None:
        with turns.taken():
            order.append(name)

    with turns.taken():
        threads = []
        for name in range(5):
            threads.append(threading.Thread(target=work, args=(name,)))
            threads[-1].start()
            while len(turns._waiting) <= name:
                time.sleep(0.001)
    for thread in threads:
        thread.join(5)
    assert order == [0, 1, 2, 3, 4]
