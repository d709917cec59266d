"""Counts the playground's pictures and steps in the browser, for every world and method.

The server has the first core to itself and the browser the second; nothing else should run. With `--unread 10` a second page
plays for ten minutes without reading anything, beside the one that is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

PICTURES, STEPS = 20, 3  # a second, and for each picture: what must hold
SLOW_PICTURES = 12
SLOW = ("wgan-gp", "sdp", "sdp-hinge")
WINDOW = {"width": 1280, "height": 800}


@contextmanager
def server(core: int) -> Iterator[tuple[str, int]]:
    """The link of a playground on one core, and its process."""
    command = [sys.executable, "-m", "sparring", "playground", "--no-open", "--port", "0"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )  # fmt: skip
    try:
        assert process.stderr is not None
        link = re.search(r"http://\S+", process.stderr.readline())
        assert link is not None
        yield link[0], process.pid
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def until(page: Page, what: str, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not page.evaluate(what):
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: {page.locator('#alarm').text_content()}")
        time.sleep(0.02)


def cpu(pid: int) -> float:
    """Seconds of processor time that a process and all below it have taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    below = Path(f"/proc/{pid}/task/{pid}/children")
    return own + sum(cpu(int(child)) for child in below.read_text().split() if Path(f"/proc/{child}").exists())


def play_on(page: Page, seconds: float) -> None:
    """Wait while the page plays. Training that leaves the world stops once, with an alarm, and is then played on."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if not page.evaluate("playground.playing"):
            page.evaluate("playground.play(true)")
        time.sleep(min(0.1, left))


def measured(page: Page, world: str, method: str, seconds: float, pids: tuple[int, int]) -> tuple[float, ...]:
    """Pictures a second, steps a picture, and milliseconds of processor time a picture of server and browser."""
    state = {"world": {"name": world, "options": {}}, "sides": [{"method": method, "changes": {}}]}
    page.evaluate("(state) => playground.load(state)", state)
    until(page, f"playground.world?.name === {json.dumps(world)} && Boolean(playground.frame)")
    page.evaluate("playground.play(true)")
    play_on(page, 1)
    counts = "[performance.now() / 1000, playground.counts.frames, playground.counts.steps]"
    before = [*page.evaluate(counts), *map(cpu, pids)]
    play_on(page, seconds)
    after = [*page.evaluate(counts), *map(cpu, pids)]
    page.evaluate("playground.play(false)")
    until(page, "!playground.frame.playing")
    span, frames, steps, server, browser = ((b - a) for a, b in zip(before, after, strict=True))
    frames = max(frames, 1)
    return (
        frames / span,
        steps / frames,
        1000 * server / frames,
        1000 * (browser - server) / frames,
    )  # which is a child of this process


def memory(pid: int) -> float:
    """Megabytes that a process holds."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def survey(page: Page, options: argparse.Namespace, pids: tuple[int, int]) -> bool:
    catalogue: dict[str, Any] = page.evaluate("playground.catalogue")
    good = True
    print("world          method               pictures/s  steps each  ms of the server  and of the browser, each")
    for world in catalogue["worlds"]:
        for method in catalogue["methods"]:
            skipped = (options.world or world["name"]) != world["name"] or (options.method or method["name"]) != method[
                "name"
            ]
            if skipped or (method["labelled"] and not world["classes"]):
                continue
            pictures, steps, *costs = measured(page, world["name"], method["name"], options.seconds, pids)
            least = SLOW_PICTURES if method["name"] in SLOW else PICTURES
            fine = pictures >= least and (steps >= STEPS or method["name"] in SLOW)
            good &= fine
            numbers = f"{pictures:10.1f} {steps:11.1f} {costs[0]:17.1f} {costs[1]:20.1f}"
            print(f"{world['name']:14s} {method['name']:20s} {numbers}{'' if fine else '  too slow'}", flush=True)
    return good


def unread(page: Page, link: str, pids: tuple[int, int], minutes: float, seconds: float) -> bool:
    """Beside a page that plays and reads nothing: whether another is as quick, and memory stays."""
    from websockets.sync.client import connect

    alone, *_ = measured(page, "ring-8", "non_saturating", seconds, pids)
    start = {"do": "start", "world": {"name": "ring-8"}, "sides": [{"method": "non_saturating"}]}
    origin: Any = link.rstrip("/")
    with connect(f"ws{link.removeprefix('http')}session", origin=origin, max_queue=1, ping_interval=None) as silent:
        silent.send(json.dumps(start))
        silent.send(json.dumps({"do": "play"}))
        time.sleep(10)
        before = memory(pids[0])
        beside, *_ = measured(page, "ring-8", "non_saturating", seconds, pids)
        time.sleep(max(0, 60 * minutes - seconds - 11))
        after = memory(pids[0])
    print(f"beside a page that does not read: {beside:.1f} pictures/s, alone {alone:.1f}")
    print(f"memory of the server: {before:.0f} MB, then {after:.0f} MB")
    return beside > 0.9 * alone and after - before < 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--world", help="this one alone")
    parser.add_argument("--method", help="this one alone")
    parser.add_argument(
        "--unread", type=float, metavar="MINUTES", help="instead, how a page that does not read is borne"
    )
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    first, *others = sorted(os.sched_getaffinity(0))
    with server(first) as (link, pid), sync_playwright() as playwright:
        os.sched_setaffinity(0, {others[0] if others else first})  # the browser inherits it
        browser = playwright.chromium.launch(executable_path=options.chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=WINDOW)  # type: ignore[arg-type]
        page.goto(link)
        until(page, "Boolean(window.playground?.stage.frame)")
        pids = (pid, os.getpid())
        far = options.unread
        good = unread(page, link, pids, far, options.seconds) if far else survey(page, options, pids)
        browser.close()
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
