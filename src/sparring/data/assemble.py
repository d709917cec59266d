"""Decode many images into one array, in a few threads. Errors name the image."""

import math
import os
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from sparring.data.decode import UnreadableImageError
from sparring.errors import SparringError
from sparring.limits import check_memory
from sparring.messages import Note, ProgressHook, counted, option

Allocate = Callable[[tuple[int, ...]], np.ndarray]  # an empty uint8 array of a shape

_CHUNK = 64  # images that a thread decodes per task
_COPY_CHUNK = 4096  # images copied at a time, so that a mapped array never has to fit in memory


def empty_in_memory(shape: tuple[int, ...]) -> np.ndarray:
    """An uninitialised uint8 array. Raises SparringError if it would not fit into memory."""
    cure = f"choose a smaller {option('size')}, or fewer images"
    check_memory(math.prod(shape), f"{counted(shape[0], 'image')} of {shape[1:]}", cure)
    return np.empty(shape, dtype=np.uint8)


class MixedSizesError(SparringError):
    """Images of one source have several sizes, and none was asked for."""


@dataclass
class Assembly:
    """How to turn `count` images into one array.

    read(i) gives (uint8 [H, W, C], whether stored in colour) or raises UnreadableImageError; name(i) is for messages.
    """

    source: str
    count: int
    read: Callable[[int], tuple[np.ndarray, bool]]
    name: Callable[[int], str]
    channels: int | None = None
    skip_unreadable: bool = False
    threads: int = min(8, os.cpu_count() or 1)
    allocate: Allocate = empty_in_memory
    note: Note | None = None
    progress: ProgressHook | None = None

    def run(self) -> tuple[np.ndarray, np.ndarray]:
        """The pixels uint8 [N, H, W, C] and the numbers int64 [N] of the images that could be read.

        Raises SparringError for the first unreadable image (unless they are skipped), for mixed sizes, and if none is left.
        """
        with warnings.catch_warnings():  # set here, since threads share it
            warnings.filterwarnings("ignore", module=r"PIL\.")  # of damaged EXIF blocks and the like
            try:
                return self._run()
            except UnreadableImageError as error:
                cure = f"leave such images of '{self.source}' out with {option('skip_unreadable', True)}"
                raise UnreadableImageError(f"{error}; replace it, or {cure}") from error

    def _run(self) -> tuple[np.ndarray, np.ndarray]:
        first, shape = self._first_readable()
        pixels = self.allocate((self.count, *shape))
        failed: list[int] = list(range(first))
        colour = False
        for done, (chunk_failed, chunk_colour) in self._decoded(first, shape, pixels):
            failed += chunk_failed
            colour |= chunk_colour
            if self.progress:
                self.progress(done, self.count)
        kept = np.setdiff1d(np.arange(self.count), failed)
        if failed and self.note:
            named = ", ".join(f"'{self.name(i)}'" for i in failed[:3]) + (", ..." if len(failed) > 3 else "")
            self.note(
                f"left out {len(failed)} of {counted(self.count, 'image')} of '{self.source}', unreadable: {named}"
            )
        grey = self.channels is None and not colour  # RGB with equal channels: keep one of them
        if failed or grey:
            pixels = self._compact(pixels, kept, 1 if grey else shape[2])
        return pixels, kept

    def _first_readable(self) -> tuple[int, tuple[int, ...]]:
        for i in range(self.count):
            try:
                return i, self.read(i)[0].shape
            except UnreadableImageError:
                if not self.skip_unreadable:
                    raise
        raise SparringError(f"none of the {counted(self.count, 'image')} of '{self.source}' can be read")

    def _decoded(
        self, first: int, shape: tuple[int, ...], pixels: np.ndarray
    ) -> Iterable[tuple[int, tuple[list[int], bool]]]:
        def work(start: int) -> tuple[list[int], bool]:
            failed, any_colour = [], False
            for i in range(start, min(start + _CHUNK, self.count)):
                try:
                    image, colour = self.read(i)
                except UnreadableImageError:
                    if not self.skip_unreadable:
                        raise
                    failed.append(i)
                    continue
                if image.shape != shape:
                    raise self._mixed_sizes(first, shape, i, image.shape)
                pixels[i] = image
                any_colour |= colour
            return failed, any_colour

        starts = range(first, self.count, _CHUNK)
        contexts = [copy_context() for _ in starts]  # a thread has none of its own, and errors need its `option`
        pool = ThreadPoolExecutor(self.threads)
        mapped = pool.map if self.threads > 1 else map
        try:
            for start, result in zip(starts, mapped(Context.run, contexts, repeat(work), starts), strict=True):
                yield min(start + _CHUNK, self.count), result
        finally:
            pool.shutdown(cancel_futures=True)

    def _mixed_sizes(self, i: int, one: tuple[int, ...], j: int, other: tuple[int, ...]) -> SparringError:
        smaller = min(*one[:2], *other[:2])
        return MixedSizesError(
            f"images of '{self.source}' differ in size: '{self.name(i)}' is {one[1]}x{one[0]} and '{self.name(j)}' is "
            f"{other[1]}x{other[0]}; set one size for all of them, e.g. {option('size', smaller)}"
        )

    def _compact(self, pixels: np.ndarray, kept: np.ndarray, channels: int) -> np.ndarray:
        compact = self.allocate((len(kept), *pixels.shape[1:3], channels))
        for start in range(0, len(kept), _COPY_CHUNK):
            part = kept[start : start + _COPY_CHUNK]
            compact[start : start + len(part)] = pixels[part][..., :channels]
        return compact
