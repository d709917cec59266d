"""The idx format of MNIST and Fashion-MNIST, and folders that hold its four official files."""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

from sparring.errors import SparringError

_PREFIX = {"train": "train", "test": "t10k"}
_MAX_AXES = 4


def read_idx(path: str | Path) -> np.ndarray:
    """A uint8 array from an idx file, gzipped or not: 2 zero bytes, type 8 (uint8), the number of axes, their lengths
    as big-endian 32-bit integers, then the values. Raises SparringError for anything else.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise SparringError(f"cannot read idx file '{path}': {error}") from error
    if len(data) < 4 or data[:3] != b"\0\0\x08" or not 1 <= data[3] <= _MAX_AXES:
        raise SparringError(
            f"'{path}' is not an idx file of bytes: it starts with {data[:4].hex(' ')}, not 00 00 08 0n"
        )
    start = 4 + 4 * data[3]
    shape = struct.unpack(f">{data[3]}I", data[4:start]) if len(data) >= start else ()
    if not shape or len(data) - start != np.prod(shape):
        raise SparringError(f"idx file '{path}' is damaged: {len(data) - start} values for shape {list(shape)}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape).copy()


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
    return next((file for file in (path, path.with_name(path.name + ".gz")) if file.is_file()), None)
