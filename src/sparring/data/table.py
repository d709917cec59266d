"""A csv file of images, as a Tree: a path on each line, and perhaps its class and split.

file_name,label,split             a header is optional; without one, the columns are path and class
cats/0.png,cat,train              paths are absolute, or relative to the folder of the csv file
dogs/0.png,dog,test
"""

import csv
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from sparring.data.classes import printable
from sparring.data.tree import Entry, Tree, is_image
from sparring.errors import SparringError, one_line
from sparring.limits import IMAGE_BYTES, LISTING_BYTES
from sparring.parsing import read_bytes, read_text

COLUMNS = {
    "path": ("path", "file", "file_name", "filename", "image", "image_path"),
    "label": ("label", "class", "category"),
    "split": ("split",),
}


def is_table(path: Path) -> bool:
    return path.suffix.lower() == ".csv" and path.is_file()


def open_table(path: Path) -> Tree:
    """The images that a csv file names. Raises SparringError, with the line, for one that is not there or named twice."""
    name = printable(str(path))
    entries: dict[str, Entry] = {}
    stamps: dict[str, object] = {path.name: _stamp(path)}  # the labels are part of what is cached
    for line, entry in _entries(path, name):
        if entry.path in entries:
            raise SparringError(f"'{name}' names '{printable(entry.path)}' again in line {line}: name each image once")
        if not is_image(entry.path):
            raise SparringError(f"line {line} of '{name}' names '{printable(entry.path):.100}', which is not an image")
        try:
            stamps[entry.path] = _stamp(path.parent / entry.path)
        except (OSError, ValueError):  # ValueError: a name that no file can have
            raise SparringError(
                f"line {line} of '{name}' names '{printable(entry.path):.100}', and there is no such file beside it"
            ) from None
        entries[entry.path] = entry
    labelled = {entry.label is not None for entry in entries.values()}
    if len(labelled) > 1:
        raise SparringError(f"'{name}' gives some images a class and others none: give one to all of them, or to none")
    return Tree(name, stamps, frozenset(), lambda each: read_bytes(path.parent / each, IMAGE_BYTES), entries=entries)


def _stamp(path: Path) -> object:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError(path)
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _entries(path: Path, name: str) -> Iterator[tuple[int, Entry]]:
    """The lines of the file with their numbers, without the header."""
    place = {"path": 0, "label": 1}
    with one_line(f"'{name}' is not a csv file: "):
        rows = list(csv.reader(read_text(path, LISTING_BYTES, encoding="utf-8-sig").splitlines(), strict=True))
    for line, row in enumerate(rows, start=1):
        if line == 1 and row and not is_image(row[0]):
            place = _places(row, name)
        elif any(cell.strip() for cell in row):
            cells = {key: row[at].strip() if at < len(row) else "" for key, at in place.items()}
            yield line, Entry(cells["path"], cells.get("label") or None, cells.get("split") or None)


def _places(header: list[str], name: str) -> dict[str, int]:
    """The column of each thing that a header names."""
    names = [cell.strip().lower() for cell in header]
    found = {key: names.index(word) for key, words in COLUMNS.items() for word in words if word in names}
    if "path" not in found:
        raise SparringError(
            f"the first line of '{name}' names neither an image nor a column of paths, such as file_name: add that header"
        )
    return found
