"""Folders as runs and studies leave them, made in no time: nothing is trained."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sparring.run.alive import sign_of_life
from sparring.study.resolve import resolve
from sparring.study.results import RESULTS_FILE, Result, append

RECIPE: dict[str, Any] = {
    "name": "made",
    "about": "A made-up run",
    "data": {"source": "images.npz"},
    "objective": {"hinge": {}, "r1": {"weight": 5.0}},
    "generator": {"network": {"kind": "dcgan", "width": 8}},
    "steps": 100,
    "seed": 0,
}
CLASSES = ("ant", "bee", "cat")


def png(shade: int, side: int = 24, text: str = "") -> bytes:
    """A small grey picture; text: what it says of its classes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + bytes((shade + 9 * x * y) % 256 for x in range(side)) for y in range(side))
    said = chunk(b"tEXt", b"sparring:classes\0" + text.encode()) if text else b""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + said + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def log_rows(first: int, last: int, every: int = 10) -> list[dict[str, Any]]:
    """Rows of a log, from after step `first` up to step `last`."""
    return [
        {"step": step, "update": step, "images": 8 * step, "discriminator/hinge": 2 - step / 100, "generator/hinge": 0.5,
         "discriminator/real_score": 1.0, "discriminator/fake_score": -step / 50, "seconds": step / 10,
         "steps_per_second": 10.0}
        for step in range(first + every, last + 1, every)
    ]  # fmt: skip


def record(step: int, value: float, **more: Any) -> dict[str, Any]:
    """A row of metrics.jsonl."""
    protocol = {"extractor": "fashion", "weights_sha256": "2dc8", "resize": "none", "n_fake": 500, "n_real": 8000}
    protocol |= {"data": "fashion-mnist-10k", "split": "train", "seed": 0, "device": "cpu", "torch": "2.9"}
    return {"step": step, "metric": "fashion-FD", "value": value, "better": "lower", **protocol, **more}


def made_run(
    folder: Path, step: int = 100, state: str | None = "finished", message: str | None = None, **recipe: Any
) -> Path:
    """A run of 100 steps that has come to a step. state: of its status.json; None leaves none, as version 0.1 did."""
    (folder / "samples").mkdir(parents=True)
    hardware, versions = "x86_64 with AVX512, 1 thread", {"sparring": "0.1.0", "torch": "2.9"}
    settings = {key: value for key, value in (RECIPE | recipe).items() if value is not None}
    facts = {"recipe": settings, "hardware": hardware, "versions": versions, "commit": "abc123def"}
    data = {"name": "fashion", "split": "train", "images": 8000, "size": 8, "channels": 1, "classes": 3}
    facts |= {"data": data | {"class_names": list(CLASSES)}, "command": "sparring train made"}
    (folder / "recipe.json").write_text(json.dumps(facts))
    (folder / "log.jsonl").write_text(lines(log_rows(0, step)))
    (folder / "metrics.jsonl").write_text(lines(record(at, 100 - at / 2) for at in range(50, step + 1, 50)))
    said = {"collapse": "the samples collapse: the samples' diversity is 0.05. People try: a larger batch"}
    vitals = [{"step": 0, "diversity": 0.2, "moved": None}, {"step": 50, "diversity": 0.05, "warnings": said}]
    (folder / "vitals.jsonl").write_text(lines(row for row in vitals if row["step"] <= step))
    for at in range(0, step + 1, 50):
        add_sheet(folder, at)
    if state is not None:
        sign = sign_of_life() | ({"process": 2**22 + 5} if state == "killed" else {})
        sign |= {"state": "training" if state == "killed" else state, "message": message}
        (folder / "status.json").write_text(json.dumps(sign))
    return folder


def add_sheet(folder: Path, step: int) -> None:
    """A picture of samples at a step."""
    said = json.dumps({"columns": 3, "width": 1, "classes": CLASSES, "of": 3})
    (folder / "samples" / f"step-{step:06d}.png").write_bytes(png(step % 256, text=said))


def made_study(folder: Path, seeds: int = 10, done: int = 25) -> Path:
    """A study of three rows and some seeds, of which the first runs are done, one has failed, and the next one trains."""
    rows = {
        label: {"recipe": "quickstart", "set": {"objective.r1.weight": float(k)}}
        for label, k in zip("abc", (1, 5, 9), strict=True)
    }
    claims = [{"says": "b beats a", "metric": "fd", "row": "b", "against": "a", "direction": "lower"}]
    plan = {
        "name": "made",
        "about": "A made-up study",
        "rows": rows,
        "claims": claims,
        "scales": {"mini": {"steps": 100}},
    }
    study = resolve(plan, "mini", seeds=seeds)
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps({**study.to_dict(), "command": "sparring study run made"}))
    (folder / "files").mkdir()
    number = 0
    for seed in study.seeds:
        for row in study.rows.values():
            number += 1
            if number > done + 1:
                continue
            made_run(folder / "runs" / row.slug / str(seed), 100 if number <= done else 40, None, seed=seed)
            if number > done:
                running = {"row": row.label, "seed": seed, "since": time.time()}
                continue
            value, failed = 50.0 + number % 7, "not finite at step 60" if number == 4 else None
            curve = {"fashion-FD": [[50, value + 9], [100, value]]}
            values = {} if failed else {"fashion-FD": value}
            sheet = {"samples": f"files/{row.slug}-{seed}-samples.png"}
            (folder / sheet["samples"]).write_bytes(png(number))
            append(
                folder / RESULTS_FILE,
                Result(
                    row.label, seed, "gan", row.hash, failed=failed, values=values, curve=curve, files=sheet, steps=100
                ),
            )
    sign = {"process": os.getpid(), "host": socket.gethostname(), "at": time.time(), "jobs": 1, "errors": {}}
    (folder / "status.json").write_text(json.dumps({**sign, "running": [running]}))
    return folder


def everything_in(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """The bytes and times of all that is in a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        said = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path)] = (said.st_mtime_ns, said.st_size, content)
    return found
