"""The idx format of MNIST and Fashion-MNIST, and folders that hold its four official files."""

import gzip
import math
import os
import struct
from pathlib import Path

import numpy as np

from sparring.errors import SparringError, one_line
from sparring.limits import check_inflation, check_memory

_PREFIX = {"train": "train", "test": "t10k"}
_MAX_AXES = 4


def read_idx(path: str | Path) -> np.ndarray:
    """A uint8 array from an idx file, gzipped or not: 2 zero bytes, type 8 (uint8), the number of axes, their lengths
    as big-endian 32-bit integers, then the values. Raises SparringError for anything else.
    """
    path = Path(path)
    with one_line(f"cannot read idx file '{path}': "), path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        with gzip.open(raw) if packed else raw as file:
            start = file.read(4)
            if len(start) < 4 or start[:3] != b"\0\0\x08" or not 1 <= start[3] <= _MAX_AXES:
                raise SparringError(
                    f"'{path}' is not an idx file of bytes: it starts with {start.hex(' ')}, not 00 00 08 0n"
                )
            lengths = file.read(4 * start[3])
            shape = struct.unpack(f">{start[3]}I", lengths) if len(lengths) == 4 * start[3] else ()
            size = math.prod(shape) if shape else 0
            stored = path.stat().st_size
            if packed:
                check_inflation(size, stored, f"idx file '{path}'")
                check_memory(size, f"idx file '{path}'", "use a part of it")
            values = file.read((size if packed else min(size, stored)) + 1)  # one more shows whether there are more
    if not shape or len(values) != size:
        held = f"more than {size}" if len(values) > size else len(values)
        raise SparringError(f"idx file '{path}' is damaged: {held} values for shape {list(shape)}")
    return np.frombuffer(values, np.uint8).reshape(shape).copy()


def idx_splits(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Split -> (images, labels) for the official files in a folder; {} if it holds none."""
    found = {}
    for split, prefix in _PREFIX.items():
        images = _either(folder / f"{prefix}-images-idx3-ubyte")
        labels = _either(folder / f"{prefix}-labels-idx1-ubyte")
        if images and labels:
            found[split] = (images, labels)
    return found


def _either(path: Path) -> Path | None:
    return next((file for file in (path, path.with_name(path.name + ".gz")) if os.path.isfile(file)), None)
