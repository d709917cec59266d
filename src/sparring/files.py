"""Files that are written whole or not at all, what they hash to, and where caches are kept."""

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

ANOTHER_FOLDER = "choose another folder with --out"  # the cure where one cannot be written to
UNFINISHED = ".unfinished"  # how a file ends while it is being written
_OF_THE_DISK = ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "EIO")
_OF_THE_PLACE = ("ENOTDIR", "EISDIR", "EEXIST", "ENAMETOOLONG", "ELOOP")
_FAULTS = {getattr(errno, name) for name in (*_OF_THE_DISK, *_OF_THE_PLACE) if hasattr(errno, name)}


def write_atomically(path: Path | str, content: Any | Iterable[Any]) -> None:
    """Write a file so that a reader, a crash or a full disk finds the old one or the new one and nothing between.

    content: bytes, text, or a list of things with a buffer, such as contiguous arrays. Raises OSError where it cannot be
    written; nothing is left behind then.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        content = content.encode(
            errors="backslashreplace"
        )  # for a path that is not UTF-8; JSON reads it back unchanged
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


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed process left half-written below a folder."""
    for path in folder.rglob(f".*{UNFINISHED}"):
        path.unlink(missing_ok=True)


@contextmanager
def one_line_for_disk_errors(cure: str) -> Iterator[None]:
    """Within the block a disk that is full, read-only or forbidden raises SparringError, with the cure at its end."""
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
    """Make a folder and try it, before work whose end is to be written there. Raises SparringError with the cure."""
    with one_line_for_disk_errors(cure):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as error:  # below a folder such as /proc nothing can be made
            raise _cannot_write(error, cure) from None
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(folder)) from None  # name the folder, not a file of the test


@contextmanager
def writable(folder: Path, cure: str) -> Iterator[None]:
    """As `check_writable`; a folder that this makes is removed again if the work within fails before it writes."""
    made = missing_folders(folder)
    try:
        check_writable(folder, cure)
        yield
    except BaseException:
        remove_empty(made)
        raise


def missing_folders(folder: Path) -> list[Path]:
    """The folder and those around it that do not exist, the innermost first."""
    return [each for each in (folder, *folder.parents) if not each.exists()]


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders, the innermost first, up to one that is not empty."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def own_copy(value: torch.Tensor) -> torch.Tensor:
    """A tensor as a file of weights takes it: on the CPU, contiguous, and sharing no memory, as tied weights do."""
    import torch

    return value.detach().cpu().clone(memory_format=torch.contiguous_format)


def content_hash(value: Any) -> str:
    """A hash of nested dicts, lists, tensors and plain values: of names, types, shapes and bits; not of a dict's order."""
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


TIME_FIELDS = ("seconds", "steps_per_second")  # the only fields that differ between two runs of one recipe


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The whole rows of a JSON-lines file; a last line that was cut off is left out. No file: no rows."""
    rows = []
    lines = read_bytes(path, LOG_BYTES).split(b"\n") if path.exists() else []
    for line in lines:
        try:
            row = parse_json(line, "the row")
        except SparringError:
            break
        if not isinstance(row, dict) or not isinstance(row.get("step"), int):
            break
        rows.append(row)
    return rows
