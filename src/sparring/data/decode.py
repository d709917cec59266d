"""How any image becomes uint8 pixels [H, W, C], in this order:

1. EXIF orientation is applied, so images are turned as viewers show them. A damaged EXIF block is ignored. Of an
   animation, the first frame is taken.
2. The colour mode becomes grey (1 channel) or RGB (3 channels), by what is stored, not by what is seen:
     grey, black and white, grey with alpha, 16-bit grey -> grey;   RGB, RGBA, palette, CMYK, YCbCr, ... -> RGB.
   Transparent images are placed on white. 16-bit grey v becomes round(v / 257), so that 65535 is 255; of 16-bit
   colour Pillow reads the high byte, which differs by one level at most. Colour profiles are not applied.
3. If one channel is asked for, RGB becomes the ITU-R 601 luma (299 R + 587 G + 114 B) / 1000; if three are, grey is
   repeated.
4. If a size is asked for and the image has another, the largest central square is cut out and resized with Pillow's
   Lanczos filter, which is antialiased. An image that already has the size keeps its exact pixels.
"""

import io
import math
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps

from sparring.errors import SparringError
from sparring.limits import IMAGE_PIXELS

_GREY_MODES = {"1", "L", "LA", "La"}
_SIXTEEN_BIT_MODES = {"I", "I;16", "I;16B", "I;16L", "I;16N"}  # Pillow reads 16-bit grey PNG as I or I;16, by version
_ORIENTED = {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"}
_BACKGROUND = 255  # white, on which transparent images are usually meant to be seen
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "PPM", "TIFF")  # Pillow's names of the formats in `tree.IMAGE_SUFFIXES`
_AT_ONCE = 2**24  # pixels; larger images are decoded one at a time, since several could fill the memory
_ONE_AT_A_TIME = threading.Lock()

Item = TypeVar("Item")


class UnreadableImageError(SparringError):
    """An image that cannot be decoded; the message names it and says why."""


def decode(data: bytes, channels: int | None, size: int | None) -> tuple[np.ndarray, bool]:
    """The pixels uint8 [H, W, C] of an image file's bytes, and whether it is stored in colour.

    `channels` None gives RGB for every image, grey repeated. Raises whatever Pillow raises for damaged files.
    """
    with opened_image(data) as image, decoding(image):
        if image.format == "TIFF" or _ORIENTED & image.info.keys():
            image = upright(image)
        return convert(image, channels, size)


def opened_image(data: bytes) -> Image.Image:
    """Open an image file without decoding its pixels.

    Raises ValueError for too many pixels and for formats other than `FORMATS` (some of the others start programs), and
    whatever Pillow raises for damaged files.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise ValueError(f"too many pixels: at most {IMAGE_PIXELS:,} are decoded") from None
    except Image.UnidentifiedImageError:
        raise ValueError(f"its format is not one of {', '.join(FORMATS)}") from None
    if math.prod(image.size) > IMAGE_PIXELS:
        raise ValueError(f"{image.width}x{image.height} are too many pixels: at most {IMAGE_PIXELS:,} are decoded")
    return image


@contextmanager
def decoding(image: Image.Image) -> Iterator[None]:
    """Within this context an opened image's pixels may be read: large images one at a time, and libtiff silenced.

    libtiff writes to the process's standard error, besides the error that Pillow raises.
    """
    is_tiff = image.format == "TIFF"
    with _ONE_AT_A_TIME if is_tiff or math.prod(image.size) > _AT_ONCE else nullcontext():
        if not is_tiff:
            yield
            return
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)


def convert(image: Image.Image, channels: int | None, size: int | None) -> tuple[np.ndarray, bool]:
    """Steps 2 to 4 of this file for an opened image: pixels uint8 [H, W, C], and whether it is stored in colour."""
    image = _grey_or_rgb(image)
    colour = image.mode == "RGB"
    wanted = "L" if channels == 1 else "RGB"
    if image.mode != wanted:
        image = image.convert(wanted)
    if size is not None and image.size != (size, size):
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))  # resize's own box would blend in its surroundings
        image = image.resize((size, size), Image.Resampling.LANCZOS)
    pixels = np.asarray(image)
    return (pixels[:, :, None] if pixels.ndim == 2 else pixels), colour


def upright(image: Image.Image) -> Image.Image:
    """The image as viewers show it, by its EXIF orientation. Raises whatever Pillow raises if the pixels are damaged."""
    image.load()  # now: a TIFF whose pixels could not be read is black when they are read again
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF does not damage the picture
        return image


def _grey_or_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("L", "RGB") and "transparency" not in image.info:  # nearly all files
        return image
    if image.mode in _SIXTEEN_BIT_MODES:
        levels = np.asarray(image).astype(np.int64)
        if levels.min() < 0 or levels.max() > 65535:
            raise ValueError(f"grey levels from {levels.min()} to {levels.max()}; 0 to 65535 are allowed")
        return Image.fromarray(((levels + 128) // 257).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range; store it with 8 or 16 bits")
    target = "L" if image.mode in _GREY_MODES else "RGB"
    if image.mode == "La":  # the only conversion that Pillow has
        image = image.convert("LA")
    if image.mode.upper() in ("LA", "PA", "RGBA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (_BACKGROUND,) * 3 + (255,))
        image = Image.alpha_composite(white, image)
    return image.convert(target)


def from_array(pixels: np.ndarray, channels: int | None, size: int | None) -> tuple[np.ndarray, bool]:
    """`convert` for pixels uint8 [H, W, C] with C = 1 (grey), 3 (RGB) or 4 (RGBA)."""
    image = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))
    return convert(image, channels, size)


def readable(name: str, work: Callable[[], Item]) -> Item:
    """Call `work()`. Any exception becomes an UnreadableImageError that names the image: Pillow raises nearly all kinds."""
    try:
        return work()
    except MemoryError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise UnreadableImageError(f"cannot read image '{name}': {reason}") from error
