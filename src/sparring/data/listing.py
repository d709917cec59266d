"""Which images a folder or zip file contains, and the class of each.

images/*.png                          flat: no labels
images/<class>/**/*.png               classes, in the order of `classes.in_order`
images/dataset.json                   {"labels": [["00000/img00000000.png", 6], ...]} or {"labels": null}, which
                                      takes precedence over folder names
images/{train,val,test}/...           splits, each of one of the forms above; the classes are those of train
labels.csv                            a path on each line, with its class and split: `sparring.data.table`
"""

import json
import reprlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from sparring.data.classes import Classes, choose_classes, in_order, printable
from sparring.data.tree import Entry, Tree, note_other_files
from sparring.errors import SparringError, nearest, one_line
from sparring.limits import WHOLE
from sparring.messages import Note, option

SPLIT_NAMES = ("train", "val", "valid", "validation", "test")
_VALIDATION = {"val", "valid", "validation"}  # three spellings of one thing

ClassOrder = Sequence[tuple[str, str]]  # folder's name, readable name


@dataclass(frozen=True)
class Listing:
    """The paths of images, with their labels.

    paths, labels    one label for each path, or None
    class_names      in the order of the labels; () if classes have numbers only
    split            the split that was taken, or None if there are none
    """

    source: str
    paths: list[str]
    labels: list[int] | None
    class_names: tuple[str, ...]
    split: str | None

    def select_classes(self, classes: Classes) -> "Listing":
        """The images of some classes only, their labels numbered in the order given."""
        if self.labels is None:
            raise SparringError(
                f"'{self.source}' has no classes to choose {classes!r} from: put the images of each class in a folder"
            )
        count = len(self.class_names) or max(self.labels) + 1
        chosen = choose_classes(classes, self.class_names, count, self.source)
        number = {old: new for new, old in enumerate(chosen)}
        pairs = [(path, number[label]) for path, label in zip(self.paths, self.labels, strict=True) if label in number]
        if not pairs:
            raise SparringError(f"classes {classes!r} of '{self.source}' hold no images")
        names = tuple(self.class_names[old] for old in chosen) if self.class_names else ()
        return replace(self, paths=[path for path, _ in pairs], labels=[label for _, label in pairs], class_names=names)

    def in_order(self, order: ClassOrder) -> "Listing":
        """The same images with classes numbered and named by `order`."""
        if self.labels is None or not self.class_names:
            raise SparringError(f"'{self.source}' has no named classes, which class_order needs")
        position = {folder: number for number, (folder, _) in enumerate(order)}
        if len(position) < len(order):
            twice = next(folder for i, (folder, _) in enumerate(order) if folder in [name for name, _ in order[:i]])
            raise SparringError(f"the class order has class '{twice}' twice: name it once")
        for name in self.class_names:
            if name not in position:
                raise SparringError(
                    f"the class order lacks class '{name}' of '{self.source}': {nearest(name, position)}"
                )
        labels = [position[self.class_names[label]] for label in self.labels]
        return replace(self, labels=labels, class_names=tuple(readable for _, readable in order))


def list_images(tree: Tree, split: str | None, note: Note) -> Listing:
    """The images of one split (None: train, if there are splits), with labels where the layout gives any.

    Raises SparringError if there are no images, no such split, or images beside class folders.
    """
    images = tree.images()
    if not images:
        raise SparringError(
            f"no images in '{tree.name}': looked for .png, .jpg, .webp and the like, also in subfolders"
        )
    if tree.entries is not None:
        return _of_table(tree, tree.entries.values(), split, note)
    note_other_files(tree, note)
    root = _enclosing_folder(tree, images)
    splits = split_folders(tree, root, images)
    if not splits:
        if split not in (None, "train"):
            raise SparringError(f"'{tree.name}' has no splits, so no '{split}': leave {option('split')} out")
        return _labelled(tree, root, root, images, None, note)
    chosen = choose_split(tree.name, splits, split, note)
    left_out = {_top(path, root) for path in images} - set(splits.values())
    if left_out:
        note(f"'{tree.name}': folders beside its splits are left out: {', '.join(sorted(left_out))}")
    prefix = root + splits[chosen] + "/"
    inside = [path for path in images if path.startswith(prefix)]
    if not inside:
        raise SparringError(f"split '{chosen}' of '{tree.name}' holds no images")
    listing = _labelled(tree, prefix, root, inside, chosen, note)
    if chosen != "train" and "train" in splits and listing.class_names:
        listing = _with_classes_of_train(tree, root + splits["train"] + "/", listing)
    return listing


def _of_table(tree: Tree, entries: Collection[Entry], split: str | None, note: Note) -> Listing:
    """The images that a table names. Classes are those of all its splits."""
    splits = dict.fromkeys(entry.split.lower() for entry in entries if entry.split is not None)
    if split is not None and not splits and split != "train":
        raise SparringError(f"'{tree.name}' has no splits, so no '{split}': leave {option('split')} out")
    chosen = choose_split(tree.name, splits, split, note) if splits else None
    kept = [entry for entry in entries if not splits or (entry.split or "").lower() == chosen]
    names = in_order({printable(entry.label) for entry in entries if entry.label is not None})
    number = {name: label for label, name in enumerate(names)}
    labels = [number[printable(entry.label)] for entry in kept if entry.label is not None]
    return Listing(tree.name, [entry.path for entry in kept], labels or None, tuple(names), chosen)


def split_folders(tree: Tree, root: str, images: list[str]) -> dict[str, str]:
    """Split -> its folder under `root`; {} if there are none.

    A class may also be called 'train', so either all folders are splits, or at least two of them.
    """
    if any("/" not in path[len(root) :] for path in images if path.startswith(root)):
        return {}
    tops = {_top(folder, root) for folder in tree.folders if folder.startswith(root)}
    with_images = {_top(path, root) for path in images}
    splits = {top.lower(): top for top in sorted(tops) if top.lower() in SPLIT_NAMES}
    if not splits or (len(splits) < 2 and with_images - set(splits.values())):
        return {}
    return splits


def available_splits(tree: Tree) -> tuple[str, ...]:
    """The names of a tree's splits, () if it has none."""
    if tree.entries is not None:
        return tuple(dict.fromkeys(entry.split.lower() for entry in tree.entries.values() if entry.split is not None))
    images = tree.images()
    return tuple(split_folders(tree, _enclosing_folder(tree, images), images)) if images else ()


def _enclosing_folder(tree: Tree, images: list[str]) -> str:
    """'' or the one top folder, with a slash, that holds everything, as archives often have.

    In a folder (not a zip) a single subfolder with nothing but images is a class.
    """
    tops = {_top(path, "") for path in images}
    if len(tops) > 1 or "/" not in images[0] or "dataset.json" in tree.stamps:
        return ""
    (top,) = tops
    if top.lower() in SPLIT_NAMES or any(folder.count("/") == 0 and folder != top for folder in tree.folders):
        return ""
    nested = any(path.count("/") > 1 for path in images)
    return f"{top}/" if nested or tree.is_archive or f"{top}/dataset.json" in tree.stamps else ""


def _top(path: str, root: str) -> str:
    """The first part of a path below `root`, which ends in a slash or is empty."""
    return path[len(root) :].split("/")[0]


def choose_split(source: str, splits: Collection[str], split: str | None, note: Note) -> str:
    """The name of the split to take: train, with a note, if none is asked for. Raises SparringError if it does not exist."""
    if split is None:
        if "train" not in splits:
            raise SparringError(
                f"'{source}' has no split 'train', only {', '.join(splits)}: "
                f"choose one, e.g. {option('split', next(iter(splits)))}"
            )
        others = [name for name in splits if name != "train"]
        note(f"'{source}' has splits: taking 'train'" + (f" (it also has {', '.join(others)})" if others else ""))
        return "train"
    wanted = split.lower()
    if wanted in splits:
        return wanted
    for name in splits:
        if {wanted, name} <= _VALIDATION:
            return name
    raise SparringError(f"'{source}' has no split '{split}', only {', '.join(splits)}")


def _labelled(tree: Tree, prefix: str, root: str, images: list[str], split: str | None, note: Note) -> Listing:
    for base in (prefix, root, ""):
        if f"{base}dataset.json" in tree.stamps:
            labels = _labels_of_json(tree, base, images)
            return Listing(tree.name, images, labels, (), split)
    loose = [path for path in images if "/" not in path[len(prefix) :]]
    if len(loose) == len(images):
        return Listing(tree.name, images, None, (), split)
    if loose:
        raise SparringError(
            f"'{tree.name}' has images beside its class folders, e.g. '{loose[0]}' ({len(loose)} in all): "
            "move them into a class, or all images into one folder"
        )
    names = _class_folders(tree, prefix)
    number = {name: label for label, name in enumerate(names)}
    labels = [number[printable(_top(path, prefix))] for path in images]
    empty = sorted(set(range(len(names))) - set(labels))
    if empty:
        note(f"'{tree.name}': class folders without images: {', '.join(names[label] for label in empty)}")
    return Listing(tree.name, images, labels, tuple(names), split)


def _class_folders(tree: Tree, prefix: str) -> list[str]:
    """The printable names of the class folders, in order. Raises SparringError if two of them are the same."""
    folders = {_top(folder, prefix) for folder in tree.folders if folder.startswith(prefix)}
    names = in_order(map(printable, folders))
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise SparringError(f"'{tree.name}' has two class folders that are shown as '{twice}': rename one of them")
    return names


def _with_classes_of_train(tree: Tree, train: str, listing: Listing) -> Listing:
    """The listing with the class numbers of train: a split that lacks a class must not number the others differently."""
    names = _class_folders(tree, train)
    if not names:
        return listing
    for name in listing.class_names:
        if name not in names:
            raise SparringError(
                f"split '{listing.split}' of '{tree.name}' has a class '{name}' that 'train' lacks: {nearest(name, names)}"
            )
    return listing.in_order([(name, name) for name in names])


def _labels_of_json(tree: Tree, base: str, images: list[str]) -> list[int] | None:
    where = f"'{base}dataset.json' of '{tree.name}'"
    form = '{"labels": [["name.png", 0], ...]}'
    with one_line(f"{where} is not of the form {form}: "):
        try:
            content = json.loads(tree.read(f"{base}dataset.json"))
        except RecursionError:
            raise ValueError("it is nested too deep") from None
        entries = content["labels"] if isinstance(content, dict) else content
    if entries is None:
        return None
    by_path = {}
    for entry in entries if isinstance(entries, list) else [entries]:
        match entry:
            case [str(path), int(label)] if not isinstance(label, bool) and 0 <= label <= WHOLE:
                by_path[base + path] = label
            case _:
                raise SparringError(
                    f'{where}: each label is ["name.png", number from 0], of at most 64 bits; got {reprlib.repr(entry)}'
                )
    unlabelled = next((path for path in images if path not in by_path), None)
    if unlabelled is not None:
        raise SparringError(f"{where} has no label for '{unlabelled}': label all images, or set labels to null")
    known = set(tree.stamps)
    missing = next((path for path in by_path if path not in known), None)
    if missing is not None:
        raise SparringError(f"{where} names '{missing}', which does not exist")
    return [by_path[path] for path in images]
