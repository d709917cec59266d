"""How a source's image files are stored: lossless or lossy, and at about which quality.

JPEG's blocks and ringing can set two sets of images apart as much as their content does: images of Fashion-MNIST stored with
quality 50 are at a fashion-FD of 1.6 from the same images as PNG. Only the headers of a sample of the files are read.
"""

from __future__ import annotations

import io
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from PIL import Image

LOOKED_AT = 64  # files of a source, spread evenly over their list
SIZED = 2_000  # files whose size is read
NOTED_SHARE, NOTED_QUALITY = 0.1, 5  # differences above these set two sets apart
_LOSSY = ("JPEG", "MPO", "JPEG2000", "AVIF")


@dataclass(frozen=True)
class Stored:
    """How a source's files are stored, judged by a sample of them.

    formats      name -> share of the files; "WebP, lossy" and "PNG, palette" count as formats, too
    lossy        share of the files whose format changes pixels
    quality      median quality of the JPEG files on libjpeg's scale, 1 to 100; None without JPEG files
    looked_at    how many files were looked at
    size         "64x48", width x height before any resizing, if all of them agree; else None
    """

    formats: dict[str, float]
    lossy: float
    quality: int | None
    looked_at: int
    size: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for values that this package never writes."""
        shares = self.formats.values() if isinstance(self.formats, dict) else [None]
        numbers = [*shares, self.lossy, self.looked_at, self.quality or 0]
        if not all(isinstance(number, int | float) for number in numbers) or not isinstance(self.size, str | None):
            raise ValueError("'stored' does not describe how images are stored")

    def __str__(self) -> str:
        quality = "" if self.quality is None else f" of quality {self.quality}"
        named = [f"{name}{quality if name in ('JPEG', 'MPO') else ''}" for name in self.formats]
        if len(named) == 1:
            return named[0]
        return ", ".join(f"{share:.0%} {name}" for share, name in zip(self.formats.values(), named, strict=True))


def sizes_of(paths: Sequence[str], read: Callable[[str], bytes]) -> list[tuple[int, int]]:
    """Width and height of a sample of files, read from their headers; damaged ones are left out."""
    found, count = [], min(SIZED, len(paths))
    for i in range(count):
        with suppress(Exception), Image.open(io.BytesIO(read(paths[i * len(paths) // count]))) as image:
            found.append(image.size)
    return found


def look_at_files(paths: Sequence[str], read: Callable[[str], bytes]) -> Stored | None:
    """How the files are stored, from a sample of them; None if none of these can be opened."""
    count = min(LOOKED_AT, len(paths))
    formats: Counter[str] = Counter()
    sizes, qualities, lossy = set(), [], 0
    for i in range(count):
        try:
            data = read(paths[i * len(paths) // count])
            with Image.open(io.BytesIO(data)) as image:
                name, changes_pixels = _format_of(image, data)
                sizes.add(image.size)
                if image.format in ("JPEG", "MPO"):
                    qualities.append(_quality_of(image))
        except Exception:  # damaged files make Pillow raise nearly anything; decoding will name them
            continue
        formats[name] += 1
        lossy += changes_pixels
    total = sum(formats.values())
    if not total:
        return None
    return Stored(
        {name: round(number / total, 4) for name, number in formats.most_common()},
        round(lossy / total, 4),
        round(statistics.median(qualities)) if qualities else None,
        total,
        "{}x{}".format(*sizes.pop()) if len(sizes) == 1 else None,
    )


def _format_of(image: Image.Image, data: bytes) -> tuple[str, bool]:
    """An image's format in words, and whether that format changes pixels."""
    name = image.format or "unknown"
    if name == "WEBP":
        is_lossless = b"VP8L" in data[:64]
        return f"WebP, {'lossless' if is_lossless else 'lossy'}", not is_lossless
    if name == "TIFF" and image.info.get("compression") in ("jpeg", "webp"):
        return f"TIFF, {image.info['compression']}", True
    if image.mode == "P":
        return f"{name}, palette", True  # 256 colours at most
    return name, name in _LOSSY


def _quality_of(image: Image.Image) -> int:
    """The quality on libjpeg's scale whose table for brightness is nearest to the image's."""
    table = image.quantization[0]  # type: ignore[attr-defined]
    return min(range(1, 101), key=lambda quality: sum(abs(a - b) for a, b in zip(table, _table(quality), strict=True)))


@cache
def _table(quality: int) -> list[int]:
    """libjpeg's table for brightness, as Pillow writes and reads it."""
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "JPEG", quality=quality)
    return list(Image.open(file).quantization[0])  # type: ignore[attr-defined]


def stored_notes(fake: Stored | None, real: Stored | None) -> list[str]:
    """A note if storing changed the pixels of two sets of files differently; None is a set without files."""
    if fake is None or real is None:
        return []
    alike = abs(fake.lossy - real.lossy) <= NOTED_SHARE
    if alike and None not in (fake.quality, real.quality) and fake.lossy > NOTED_SHARE:
        alike = abs((fake.quality or 0) - (real.quality or 0)) <= NOTED_QUALITY
    if alike and fake.lossy > NOTED_SHARE:
        alike = _lossy_formats(fake) == _lossy_formats(real)
    if alike:
        return []
    return [
        f"the measured images are stored as {fake} and the real ones as {real}: compression alone sets them apart; compare "
        "images that are stored alike"
    ]


def _lossy_formats(stored: Stored) -> set[str]:
    return {name for name, share in stored.formats.items() if share > NOTED_SHARE and name not in ("PNG", "BMP", "PPM")}
