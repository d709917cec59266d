"""Folders and zip files alike: files to read, each with a stamp that changes when the file does."""

import hashlib
import os
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sparring.data.classes import printable
from sparring.errors import SparringError
from sparring.limits import IMAGE_BYTES, LISTING_BYTES, PATH_CHARACTERS, PATH_FOLDERS, check_inflation, in_words
from sparring.messages import counted
from sparring.parsing import check_no_pipe, read_bytes

_PIXMAPS = (".ppm", ".pgm", ".pbm", ".pnm")
# What counts as an image, in any case.
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", *_PIXMAPS, ".tif", ".tiff", ".webp")
_JUNK = {"__macosx", "thumbs.db", "desktop.ini"}
_TAIL = 16 * 2**20  # bytes; the table of contents of 150,000 files


class Entry(NamedTuple):
    """An image that a table names. label and split are None where it says nothing of them."""

    path: str
    label: str | None
    split: str | None


@dataclass(frozen=True)
class Tree:
    """A source of files.

    name      as the user gave it, for messages
    stamps    path inside the source, with forward slashes -> a value that changes when the file's content does
    folders   all folders, also the empty ones
    read      the bytes of a path; may be called from several threads
    entries   the images by path, in order, if a table names them
    """

    name: str
    stamps: dict[str, object]
    folders: frozenset[str]
    read: Callable[[str], bytes]
    is_archive: bool = False
    entries: Mapping[str, Entry] | None = None

    def images(self) -> list[str]:
        """The paths that look like images, sorted."""
        return sorted(path for path in self.stamps if is_image(path))


def is_image(path: str) -> bool:
    """Whether a file's name ends like an image's."""
    return path.lower().endswith(IMAGE_SUFFIXES)  # a path object for each would cost seconds on large archives


def note_other_files(tree: Tree, note: Callable[[str], None]) -> None:
    """Say how many files are left out because they are neither images nor a list of their labels."""
    others = [path for path in tree.stamps if not is_image(path) and not path.endswith("dataset.json")]
    if others:
        are = "is not an image and is" if len(others) == 1 else "are not images and are"
        note(f"'{tree.name}': {counted(len(others), 'file')} {are} left out, e.g. '{others[0]}'")


def is_junk(path: str) -> bool:
    """Whether a path is hidden or left behind by an operating system, and so never part of a data set."""
    if "/" not in path:
        return path[:1] == "." or path.lower() in _JUNK
    return any(part.startswith(".") or part.lower() in _JUNK for part in path.split("/"))


def zip_stamp(path: Path) -> str:
    """A value that changes when a zip file's content does: of its size, times and end.

    The end of a zip is its table of contents: the name, size and checksum of every file.
    """
    check_no_pipe(path)
    try:
        status = path.stat()
        with path.open("rb") as file:
            file.seek(max(0, status.st_size - _TAIL))
            tail = hashlib.blake2b(file.read(), digest_size=16).hexdigest()
    except OSError as error:
        raise SparringError(f"cannot read '{path}': {error.strerror}") from error
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {tail}"


@contextmanager
def open_tree(path: Path) -> Iterator[Tree]:
    """The folder or zip file at `path` as a Tree. Raises SparringError if it is neither, or is damaged."""
    if path.is_dir():
        yield _folder(path)
        return
    check_no_pipe(path)
    try:
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise SparringError(f"cannot read '{path}': {error.strerror}") from error
    except Exception as error:  # zipfile raises half a dozen kinds of error for damaged files
        raise SparringError(
            f"'{path}' is not a complete zip file ({error!s:.100}): fetch it again, or give a folder of its images"
        ) from error
    with archive:
        yield _zip(path, archive)


def _folder(root: Path) -> Tree:
    stamps: dict[str, object] = {}
    folders = set()
    seen = set()  # real paths of folders, so that links in a circle end
    pending = [""]
    while pending:
        prefix = pending.pop()
        real = os.path.realpath(root / prefix)
        if real in seen:
            continue
        seen.add(real)
        try:
            entries = list(os.scandir(root / prefix))
        except OSError as error:
            raise SparringError(f"cannot read folder '{root / prefix}': {error.strerror}") from error
        for entry in entries:
            path = prefix + entry.name
            if is_junk(entry.name):
                continue
            try:
                if entry.is_dir():  # which follows links, and raises for one that leads to itself
                    folders.add(path)
                    pending.append(path + "/")
                    continue
                status = entry.stat()
            except OSError as error:
                raise SparringError(f"cannot read '{root / path}': {error.strerror} (a broken link?)") from error
            if stat.S_ISREG(status.st_mode):  # a pipe or a device would be read forever
                stamps[path] = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return Tree(
        printable(str(root)), stamps, frozenset(folders), lambda path: read_bytes(root / path, _most_bytes(path))
    )


def _most_bytes(path: str) -> int:
    """The bytes that a file of a data set may have: an image, or else a list of labels."""
    return IMAGE_BYTES if is_image(path) else LISTING_BYTES


def _zip(path: Path, archive: zipfile.ZipFile) -> Tree:
    infos: dict[str, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    junk: dict[str, bool] = {"": False}  # folder -> whether to leave it out: found once, not for each of its files
    for info in archive.infolist():
        name = info.filename.removeprefix("./").rstrip("/")
        folder, _, file = name.rpartition("/")
        absolute = name[:1] in ("/", "\\") or (name[1:2] == ":" and name[0].isalpha())
        if absolute or file == ".." or (folder not in junk and ".." in folder.split("/")):
            raise SparringError(f"'{path}' holds a path that leads outside it, '{info.filename}': it is not a data set")
        if len(name) > PATH_CHARACTERS or name.count("/") > PATH_FOLDERS:
            raise SparringError(
                f"'{path}' holds a path of {counted(len(name), 'character')} and {counted(name.count('/'), 'folder')}, "
                f"'{name[:40]}...': at most {PATH_CHARACTERS:,} and {PATH_FOLDERS} are allowed"
            )
        if folder not in junk:
            junk[folder] = is_junk(folder)
            if not junk[folder]:
                parts = folder.split("/")
                folders.update("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
        if not name or junk[folder] or is_junk(file):
            continue
        if info.is_dir():
            folders.add(name)
            continue
        if info.flag_bits & 0x1:
            raise SparringError(f"'{path}' is protected by a password ('{name}'): unpack it and give the folder")
        infos[name] = info
    check_inflation(sum(info.file_size for info in infos.values()), path.stat().st_size, f"'{path}'")
    stamps: dict[str, object] = {name: (info.file_size, info.CRC) for name, info in infos.items()}
    return Tree(printable(str(path)), stamps, frozenset(folders), lambda name: _read_member(archive, infos[name]), True)


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """A file of a zip. Raises SparringError if it is too large, and whatever zipfile raises if it is damaged."""
    most = _most_bytes(info.filename)
    if info.file_size > most:
        raise SparringError(
            f"'{info.filename[:100]}' has {in_words(info.file_size)}: at most {in_words(most)} are read"
        )
    return archive.read(info)
