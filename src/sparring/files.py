"""Writing files whole or not at all, hashing, and the place of caches."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparring.errors import SparringError
from sparring.limits import LOG_BYTES
from sparring.parsing import parse_json, read_bytes

if TYPE_CHECKING:
    import torch

ANOTHER_FOLDER = "choose another folder with --out"  # the cure for one that cannot be written to
TIME_FIELDS = ("seconds", "steps_per_second")  # of a log: all that differs between two runs of one recipe
UNFINISHED = ".unfinished"  # how a file ends while it is being written
_OF_THE_DISK = ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "EIO")
_OF_THE_PLACE = ("ENOTDIR", "EISDIR", "EEXIST", "ENAMETOOLONG", "ELOOP")
_FAULTS = {getattr(errno, name) for name in (*_OF_THE_DISK, *_OF_THE_PLACE) if hasattr(errno, name)}


def write_atomically(path: Path | str, content: Any | Iterable[Any]) -> None:
    """Write a file so that after a crash or on a full disk it is the old one or the new one, never a part.

    content: bytes, text, or a list of buffers, such as contiguous arrays. Raises OSError if it cannot be written, and leaves
    nothing behind.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        content = content.encode(errors="backslashreplace")  # a path may not be UTF-8; JSON reads it back unchanged
    chunks = [content] if isinstance(content, bytes | bytearray | memoryview) else content
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=UNFINISHED)
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from None  # name the file, not its temporary one
        raise
    _sync_folder(path.parent)


def write_json(path: Path | str, values: Any) -> None:
    """Write a JSON file atomically, readable by people."""
    write_atomically(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def append_line(path: Path, text: str) -> None:
    """Add a line to a file, in place of one that was cut off, so that a power cut does not take it back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        end = file.seek(0, os.SEEK_END)
        while end and (file.seek(end - 1), file.read(1))[1] != b"\n":
            end -= 1
        file.truncate(end)
        file.write(f"{text}\n".encode(errors="backslashreplace"))
        file.flush()
        os.fsync(file.fileno())


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed process left half-written below a folder."""
    for path in folder.rglob(f".*{UNFINISHED}"):
        path.unlink(missing_ok=True)


@contextmanager
def one_line_for_disk_errors(cure: str) -> Iterator[None]:
    """Within the block a disk that is full, read-only or forbidden raises SparringError, which ends in the cure."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FAULTS:
            raise
        raise _cannot_write(error, cure) from None


def _cannot_write(error: OSError, cure: str) -> SparringError:
    what = f"cannot write {error.filename}" if error.filename else "cannot write"
    return SparringError(f"{what}: {error.strerror}; {cure}")


def check_writable(folder: Path, cure: str) -> None:
    """Make a folder and try to write there, before the work. Raises SparringError, which ends in the cure."""
    with one_line_for_disk_errors(cure):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as error:  # nothing can be made below a folder such as /proc
            raise _cannot_write(error, cure) from None
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(folder)) from None  # name the folder, not a file of the test


@contextmanager
def writable(folder: Path, cure: str) -> Iterator[None]:
    """As `check_writable`, but a folder that this made is removed again if the work fails before it writes."""
    made = missing_folders(folder)
    try:
        check_writable(folder, cure)
        yield
    except BaseException:
        remove_empty(made)
        raise


def missing_folders(folder: Path) -> list[Path]:
    """The folder and its parents that do not exist, innermost first."""
    return [each for each in (folder, *folder.parents) if not each.exists()]


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders, innermost first, up to one that is not empty."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def own_copy(value: torch.Tensor) -> torch.Tensor:
    """A copy of a tensor for a file of weights: on the CPU, contiguous, sharing no memory with another."""
    import torch

    return value.detach().cpu().clone(memory_format=torch.contiguous_format)


def content_hash(value: Any) -> str:
    """A hash of names, types, shapes and bits in nested dicts, lists, tensors and values; the order of keys is ignored."""
    import torch

    digest = hashlib.sha256()

    def add(part: Any) -> None:
        if isinstance(part, torch.Tensor):
            digest.update(f"tensor {part.dtype} {tuple(part.shape)}".encode())
            digest.update(part.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        elif isinstance(part, dict):
            digest.update(f"dict {len(part)}".encode())
            for key in sorted(part, key=repr):
                digest.update(repr(key).encode())
                add(part[key])
        elif isinstance(part, list | tuple):
            digest.update(f"list {len(part)}".encode())
            for inner in part:
                add(inner)
        else:
            digest.update(repr(part).encode())

    add(value)
    return digest.hexdigest()


def cache_folder() -> Path:
    """$SPARRING_CACHE, else sparring's folder below $XDG_CACHE_HOME or ~/.cache."""
    if own := os.environ.get("SPARRING_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sparring"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut, where the system can do that."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSON-lines file up to a line that was cut off; [] if there is no file."""
    return _rows(read_bytes(path, LOG_BYTES).split(b"\n") if path.exists() else [])


def last_rows(path: Path, within: int = 2**17) -> list[dict[str, Any]]:
    """As `read_rows`, but only those in the last `within` bytes of the file, so that a long log costs no more."""
    if not path.is_file():
        return []
    with path.open("rb") as file:
        start = max(0, file.seek(0, os.SEEK_END) - within)
        file.seek(start)
        lines = file.read(within).split(b"\n")
    return _rows(lines[1:] if start else lines)


def _rows(lines: Iterable[bytes]) -> list[dict[str, Any]]:
    rows = []
    for line in lines:
        try:
            row = parse_json(line, "the row")
        except SparringError:
            break
        if not isinstance(row, dict) or not isinstance(row.get("step"), int):
            break
        rows.append(row)
    return rows
