"""Opens files below the folders that were given, and nothing else: no link is followed, no pipe is waited for.

A `Place` is a folder by the folder that was given and the names below it. Names come from listings or from the code, never
from a request, and every one of them is opened inside the one before it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sparring.errors import SparringError
from sparring.limits import in_words

PICTURE_BYTES = 64 * 2**20  # of a picture; a sheet of 64 samples of 256 pixels has some MB
LISTED = 20_000  # names of a folder that are looked at


@dataclass(frozen=True)
class Place:
    """A folder: `root` was given, and `names` lead from there."""

    root: Path
    names: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        return self.root.joinpath(*self.names)

    def __truediv__(self, name: str) -> Place:
        return Place(self.root, (*self.names, name))

    def signature(self, *names: str) -> tuple[int, int, int] | None:
        """What changes when a file or folder below this one is written to: inode, time and size. None if there is none."""
        try:
            with self._folder(names[:-1]) as folder:
                found = os.stat(names[-1], dir_fd=folder, follow_symlinks=False)
        except OSError:
            return None
        is_plain = stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)
        return (found.st_ino, found.st_mtime_ns, found.st_size) if is_plain else None

    def has(self, *names: str) -> bool:
        return self.signature(*names) is not None

    def listing(self, *names: str) -> dict[str, bool]:
        """The names in a folder below this one, sorted, and whether each is a folder. No links, pipes or devices."""
        try:
            with self._folder(names) as folder, os.scandir(folder) as found:
                some = [each for each, _ in zip(found, range(LISTED), strict=False)]
                kinds = {each.name: each.is_dir(follow_symlinks=False) for each in some if _is_plain(each)}
        except OSError:
            return {}
        return dict(sorted(kinds.items()))

    @contextmanager
    def open(self, *names: str) -> Iterator[int]:
        """A descriptor of a plain file below this folder. Raises OSError for anything else."""
        with self._folder(names[:-1]) as folder:
            handle = os.open(names[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError(f"{names[-1]} is not a file")
            yield handle
        finally:
            os.close(handle)

    def read(self, *names: str, most: int) -> bytes:
        """The bytes of a file. Raises SparringError if it cannot be read or is larger than `most`."""
        where = self.path.joinpath(*names)
        try:
            with self.open(*names) as handle:
                if os.fstat(handle).st_size > most:
                    raise SparringError(f"{where} has more than {in_words(most)}: too large for the board")
                with os.fdopen(os.dup(handle), "rb") as file:
                    return file.read(most)
        except OSError as error:
            raise SparringError(f"cannot read {where}: {error.strerror or error}") from None

    @contextmanager
    def _folder(self, names: tuple[str, ...]) -> Iterator[int]:
        handle = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in (*self.names, *names):
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle)
                os.close(handle)
                handle = inner
            yield handle
        finally:
            os.close(handle)


def _is_plain(entry: os.DirEntry[str]) -> bool:
    return entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
