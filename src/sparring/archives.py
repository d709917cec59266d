"""Archives of arrays and tensors: what their headers claim is checked against their size before it is believed."""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from sparring.errors import SparringError, one_line
from sparring.files import UNFINISHED
from sparring.limits import CHECKPOINT_NODES, DEPTH, SHARED, check_inflation, check_memory, in_words


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write one uncompressed `.npz`, which appears only once it is complete.

    Raises OSError if it cannot be written, and leaves nothing behind.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}{UNFINISHED}")  # not in memory first: it may be large
    try:
        with unfinished.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # NumPy's types confuse an array with its option
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None  # name the file, not its unfinished one
    finally:
        unfinished.unlink(missing_ok=True)


class Npz:
    """The arrays of an opened `.npz` by name. Never unpickles."""

    def __init__(self, archive: zipfile.ZipFile, before: str):
        self._archive, self._before = archive, before
        names = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        self._members = {name: info for name, info in names.items() if info.filename.endswith(".npy")}

    @property
    def names(self) -> list[str]:
        return list(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and type of an array. Raises SparringError if they do not agree with its member's size."""
        info = self._members[name]
        with self._archive.open(info) as member:
            return npy_header(member, info.file_size, f"{self._before}'{name}'")

    def __getitem__(self, name: str) -> np.ndarray:
        self.header(name)
        info = self._members[name]
        check_inflation(info.file_size, info.compress_size, f"{self._before}'{name}'")
        check_memory(info.file_size, f"{self._before}'{name}'", "pack fewer or smaller images")
        with self._archive.open(info) as member:
            return np.lib.format.read_array(member, allow_pickle=False)


@contextmanager
def open_npz(path: Path, before: str | None = None) -> Iterator[Npz]:
    """The arrays of an `.npz`. before: the beginning of errors, which names the file.

    Raises SparringError, also within the block, if the file is not an `.npz`, is damaged or holds Python objects.
    """
    before = f"cannot read '{path}': " if before is None else before
    try:
        with zipfile.ZipFile(path) as archive:
            yield Npz(archive, before)
    except (SparringError, MemoryError):
        raise
    except zipfile.BadZipFile as error:
        raise SparringError(f"{before}damaged? ({error}; it is not a complete zip file)") from error
    except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds of error for damaged files
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise SparringError(f"{before}damaged? ({reason})") from error


def npy_header(file: IO[bytes], size: int, what: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type in the header of a `.npy` of `size` bytes. Raises SparringError if they do not agree with its size or
    if it holds Python objects, and whatever NumPy raises for a damaged header."""
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    # version 3 differs from 2 only in the names of fields, and these arrays have none
    shape, _, dtype = readers.get(version, np.lib.format.read_array_header_2_0)(file)  # type: ignore[no-untyped-call]
    if dtype.hasobject:
        raise SparringError(f"{what} holds Python objects, which are never loaded")
    if any(length < 0 for length in shape):
        raise SparringError(f"{what} is damaged: its shape is {list(shape)}")
    claimed, held = math.prod(shape) * dtype.itemsize, size - file.tell()
    if claimed != held:
        raise SparringError(
            f"{what} is damaged: its header claims {dtype} {list(shape)!s:.60}, {in_words(claimed)}, and it holds "
            f"{in_words(held)}"
        )
    return shape, dtype


def read_npy(path: Path) -> np.ndarray:
    """The array of a `.npy` file. Raises SparringError for anything else."""
    with one_line(f"{path} is not a readable .npy: "):
        size = path.stat().st_size
        with path.open("rb") as file:
            if zipfile.is_zipfile(file):
                raise SparringError(f"{path} is an archive of arrays, an .npz: save the one array of points as .npy")
            file.seek(0)
            npy_header(file, size, str(path))
            check_memory(size, str(path), "take fewer points")
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)


def check_tensor_archive(file: Path | bytes, what: str) -> None:
    """Raise SparringError unless a zip's members, as torch.save writes them, are no larger than the file.

    torch stores tensors without compression: a member that is larger than its file is made to fill the memory.
    """
    source, size = (file, file.stat().st_size) if isinstance(file, Path) else (io.BytesIO(file), len(file))
    with one_line(f"{what} is damaged: "), zipfile.ZipFile(source) as archive:
        claimed = sum(info.file_size for info in archive.infolist())
    if claimed > SHARED * size:
        raise SparringError(f"{what} is damaged: its {in_words(size)} claim to hold {in_words(claimed)}")


def check_tensors(value: Any, size: int, what: str) -> None:
    """Raise SparringError unless nested dicts and lists hold only tensors and plain values, about as large as their file.

    size: that of the file. A tensor may claim more than it stores (an expanded one), and lists may repeat one another.
    """
    import torch

    pending: list[tuple[Any, int]] = [(value, 0)]
    count = held = 0
    while pending:
        part, level = pending.pop()
        count += 1
        if isinstance(part, torch.Tensor):
            held += part.numel() * part.element_size()
        elif isinstance(part, dict):
            wrong = next((key for key in part if not isinstance(key, str | int)), None)
            if wrong is not None:
                raise SparringError(f"{what} is damaged: a key is {type(wrong).__name__}")
            pending += [(inner, level + 1) for inner in part.values()]
        elif isinstance(part, list | tuple):
            pending += [(inner, level + 1) for inner in part]
        elif not (part is None or isinstance(part, bool | int | float | str)):
            raise SparringError(f"{what} holds {type(part).__name__}: only tensors and plain values are read")
        if count > CHECKPOINT_NODES or level > DEPTH or held > SHARED * size:
            raise SparringError(
                f"{what} is damaged: it is nested deeper than {DEPTH}, holds more than {CHECKPOINT_NODES:,} values, or "
                f"claims more than {SHARED} times its {in_words(size)}"
            )
