"""`load` reads images from any source as PackedImages; `pack` writes them into one file."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from sparring.data import cache as disk
from sparring.data import embedded, torchvision_sets
from sparring.data.arrays import Conversion, pack_array, pack_dataset, read_npz, write_npz
from sparring.data.classes import Classes, printable
from sparring.data.idx import idx_splits, read_idx
from sparring.data.listing import available_splits, choose_split, list_images
from sparring.data.negatives import noise_images, parse_noise
from sparring.data.packed import PackedImages
from sparring.data.packing import ClassOrder, Request, open_images, pack_files
from sparring.data.stored import sizes_of
from sparring.errors import SparringError, nearest
from sparring.files import ANOTHER_FOLDER, one_line_for_disk_errors
from sparring.limits import SIDE
from sparring.messages import Note, ProgressHook, no_note, option

LISTED = (".zip", ".csv")  # files that list or hold images


class MissingSourceError(SparringError):
    """There is no such file, folder or data set. `source` is what was asked for, `said` the message without its cure."""

    def __init__(self, source: str):
        self.source, self.said = source, f"there is no file or folder '{source}'"
        if "/" in source or Path(source).suffix in (".zip", ".npz"):
            super().__init__(f"{self.said}: check {option('source')}")
            return
        names = [embedded.NAME, *torchvision_sets.BARE_NAMES, "noise:normal", "noise:uniform"]
        super().__init__(f"{self.said}, nor a data set of that name: {nearest(source, names)}")


def load(
    source: Any,
    *,
    split: str | None = None,
    size: int | None = None,
    channels: int | None = None,
    classes: Classes | None = None,
    class_order: ClassOrder | None = None,
    renumber: bool = False,
    skip_unreadable: bool = False,
    cache: str | Path | bool | None = None,
    note: Note | None = None,
    progress: ProgressHook | None = None,
    root: str | Path | None = None,
    download: bool = False,
) -> PackedImages:
    """Images from anywhere, as uint8 [N, C, H, W] with labels where the source has them.

    source: a folder or zip of images (`sparring.data.listing` has the layouts), a `.csv` of paths and classes, a folder of
        MNIST's idx files, an `.npz`, "folder:celeba" (one of these called celeba, below $SPARRING_DATA),
        "fashion-mnist-10k" (ships with the package), "torchvision:CIFAR10" or plainly "cifar10", "noise:normal"; or from
        Python a map-style data set, an array or tensor, a pair (images, labels), or PackedImages.
    split: "train" (taken, with a note, if None is given and there are splits), "test", ...
    size: the side in pixels; other images are centre-cropped and resized. None: all must have one size already.
    channels: 1 or 3; None: 3 if any image is stored in colour, else 1. `sparring.data.decode` has the conversions.
    classes: names, numbers, "0-9", "0:10", or a list of those; labels are numbered in that order. A value that equals
        a class's name is that class, even an int from Python; other numbers are positions.
    class_order: the order of folders' classes: names, or a text file with one on each line, optionally with a tab and a
        readable name after it. By default they are sorted as numbers if all are whole numbers, else alphabetically.
    renumber: leave out classes without images, and renumber the others in order.
    skip_unreadable: leave damaged images out and count them, rather than stop at the first.
    cache: the folder for decoded folders and zips; None for $SPARRING_CACHE or ~/.cache/sparring; False for none.
    note, progress: called with lines for the user, and with (images done, number of images).
    root, download: for torchvision's data sets: where they are, and whether to fetch them.

    Raises SparringError, in one line that names the file, for everything that is wrong with the source.
    """
    _check_options(size, channels)
    if renumber and classes is not None:
        raise SparringError(
            f"{option('renumber', True)} takes all classes that have images, and {option('classes')} names some: give only "
            "one of the two"
        )
    request = Request(
        split=split,
        classes=classes,
        class_order=class_order,
        renumber=renumber,
        cache=_cache_folder(cache),
        conversion=Conversion(
            size, channels, skip_unreadable, None if note is None else lambda line: note(printable(line)), progress
        ),
        root=None if root is None else Path(root).expanduser(),
        download=download,
    )
    if isinstance(source, str | Path):
        return _from_name_or_path(source, request)
    if class_order is not None:
        raise SparringError("class_order is for folders and zip files: renumber the labels of other data yourself")
    return _selected(_from_object(source, request), request)


def pack(source: Any, out: str | Path | None = None, **options: Any) -> Path:
    """Decode `source` (options as for `load`) into one portable `.npz` file that `load` reads back identically.

    out: `<name>[-<split>].npz` in the current folder by default. Returns the path. The file appears only once it is
    complete; an existing one is not overwritten.
    """
    if out is not None:
        _check_free(Path(out))
    packed = load(source, **options)
    if out is None:
        name = re.sub(r"[^\w.-]+", "-", Path(packed.name).stem)
        out = Path(f"{name}-{packed.split}.npz" if packed.split else f"{name}.npz")
        _check_free(out)
    with one_line_for_disk_errors(ANOTHER_FOLDER):
        write_npz(Path(out), packed)
    return Path(out)


def splits_of(source: Any) -> tuple[str, ...]:
    """The splits of a folder, zip, idx folder or embedded set; () if there are none, or they are unknown."""
    if source == embedded.NAME:
        return embedded.SPLITS
    if not isinstance(source, str | Path):
        return ()
    path = _place(source, None)
    if path is None or not os.path.exists(path) or path.suffix == ".npz":
        return ()
    if path.is_dir() and (found := idx_splits(path)):
        return tuple(found)
    with open_images(path) as tree:
        return available_splits(tree)


def files_of(source: Any, split: str | None = None) -> tuple[int, list[tuple[int, int]]]:
    """How many image files a folder or zip has, and width and height of a sample of them; (0, []) for other sources."""
    path = _place(source, None) if isinstance(source, str | Path) else None
    if path is None or not os.path.exists(path) or (path.is_dir() and idx_splits(path)):
        return 0, []
    if path.is_file() and path.suffix.lower() not in LISTED:
        return 0, []
    with open_images(path) as tree:
        paths = list_images(tree, split, no_note).paths
        return len(paths), sizes_of(paths, tree.read)


def _check_options(size: int | None, channels: int | None) -> None:
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= SIDE):
        raise SparringError(f"{option('size')} is the side of the images in pixels, from 1 to {SIDE}, got {size!r}")
    if channels not in (None, 1, 3):
        raise SparringError(f"{option('channels')} is 1 (grey) or 3 (colour), got {channels!r}")


def _check_free(out: Path) -> None:
    if out.suffix != ".npz":
        raise SparringError(f"packed files end in .npz, got '{out}'")
    if os.path.exists(out):
        raise SparringError(f"'{out}' exists already: remove it, or choose another name with --out")
    if not out.absolute().parent.is_dir():
        raise SparringError(f"there is no folder '{out.parent}' for '{out.name}': make it first")


def _cache_folder(cache: str | Path | bool | None) -> Path | None:
    if cache is False:
        return None
    return disk.default_folder() if cache is None or cache is True else Path(cache).expanduser()


def _from_name_or_path(source: str | Path, request: Request) -> PackedImages:
    text = str(source)
    if not text.strip():  # an empty path is the current folder, which nobody means
        raise SparringError("the name of the images is empty: give a folder, a file or a data set")
    path = _place(source, request.root)
    if path is None:
        raise SparringError(
            f"'{text}' is a folder, .zip or .npz of images called '{text.removeprefix('folder:')}' in "
            f"'{request.root or torchvision_sets.default_root()}' (SPARRING_DATA says where), and there is none: put it "
            f"there, or give {option('source', 'PATH')}"
        )
    if isinstance(source, str) and not os.path.exists(path):
        named = _by_name(text, request)
        if named is not None:
            return _selected(named, request)
        raise MissingSourceError(text)
    if not os.path.exists(path):  # also if the name is too long for one
        raise MissingSourceError(text)
    if path.is_dir() and idx_splits(path):
        return _selected(_from_idx(path, request), request)
    if path.is_file() and path.suffix.lower() == ".npz":
        packed = read_npz(path, request.conversion)
        if request.split not in (None, packed.split or "train"):
            raise SparringError(
                f"'{path}' holds {packed.split or 'no split'}, not '{request.split}': leave {option('split')} out"
            )
        return _selected(packed, request)
    if path.is_file() and path.suffix.lower() not in LISTED:
        raise SparringError(
            f"'{path}' is neither a folder, a .zip, an .npz nor a .csv of paths: put single images into a folder"
        )
    return pack_files(path, request)


def _by_name(name: str, request: Request) -> PackedImages | None:
    if name == embedded.NAME:
        split = choose_split(name, embedded.SPLITS, request.split, request.note)
        return _converted(embedded.load_embedded(split), request)
    if name.startswith("noise:"):
        kind, count = parse_noise(name)
        conversion = request.conversion
        if conversion.size is None:
            raise SparringError(f"'{name}' needs a size: set {option('size')}, e.g. {option('size', 32)}")
        return noise_images(kind, count, conversion.channels or 3, conversion.size)
    prefix, _, rest = name.partition(":")
    torchvision_name = rest if prefix == "torchvision" and rest else torchvision_sets.BARE_NAMES.get(name.lower())
    if torchvision_name is None:
        return None
    root = request.root or torchvision_sets.default_root()
    return torchvision_sets.load_torchvision(
        torchvision_name,
        split=request.split,
        root=root,
        download=request.download,
        note=request.note,
        conversion=request.conversion,
    )


def _place(source: str | Path, root: Path | None) -> Path | None:
    """The path of a source that is a file or folder; None if there is none.

    "folder:NAME" is a folder, .zip or .npz below `root`, beside torchvision's files: for data that no program can fetch.
    """
    if not str(source).startswith("folder:"):
        return Path(source).expanduser()
    root, name = root or torchvision_sets.default_root(), str(source).removeprefix("folder:")
    places = (root / name, root / f"{name}.zip", root / f"{name}.npz")
    return next((path for path in places if name and os.path.exists(path)), None)


def _from_idx(folder: Path, request: Request) -> PackedImages:
    splits = idx_splits(folder)
    split = choose_split(str(folder), splits, request.split, request.note)
    images, labels = (read_idx(path) for path in splits[split])
    return pack_array(images, labels, name=folder.name, split=split, conversion=request.conversion)


def _from_object(source: Any, request: Request) -> PackedImages:
    conversion = request.conversion
    if request.split is not None and not isinstance(source, PackedImages):
        raise SparringError(f"an array or data set from Python has no split '{request.split}': pass the part you mean")
    if isinstance(source, PackedImages):
        if request.split not in (None, source.split):
            raise SparringError(f"'{source.name}' is split '{source.split}', not '{request.split}'")
        return _converted(source, request)
    if isinstance(source, np.ndarray | Tensor):
        return pack_array(source, conversion=conversion)
    if isinstance(source, tuple) and len(source) == 2 and isinstance(source[0], np.ndarray | Tensor):
        return pack_array(source[0], source[1], conversion=conversion)
    if hasattr(source, "__getitem__") and not isinstance(source, dict):
        return pack_dataset(source, name=type(source).__name__, conversion=conversion)
    raise SparringError(
        f"data of type {type(source).__name__} cannot be loaded: give a path, a name, a map-style data set with __len__ "
        "and __getitem__, a uint8 array, or a pair (images, labels)"
    )


def _converted(packed: PackedImages, request: Request) -> PackedImages:
    conversion = request.conversion
    same_size = conversion.size is None or (packed.height, packed.width) == (conversion.size, conversion.size)
    if same_size and conversion.channels in (None, packed.channels):
        return packed
    return pack_array(
        packed.images.cpu(),
        packed.labels,
        class_names=packed.class_names,
        name=packed.name,
        split=packed.split,
        stored=packed.stored,
        conversion=conversion,
    )


def _selected(packed: PackedImages, request: Request) -> PackedImages:
    if request.classes is not None:
        packed = packed.select_classes(request.classes)
    return packed.without_empty_classes() if request.renumber else packed
