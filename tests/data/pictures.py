"""Small image files with known pixels, and folders and zip files of them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

# None: an empty folder; a number: a 2x2 image of this grey level
Content = Mapping[str, "bytes | int | Image.Image | None"]


def grey(level: int, size: tuple[int, int] = (2, 2)) -> Image.Image:
    """An image of a single grey level. `size` is (width, height), as in Pillow."""
    return Image.new("L", size, level)


def colour(*rgb: int, size: tuple[int, int] = (2, 2)) -> Image.Image:
    return Image.new("RGB", size, rgb)


def encoded(image: Image.Image, kind: str = "png", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def as_bytes(content: bytes | int | Image.Image) -> bytes:
    if isinstance(content, bytes):
        return content
    return encoded(grey(content) if isinstance(content, int) else content)


def write_folder(root: Path, files: Content) -> Path:
    for name, content in files.items():
        path = root / name
        if content is None:
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(as_bytes(content))
    return root


def write_zip(path: Path, files: Content) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            if content is None:
                archive.writestr(f"{name}/", b"")
            else:
                archive.writestr(name, as_bytes(content))
    return path


def levels(images: Any) -> list[int]:
    """The top left pixel of each image's first channel, which identifies the image."""
    return images.images[:, 0, 0, 0].tolist()


def pixels(*rows: list[int]) -> np.ndarray:
    """A uint8 array of grey levels, row by row."""
    return np.array(rows, dtype=np.uint8)
