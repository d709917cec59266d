"""Trains for one page, in a thread beside the server's, and tells the page what it sees.

One frame is on its way at a time: training goes on until the page has shown it, and waits if the page does not for a while.
A thread and not a process, since it is there at once, a session takes megabytes, and small layers leave nothing to share
out; steps of several sessions take turns, so that none disturbs another's random numbers.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch

from sparring.errors import NonFiniteLossError, SparringError
from sparring.toy.drawing import drawn
from sparring.toy.methods import STEPS, check_words, toy_recipe
from sparring.toy.worlds import World
from sparring.toy.worlds import world as make_world
from sparring.web.playground import protocol
from sparring.web.playground.export import exported
from sparring.web.playground.frames import alarm, pack, side_parts, update_arrays, world_parts
from sparring.web.playground.protocol import LONGEST, Message, WorldChoice, world_names
from sparring.web.playground.track import Track

INTERVAL, LATEST, FEWEST = (
    0.033,
    0.045,
    3,
)  # seconds between frames, the most of them if steps are slow; steps between them
PATIENCE = 5.0  # seconds without a sign of the page after which training waits for it
NUMBERS_EVERY = 5  # frames: numbers take as long as the rest of a frame
SIDE, MODES = 8, 40  # the largest whole numbers among a world's options
WAITING = 64  # messages of a page that are not yet dealt with


class Turns:
    """A lock that goes to who has waited longest."""

    def __init__(self) -> None:
        self._lock, self._waiting = threading.Lock(), deque[threading.Event]()
        self._taken = False

    @contextmanager
    def taken(self) -> Iterator[None]:
        with self._lock:
            mine = threading.Event()
            if self._taken:
                self._waiting.append(mine)
            else:
                self._taken = True
                mine.set()
        mine.wait()
        try:
            yield
        finally:
            with self._lock:
                if self._waiting:
                    self._waiting.popleft().set()
                else:
                    self._taken = False


TURNS = Turns()


class Worker:
    """A page's runs. `tell` gives it messages from any thread, `run` deals with them until `close`.

    send: takes text and bytes for the page, and returns once they are on their way; raises OSError if the page is gone.
    """

    def __init__(self, send: Callable[[str | bytes], None]):
        self.send = send
        self.inbox: queue.Queue[Message | None] = queue.Queue(WAITING)
        self.closed = threading.Event()
        self.tracks: list[Track] = []
        self.choice: protocol.Start | None = None
        self.playing = False
        self.pace: float | None = None
        self.frame = 0  # the last one sent
        self.seen = 0  # the last one that the page has shown
        self.begun_at = self.sent_at = 0.0  # when the last frame was begun, and when it was sent
        self.steps = 0  # since the last frame
        self._due = 0.0  # when the next step is, at a pace
        self._told: list[Any] = []  # the recipes that the page knows
        self._warned = [False, False]

    def tell(self, message: Message) -> bool:
        """Whether there was room for the message."""
        try:
            self.inbox.put_nowait(message)
        except queue.Full:
            return False
        return True

    def close(self) -> None:
        """End after the present step. May be called from any thread, and more than once."""
        self.closed.set()
        with suppress(queue.Full):  # it looks at `closed` after the message at hand
            self.inbox.put_nowait(None)

    def run(self) -> None:
        torch.set_num_threads(1)
        try:
            while not self.closed.is_set():
                self._listen()
                if self._may_train():
                    self._train()
        except OSError:
            pass  # the page is gone
        except Exception as error:
            with suppress(OSError):
                self.say("error", text=f"the session has failed ({type(error).__name__}): reload the page")
            raise
        finally:
            self.closed.set()
            self.tracks = []

    # --- messages ---
    def _listen(self) -> None:
        """Deal with all messages that are there; wait for one if there is nothing to train."""
        try:
            message = self.inbox.get(timeout=self._leisure()) if self._leisure() else self.inbox.get_nowait()
            while message is not None and not self.closed.is_set():
                try:
                    self._do(message)
                except SparringError as error:
                    self.say("error", of=message.do, text=str(error))
                message = self.inbox.get_nowait()
        except queue.Empty:
            pass

    def _leisure(self) -> float:
        """Seconds to wait for a message."""
        if not self._may_train():
            return 1.0
        return max(0.0, self._due - time.monotonic()) if self.pace else 0.0

    def _may_train(self) -> bool:
        waits = self.frame > self.seen and time.monotonic() - self.sent_at > PATIENCE
        return self.playing and bool(self.tracks) and not waits

    def _do(self, message: Message) -> None:
        if isinstance(message, protocol.Start):
            return self._start(message)
        if isinstance(message, protocol.Seen):
            self.seen = max(self.seen, min(message.frame, self.frame))
            return
        if not self.tracks:
            raise SparringError("start a run first")
        getattr(self, f"_do_{message.do}")(message)

    def _start(self, message: protocol.Start) -> None:
        self.playing = False
        for side in message.sides:
            check_words(side.method, {})
        with TURNS.taken():
            world = world_of(message.world, message.seed)
            recipes = [
                toy_recipe(world, side.method, dict(side.changes), steps=STEPS, seed=message.seed)
                for side in message.sides
            ]
            self.tracks = [Track(world, recipe) for recipe in recipes]
            about, arrays = world_parts(world, self.tracks[0].session)
        self.choice, self._told, self._warned = message, [], [False, False]
        self.send(pack({"is": "world", **about}, arrays))
        self._show()

    def _do_change(self, message: protocol.Change) -> None:
        chosen = range(len(self.tracks)) if message.side is None else [message.side]
        if max(chosen) >= len(self.tracks):
            raise SparringError("there is only one pair of players")
        notes = []
        with TURNS.taken():
            for i in chosen:
                notes += self.tracks[i].change(message.changes)
        if notes:
            self.say("note", text="; ".join(dict.fromkeys(notes)))
        if not self.playing:
            self._show()

    def _do_play(self, message: protocol.Play) -> None:
        self.playing, self.pace, self._due = True, message.pace, time.monotonic()
        self.seen = self.frame  # whoever presses play is there

    def _do_pause(self, message: protocol.Pause) -> None:
        self.playing = False
        self._show(numbers=True)

    def _do_step(self, message: protocol.Step) -> None:
        self.playing = False
        self._advance(message.count, watch=True)
        self._show(numbers=True)

    def _do_rewind(self, message: protocol.Rewind) -> None:
        with TURNS.taken():
            for track in self.tracks:
                track.rewind(min(message.step, track.latest))
        self._warned = [False, False]
        self._show(numbers=True)

    def _do_export(self, message: protocol.Export) -> None:
        if message.side >= len(self.tracks) or self.choice is None:
            raise SparringError("there is only one pair of players")
        choice = self.choice
        texts = exported(choice.world, choice.sides[message.side], choice.seed, self.tracks[message.side])
        self.say("export", side=message.side, **texts)

    def _do_slow(self, message: protocol.Slow) -> None:
        """One step, then each of its parts: what was judged, and how D answered after it."""
        if message.side >= len(self.tracks):
            raise SparringError("there is only one pair of players")
        self.playing = False
        track = self.tracks[message.side]
        session = track.session
        with TURNS.taken():
            before = session.look(numbers=False)
        self._advance(1, watch=True, weights=True)
        parts, arrays = [], {"before.realness": before.realness, "before.samples": before.samples}
        with TURNS.taken():
            for i, update in enumerate(track.updates):
                parts.append({"player": update.player, "second": update.second, "terms": update.terms})
                arrays |= {f"{i}.{name}": points for name, points in update_arrays(update).items()}
                if update.player == "discriminator" and update.weights is not None:
                    arrays[f"{i}.realness"] = session.realness_with(update.weights).numpy()
            after = session.look(numbers=False)
        arrays |= {"after.samples": after.samples, "after.at": before.arrows[0], "after.arrows": after.arrows[1]}
        header = {"is": "slow", "side": message.side, "step": session.state.step, "parts": parts}
        self.send(pack(header, arrays))
        self._show(numbers=True)

    # --- training ---
    def _train(self) -> None:
        """One step, and a frame if one is due."""
        now = time.monotonic()
        if self.pace:
            if now < self._due:
                return
            self._due = max(self._due + 1 / self.pace, now - 0.2)
        ready = self.seen >= self.frame
        elapsed = now - self.begun_at
        due = ready and ((elapsed > INTERVAL and self.steps + 1 >= FEWEST) or elapsed > LATEST)
        try:
            self._advance(1, watch=due)
        except SparringError as error:
            self.playing = False
            self.say("error", text=str(error))
            self._show(numbers=False)
            return
        if due:
            self._show(numbers=self.frame % NUMBERS_EVERY == 0)

    def _advance(self, count: int, *, watch: bool, weights: bool = False) -> None:
        if max(track.step for track in self.tracks) + count > LONGEST:
            self.playing = False
            raise SparringError(f"a session ends after {LONGEST:,} steps: rewind, or start anew")
        for track in self.tracks:
            for done in range(count):  # one at a time, so that pages take turns
                with TURNS.taken():
                    last = done == count - 1
                    track.advance(1, watch=watch and last, weights=weights and last)
                if self.closed.is_set():
                    return
        self.steps += count

    # --- what the page sees ---
    def _show(self, *, numbers: bool = True) -> None:
        """Send a frame, and any settings that have changed since the page was told."""
        self.begun_at = time.monotonic()
        sides: list[dict[str, Any]] = []
        arrays: dict[str, Any] = {}
        for i, track in enumerate(self.tracks):
            try:
                with TURNS.taken():
                    look = track.session.look(numbers=numbers)
                    about, own = side_parts(track.session, look, track.updates)
                    about["alarm"] = self._alarm(i, alarm(track.session.world, look))
            except NonFiniteLossError as error:
                track.broken = track.broken or str(error).partition(": the run stops")[0] + "."
                about, own = (
                    {"step": track.step, "alarm": track.broken, "numbers": None, "losses": {}, "totals": {}},
                    {},
                )
                self.playing = False
            sides.append({**about, "latest": track.latest, "changed": track.changed_at})
            arrays |= {f"{i}.{name}": array for name, array in own.items()}
        self._settings()
        self.frame += 1
        header = {"is": "frame", "frame": self.frame, "playing": self.playing, "steps": self.steps, "sides": sides}
        self.sent_at, self.steps = time.monotonic(), 0
        self.send(pack(header, arrays))

    def _alarm(self, side: int, words: str | None) -> str | None:
        """Training that has left the world is stopped once; whoever plays on wants to see it."""
        if self.tracks[side].broken is not None:
            self.playing = False
            return self.tracks[side].broken
        if words is None:
            self._warned[side] = False
        elif not self._warned[side]:
            self._warned[side], self.playing = True, False
        return words

    def _settings(self) -> None:
        recipes = [track.session.recipe for track in self.tracks]
        if len(recipes) == len(self._told) and all(map(lambda a, b: a is b, recipes, self._told)):
            return
        self._told = recipes
        self.say("settings", sides=[recipe.to_dict() for recipe in recipes])

    def say(self, what: str, **more: Any) -> None:
        self.send(json.dumps({"is": what, **more}, ensure_ascii=False))


def world_of(choice: WorldChoice, seed: int) -> World:
    """The world that a page chose. Raises SparringError if there is none such."""
    if choice.name == "drawn":
        return drawn(choice.points, choice.negatives, seed=seed)
    if choice.name not in world_names():
        raise SparringError(f"there is no world '{choice.name}' in the playground")
    limit_options(choice)
    return make_world(choice.name, dict(choice.options), seed=seed)


def limit_options(choice: WorldChoice) -> None:
    """Refuse worlds so large that a look at them takes long."""
    for key, value in choice.options.items():
        most = SIDE if key == "side" else MODES
        if isinstance(value, int) and value > most:
            raise SparringError(f"world.{key} is at most {most} in the playground")
