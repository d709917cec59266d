"""How large files and settings may be: every bound of the package, each with its reason.

A bound is far above what anybody needs, and far below what stops a machine. Files of images may have any size, since real
ones have many gigabytes; but their headers must agree with that size, and the images must fit into memory.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparring.errors import SparringError

MIB = 2**20

# --- text: recipes and the JSON beside them ---
RECIPE_BYTES = 4 * MIB  # the largest shipped one has 2 KiB; one that lists 20,000 class names has 1 MiB
NODES = 200_000  # values in a recipe, with its aliases written out: ten times those 20,000 names
DEPTH = 40  # mappings and lists within one another; ours go to 6
ALIASES = 1_000  # uses of a YAML anchor
KEY = 500  # characters of a dotted key
OVERRIDE = 100_000  # characters of `key=value`; a command line takes 128 KiB for a word
EXTENDED = 100  # recipes that a recipe extends, directly or indirectly; the longest shipped chain is 4
NAME = 200  # characters of a recipe's name, which names a folder: file systems take 255 bytes
DESCRIPTION_BYTES = 64 * MIB  # a generator.json or classifier.json: a million class names
DESCRIPTION_NODES = 2_000_000
LISTING_BYTES = 256 * MIB  # a dataset.json: five million images
LOG_BYTES = 1024 * MIB  # a log.jsonl: three million rows
TABLE_BYTES = 256 * MIB  # a .csv of points: ten million

# --- images and archives ---
IMAGE_PIXELS = 2**27  # of one image: 134 megapixels, so that the largest cameras' 108 fit
IMAGE_BYTES = 512 * MIB  # of an image's file, or of a zip's member: as many pixels in 8-bit RGBA
PATH_CHARACTERS = 4096  # of a path in a zip, as Linux has it
PATH_FOLDERS = 64  # of a path in a zip
INFLATION = 200  # times that data grow when decompressed; zeros grow 1032-fold, images of any kind less than 20-fold
INFLATED_FREELY = 256 * MIB  # below it any growth is allowed: the labels of one class are all zeros
SHARED = 8  # times that tensors may exceed their file, as tied weights do
CHECKPOINT_NODES = 2_000_000  # tensors and values in a checkpoint; ours have some thousand

# --- what a recipe asks for ---
WHOLE = 2**63 - 1  # the largest whole number: what tensors, JSON readers and file names of steps agree on
CLASSES = 2**20  # twelve times ImageNet's 21,841 and more, as a network has an embedding for each
ROWS = 2**20  # of a batch; published ones go to 4,096 for GANs, toy worlds take some thousand
LATENT = 2**20  # of a latent vector: published ones go to 512
SIDE = 2**14  # of an image in pixels, as a recipe asks for it
D_STEPS = 100  # discriminator updates a step: the Wasserstein GAN's first steps take 100
ACCUMULATE = 256  # micro-batches per update
PASSES = 512  # d_steps times accumulate
ATTACK_STEPS = 100  # of projected gradient descent; published attacks go to 100
MEASURED = 10**7  # images of one measurement; published ones go to 50,000
THREADS = 1024  # more than any machine has; the system refuses to start many more
SCALE = 1e9  # a recipe is lengthened or shortened by at most that
OPTION = 2**16  # a whole number among a network's options: widths go to some thousand
BLOCKS = 1_000  # of one stage, or layers of a plain network: each is made in turn


def whole(value: Any) -> Any:
    """The value itself, for a pydantic validator. Raises ValueError for a whole number of more than 64 bits."""
    if isinstance(value, int) and abs(value) > WHOLE:
        raise ValueError(f"takes a whole number of at most 64 bits, got one of {value.bit_length()}")
    return value


def check_scale(factor: Any) -> float:
    """The factor of `scale=...` as a float. Raises SparringError unless it is a number in the allowed range."""
    try:
        if isinstance(factor, bool):
            raise TypeError
        number = float(factor)
    except (TypeError, ValueError, OverflowError):
        raise SparringError(f"scale takes a number, got {factor!r:.60}") from None
    if not 1 / SCALE <= number <= SCALE:
        raise SparringError(f"scale takes a factor above 0, from {1 / SCALE:g} to {SCALE:g}, got {number:g}")
    return number


def memory() -> int:
    """The bytes of memory that this process may use: the machine's, or the limit of the system or a container."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")] if hasattr(os, "sysconf") else []
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            found.append(int(Path(path).read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        found += [limit] if limit != resource.RLIM_INFINITY else []
    except ImportError:  # on Windows
        pass
    return min(found, default=2**40)


def check_memory(size: int, what: str, cure: str, limit: int | None = None) -> None:
    """Raise SparringError if `what` needs more bytes than the machine (or `limit`) has, before they are allocated."""
    limit = memory() if limit is None else limit
    if size > limit:
        raise SparringError(
            f"{what} would take {in_words(size)} of memory, but only {in_words(limit)} can be used: {cure}"
        )


def check_inflation(size: int, stored: int, what: str) -> None:
    """Raise SparringError if `stored` bytes claim to grow so much that they can only be made to fill the memory."""
    if size > INFLATED_FREELY and size > INFLATION * stored:
        raise SparringError(
            f"{what} would grow from {in_words(stored)} to {in_words(size)} when decompressed, and at most "
            f"{INFLATION}-fold is allowed: if it is yours, store it without compression"
        )


def in_words(size: int) -> str:
    """A number of bytes with a readable unit."""
    amount, unit = float(min(size, 10**300)), "bytes"
    for larger in ("KB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.3g} {unit}"


def check_values(value: Any, where: str, *, nodes: int = NODES, depth: int = DEPTH, plain: bool = True) -> None:
    """Raise SparringError unless nested mappings and lists are no larger and deeper than allowed, with plain values.

    Keys must be text, and text must not hold characters that no file can (NUL, lone surrogates). plain: also refuse values
    other than null, booleans, numbers and text. A value that is referred to twice counts twice.
    """
    pending: list[tuple[Any, int]] = [(value, 0)]
    count = 0
    while pending:
        part, level = pending.pop()
        count += 1
        if count > nodes:
            raise SparringError(f"{where} holds more than {nodes:,} values: no recipe or description needs so many")
        if level >= depth and isinstance(part, Mapping | list | tuple):
            raise SparringError(f"{where} is nested deeper than {depth} levels, or contains itself: make it flatter")
        if isinstance(part, Mapping):
            for key, inner in part.items():
                if not isinstance(key, str):
                    raise SparringError(f"{where}: the key {_shown(key)} is not text: put it in quotes, or remove it")
                _check_text(key, where)
                pending.append((inner, level + 1))
        elif isinstance(part, list | tuple):
            pending += [(inner, level + 1) for inner in part]
        elif isinstance(part, str):
            _check_text(part, where)
        elif isinstance(part, int) and abs(part) > WHOLE:
            raise SparringError(f"{where}: whole numbers have at most 64 bits, got one of {part.bit_length()}")
        elif plain and not (part is None or isinstance(part, int | float)):
            raise SparringError(
                f"{where}: values must be text, numbers, true, false or null, got {type(part).__name__}"
            )


def _shown(key: Any) -> str:
    return {"None": "null", "True": "true", "False": "false"}.get(str(key), f"{key!r:.40}")


def _check_text(text: str, where: str) -> None:
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        shown = ascii(text[:60])[1:-1]
        raise SparringError(f"{where}: '{shown}' holds a character that is not text: rename it, or write it in UTF-8")
