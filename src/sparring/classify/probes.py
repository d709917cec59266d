"""Probes from scikit-learn, which need no download and no data from the user.

sklearn:digits     1,797 handwritten digits of 8x8 pixels, enlarged
sklearn:patches    1,000 patches of its two photographs, of a palace and a flower, at half size
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sparring.data.packed import PackedImages
from sparring.data.sources import load
from sparring.errors import SparringError, nearest
from sparring.randomness import generator_for

PREFIX = "sklearn:"
PATCHES = 1_000


class MissingProbeError(SparringError):
    """scikit-learn is not installed."""


def load_sklearn(source: str, size: int, channels: int) -> PackedImages:
    """The probe as uint8 [N, channels, size, size]. Raises MissingProbeError without scikit-learn."""
    name = source.removeprefix(PREFIX)
    if name not in _KINDS:
        raise SparringError(f"scikit-learn has no probe '{source}': {nearest(name, _KINDS)}")
    try:
        pixels = _KINDS[name](size)
    except ImportError:
        raise MissingProbeError(f"'{source}' needs scikit-learn: pip install scikit-learn") from None
    packed = load(pixels, size=size, channels=channels)
    return PackedImages(packed.images, name=source)


def _digits(size: int) -> np.ndarray:
    from sklearn.datasets import load_digits

    return np.round(load_digits().images * (255 / 16)).astype(np.uint8)  # grey levels are 0 to 16


def _patches(size: int) -> np.ndarray:
    """PATCHES squares [N, size, size, 3], equally many of each photograph, at random places with a fixed seed."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    photographs = []
    for photograph in load_sample_images().images:
        picture = Image.fromarray(photograph)
        half = (max(size, picture.width // 2), max(size, picture.height // 2))
        photographs.append(np.asarray(picture.resize(half, Image.Resampling.LANCZOS)))
    rng = np.random.default_rng(generator_for("patches", size).initial_seed())
    patches = []
    for i in range(PATCHES):
        photograph = photographs[i % len(photographs)]
        top, left = (int(rng.integers(0, photograph.shape[axis] - size + 1)) for axis in (0, 1))
        patches.append(photograph[top : top + size, left : left + size])
    return np.stack(patches)


_KINDS: dict[str, Callable[[int], np.ndarray]] = {"digits": _digits, "patches": _patches}
