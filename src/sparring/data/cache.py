"""Packed images on disk, so that they are decoded only once.

An entry is `<slot>.bin`, the pixels [N, H, W, C] followed by the labels (int64, little-endian) if there are any, and
`<slot>.json`, which says what the bytes mean, what they were made from (`key`), what they hash to, and what the user
was told while they were made (`notes`). A slot belongs to one source with one set of options: when the source changes,
its key does, and the entry is rewritten. An entry with a wrong key, length or hash counts as absent.
"""

import contextlib
import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from sparring.data.assemble import empty_in_memory
from sparring.data.packed import PackedImages
from sparring.data.stored import Stored
from sparring.files import cache_folder, write_atomically, write_json

FORMAT = 3  # raise it when decoding or this layout changes: older entries are then remade
MAP_ABOVE = 256 * 2**20  # bytes; larger arrays stay on disk and are mapped into memory


def default_folder() -> Path:
    """`images` in the cache folder, which $SPARRING_CACHE can move."""
    return cache_folder() / "images"


def key_of(*parts: object) -> str:
    """A hash of plain values, for slots and keys."""
    return hashlib.blake2b(repr((FORMAT, parts)).encode(), digest_size=16).hexdigest()


def read_entry(folder: Path, slot: str, key: str) -> tuple[PackedImages, list[str]] | None:
    """The entry, mapped into memory if it is large, and its notes; None if it is absent, stale or damaged."""
    try:
        meta = json.loads((folder / f"{slot}.json").read_text())
        if meta["key"] != key or meta["format"] != FORMAT:
            return None
        shape, labelled = [int(length) for length in meta["shape"]], bool(meta["labelled"])
        pixel_bytes = int(np.prod(shape))
        path = folder / f"{slot}.bin"
        if path.stat().st_size != pixel_bytes + 8 * shape[0] * labelled:
            return None
        data = map_file(path) if pixel_bytes > MAP_ABOVE else torch.from_numpy(np.fromfile(path, dtype=np.uint8))
        labels = None
        if labelled:
            labels = torch.from_numpy(np.frombuffer(data[pixel_bytes:].numpy().tobytes(), "<i8").astype(np.int64))
        images = data[:pixel_bytes].view(shape).permute(0, 3, 1, 2)
        stored = None if meta["stored"] is None else Stored(**meta["stored"])
        packed = PackedImages(images, labels, tuple(meta["class_names"]), meta["name"], meta["split"], stored)
        notes = [str(line) for line in meta["notes"]]
        return (packed, notes) if packed.fingerprint == meta["fingerprint"] else None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, OverflowError):
        return None  # whatever is wrong with it, it can be remade


def write_entry(folder: Path, slot: str, key: str, packed: PackedImages, notes: Sequence[str] = ()) -> None:
    """Write the entry so that a crash at any point leaves the old one, the new one, or one that is recognised as damaged.

    Raises OSError if the folder cannot be written to.
    """
    pixels = packed.images.permute(0, 2, 3, 1).numpy()
    labels = None if packed.labels is None else packed.labels.numpy().astype("<i8")
    meta = {
        "format": FORMAT,
        "key": key,
        "shape": list(pixels.shape),
        "labelled": labels is not None,
        "class_names": packed.class_names,
        "name": packed.name,
        "split": packed.split,
        "stored": None if packed.stored is None else asdict(packed.stored),
        "fingerprint": packed.fingerprint,
        "notes": list(notes),
    }
    write_atomically(folder / f"{slot}.bin", [pixels] if labels is None else [pixels, labels])
    write_json(folder / f"{slot}.json", meta)


def map_file(path: Path) -> torch.Tensor:
    """The bytes of a file, uint8 [N], read as they are needed. Read-only: writing to them crashes the process."""
    mapped = np.memmap(path, dtype=np.uint8, mode="r")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that it cannot mark tensors as read-only; nothing here writes
        return torch.from_numpy(mapped)


def scratch_array(folder: Path, shape: tuple[int, ...]) -> np.ndarray:
    """An empty uint8 array: in memory, or in a nameless file in `folder`, gone with the array, if it is large.

    A full disk under a mapped array would end the process without a message, so the space is reserved first. If the folder
    does not have it, the array is in memory.
    """
    if (size := int(np.prod(shape))) > MAP_ABOVE:
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, size)
                return np.memmap(file, dtype=np.uint8, mode="w+", shape=shape)
    return empty_in_memory(shape)
