"""Folders and zip files of images, decoded once and then read from the cache."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sparring.data import cache as disk
from sparring.data.arrays import Conversion
from sparring.data.assemble import Assembly, Note
from sparring.data.classes import Classes, printable
from sparring.data.decode import decode, readable
from sparring.data.listing import Listing, list_images
from sparring.data.packed import PackedImages
from sparring.data.stored import look_at_files
from sparring.data.table import is_table, open_table
from sparring.data.tree import Tree, open_tree, zip_stamp
from sparring.limits import TABLE_BYTES
from sparring.parsing import read_text

ClassOrder = str | Path | Sequence[str]


@dataclass(frozen=True)
class Request:
    """What is asked of a source: the options of `sparring.data.load`. cache: the folder of the cache, or None for none."""

    split: str | None
    classes: Classes | None
    class_order: ClassOrder | None
    renumber: bool
    cache: Path | None
    conversion: Conversion
    root: Path | None
    download: bool

    def note(self, line: str) -> None:
        if self.conversion.note:
            self.conversion.note(line)


@contextmanager
def open_images(path: Path) -> Iterator[Tree]:
    """The images of a folder, zip or csv file."""
    if is_table(path):
        yield open_table(path)
    else:
        with open_tree(path) as tree:
            yield tree


def pack_files(path: Path, request: Request) -> PackedImages:
    """The images of a folder, zip or csv file.

    The cache recognises a zip by its table of contents, which has a checksum for each file, and folders and csv files by the
    sizes and times of all files. Notes about the decoding are repeated when the images come from the cache.
    Raises SparringError as `sparring.data.load` says.
    """
    conversion, cache = request.conversion, request.cache
    order = None if request.class_order is None else _read_order(request.class_order)
    asked = (conversion.size, conversion.channels, conversion.skip_unreadable)
    options = (request.split, request.classes, order, request.renumber, *asked)
    told: list[str] = []

    def note(line: str) -> None:
        told.append(printable(line))
        request.note(line)

    def list_and_decode(tree: Tree) -> PackedImages:
        listing = list_images(tree, request.split, note)
        if order is not None:
            listing = listing.in_order(order)
        if request.classes is not None:
            listing = listing.select_classes(request.classes)
        packed = _decode_listing(tree, listing, path, cache, conversion, note)
        return packed.without_empty_classes() if request.renumber else packed

    if cache is None:
        with open_images(path) as tree:
            return list_and_decode(tree)
    place = str(path.resolve())
    slot = f"{_name(path)[:60]}-{disk.key_of(place, options)[:16]}"
    stamp = None if path.is_dir() or is_table(path) else zip_stamp(path)
    if stamp is not None and (found := _cached(cache, slot, disk.key_of(place, stamp, options), conversion.note)):
        return found  # without listing the files, which takes a second for 50,000 of them
    with open_images(path) as tree:
        key = disk.key_of(place, stamp or (sorted(tree.stamps.items()), sorted(tree.folders)), options)
        if stamp is None and (found := _cached(cache, slot, key, conversion.note)):
            return found
        packed = list_and_decode(tree)
    try:
        disk.write_entry(cache, slot, key, packed, told)
    except OSError as error:
        note(f"cannot cache the decoded images in '{cache}' ({error.strerror or error}): going on without")
        return packed
    return _cached(cache, slot, key, None) or packed


def _cached(cache: Path, slot: str, key: str, note: Note | None) -> PackedImages | None:
    found = disk.read_entry(cache, slot, key)
    if found is None:
        return None
    packed, told = found
    for line in told:
        if note:
            note(line)
    return packed


def _decode_listing(
    tree: Tree, listing: Listing, path: Path, cache: Path | None, conversion: Conversion, note: Note
) -> PackedImages:
    paths = listing.paths
    stored = look_at_files(paths, tree.read)

    def read(i: int) -> tuple[np.ndarray, bool]:
        return readable(paths[i], lambda: decode(tree.read(paths[i]), conversion.channels, conversion.size))

    assembly = Assembly(
        source=tree.name,
        count=len(paths),
        read=read,
        name=lambda i: paths[i],
        channels=conversion.channels,
        skip_unreadable=conversion.skip_unreadable,
        note=note,
        progress=conversion.progress,
    )
    if cache is not None:
        assembly.allocate = lambda shape: disk.scratch_array(cache, shape)
    pixels, kept = assembly.run()
    labels = None if listing.labels is None else torch.tensor(listing.labels)[torch.from_numpy(kept)]
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    return PackedImages(images, labels, listing.class_names, _name(path), listing.split, stored)


def _name(path: Path) -> str:
    path = path.resolve()
    return path.name if path.is_dir() else path.stem


def _read_order(order: ClassOrder) -> list[tuple[str, str]]:
    if not isinstance(order, str | Path):
        return [(str(name), str(name)) for name in order]
    lines = [line.split("\t") for line in read_text(Path(order), TABLE_BYTES).splitlines() if line.strip()]
    return [(line[0].strip(), line[-1].strip()) for line in lines]
