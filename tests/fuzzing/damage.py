"""Damage valid bytes: at random, or in a way that no checksum detects."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save

from fuzzing.values import WRONG, change


def damaged(random: Random, content: bytes) -> bytes:
    """Bytes with flipped bits, truncated, or with a piece repeated, removed, overwritten or moved."""
    data = bytearray(content)
    for _ in range(random.choice([1, 1, 2, 5])):
        size = len(data)
        if not size:
            return b"\xff" * random.choice([0, 1, 100])
        at, length = random.randrange(size), random.choice([1, 4, 8, 64, 1000])
        kind = random.randrange(8)
        if kind == 0:
            for _ in range(random.choice([1, 8, 100])):
                data[random.randrange(size)] ^= 1 << random.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            del data[at : at + length]
        elif kind == 3:
            data[at:at] = data[at : at + length]
        elif kind == 4:
            data[at : at + length] = bytes([random.choice([0, 1, 0x7F, 0x80, 0xFF])]) * min(length, size - at)
        elif kind == 5:
            data[at : at + 4] = struct.pack(
                random.choice("<>") + "I", random.choice([0, 1, 2**31 - 1, 2**32 - 1, 10**9])
            )
        elif kind == 6:
            head = min(size, 200)  # where lengths and types are stored
            data[random.randrange(head)] = random.randrange(256)
        else:
            to = random.randrange(size)
            data[to : to + length] = data[at : at + length]
    return bytes(data)


def changed_json(random: Random, content: bytes) -> bytes:
    """Valid JSON with other content."""
    values = json.loads(content)
    if isinstance(values, dict) and values:
        change(random, values)
    else:
        values = random.choice(WRONG)
    try:
        return json.dumps(values, default=str).encode("utf-8", "surrogatepass")
    except (RecursionError, ValueError):
        return b"[" * 100_000


def changed_npz(random: Random, content: bytes) -> bytes:
    """A valid npz archive in which one member is damaged, claims another shape or type, or is missing."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = random.choice(list(members))
    kind = random.randrange(4)
    if kind == 0:
        del members[name]
    elif kind == 1:
        members[name] = damaged(random, members[name])
    else:
        shape = tuple(random.choice([0, 1, 3, 40, 10**6, 10**12, 2**62]) for _ in range(random.randrange(5)))
        dtype = random.choice(["|u1", "<i8", "<f8", "|O", "<U9", "|b1", "<c16", "<M8[s]", "|V1000000", "<u8"])
        buffer = io.BytesIO()
        np.lib.format.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": shape})
        size = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
        rest = random.randbytes(size) if size < 10**6 and kind == 2 else random.randbytes(200)
        members[name] = buffer.getvalue() + rest
    return zipped(members, random.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def changed_zip(random: Random, content: bytes) -> bytes:
    """A valid zip file with members that are damaged, enormous or renamed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = random.choice(list(members))
    kind = random.randrange(4)
    if kind == 0:
        members[name] = damaged(random, members[name])
    elif kind == 1:
        members[name] = bytes(random.choice([10**6, 3 * 10**7]))
    elif kind == 2:
        other = random.choice(
            ["../x.png", "/x.png", "a/" * 500 + "x.png", "\xe9.png", "C:x.png", ".x/y.png", "x.png/", ""]
        )
        members[other or "a.png"] = members.pop(name)
    else:
        members["dataset.json"] = changed_json(random, b'{"labels": [["a/0.png", 0]]}')
    return zipped(members)


def changed_description(random: Random, content: bytes, folder: Path) -> bytes:
    """A generator's file with valid weights and a wrong description."""
    (folder / "before.safetensors").write_bytes(content)
    with safe_open(folder / "before.safetensors", framework="pt") as file:
        metadata = dict(file.metadata())
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    metadata["sparring"] = changed_json(random, metadata["sparring"].encode()).decode("utf-8", "replace")
    return save(tensors, metadata)


def changed_checkpoint(random: Random, content: bytes) -> bytes:
    """A checkpoint that torch can read, with another state."""
    state = torch.load(io.BytesIO(content), weights_only=True)
    deep: Any = []
    for _ in range(random.choice([3, 30, 300])):
        deep = [deep] * random.choice([1, 10])
    wrong = [
        torch.zeros(1).expand(10**12),
        deep,
        {(1, 2): 3},
        torch.zeros(0),
        None,
        "x",
        5,
        {"a": torch.ones(2)},
        {1, 2},
    ]
    where = random.choice([state, state["state"]])
    where[random.choice(list(where))] = random.choice(wrong)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()
