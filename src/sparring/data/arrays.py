"""Data that comes as numbers: arrays, `.npz` files, and map-style data sets from Python."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sparring.archives import open_npz, write_arrays
from sparring.data.assemble import Assembly
from sparring.data.decode import convert, from_array, readable
from sparring.data.packed import PackedImages
from sparring.data.stored import Stored
from sparring.errors import SparringError
from sparring.limits import WHOLE
from sparring.messages import Note, ProgressHook
from sparring.parsing import parse_json

_IMAGE_KEYS = ("images", "x", "arr_0")
_LABEL_KEYS = ("labels", "y", "arr_1")


@dataclass(frozen=True)
class Conversion:
    """How images of any source are converted: see `sparring.data.decode`."""

    size: int | None = None
    channels: int | None = None
    skip_unreadable: bool = False
    note: Note | None = None
    progress: ProgressHook | None = None


def pack_array(
    images: object,
    labels: object = None,
    *,
    class_names: Sequence[str] = (),
    name: str = "array",
    split: str | None = None,
    stored: Stored | None = None,
    conversion: Conversion | None = None,
) -> PackedImages:
    """uint8 images [N, H, W], [N, H, W, C] or [N, C, H, W] with C = 1, 3 or 4 (RGBA), and labels [N] or None.

    If both the second and the last axis could be the channels, a NumPy array is [N, H, W, C] and a tensor
    [N, C, H, W]. Raises SparringError for other shapes, and for floats, whose range could only be guessed.
    """
    conversion = conversion or Conversion()
    pixels = _channels_last(images, name)
    if not len(pixels):
        raise SparringError(f"'{name}' holds no images")
    count, height, width, channels = pixels.shape
    same_size = conversion.size in (None, height) and conversion.size in (None, width)
    if not (same_size and channels in (1, 3) and conversion.channels in (None, channels)):
        assembly = Assembly(
            source=name,
            count=count,
            read=lambda i: from_array(pixels[i], conversion.channels, conversion.size),
            name=lambda i: f"image {i}",
            channels=conversion.channels,
            progress=conversion.progress,
        )
        pixels, _ = assembly.run()
    packed = torch.from_numpy(np.require(pixels, requirements=["C", "W"])).permute(0, 3, 1, 2)
    numbers = None if labels is None else _label_tensor(labels, name)
    return PackedImages(packed, numbers, tuple(class_names), name, split, stored)


def pack_dataset(dataset: Any, *, name: str, split: str | None = None, conversion: Conversion) -> PackedImages:
    """A map-style `torch.utils.data.Dataset`, or a sequence, of images or (image, label) pairs.

    An image is a PIL image, a uint8 tensor [C, H, W] or [H, W], or a uint8 array [H, W, C] or [H, W]. Classes are
    named if the data set has a list `classes`, as torchvision's have. Items are read one after the other.
    """
    try:
        count = len(dataset)
    except TypeError:
        raise SparringError(
            f"'{name}' ({type(dataset).__name__}) has no length: give a map-style data set, with __len__ and __getitem__"
        ) from None
    if not count:
        raise SparringError(f"'{name}' holds no images")
    found: dict[int, int] = {}

    def read(i: int) -> tuple[np.ndarray, bool]:
        image = item = readable(f"{name}[{i}]", lambda: dataset[i])
        if isinstance(item, tuple | list):
            if len(item) != 2:
                raise SparringError(f"item {i} of '{name}' has {len(item)} parts: return an image, or (image, label)")
            image = item[0]
            found[i] = int(_label_tensor([item[1]], f"{name}[{i}]")[0])
        if isinstance(image, Image.Image):
            return readable(f"{name}[{i}]", lambda: convert(image, conversion.channels, conversion.size))
        batched = image[None] if isinstance(image, np.ndarray | Tensor) else np.asarray(image)[None]
        return from_array(_channels_last(batched, f"{name}[{i}]")[0], conversion.channels, conversion.size)

    assembly = Assembly(
        source=name,
        count=count,
        read=read,
        name=lambda i: f"{name}[{i}]",
        channels=conversion.channels,
        skip_unreadable=conversion.skip_unreadable,
        threads=1,  # few data sets may be read from several
        note=conversion.note,
        progress=conversion.progress,
    )
    pixels, kept = assembly.run()
    labels = None
    if found:
        without = next((i for i in kept.tolist() if i not in found), None)
        if without is not None:
            raise SparringError(f"item {without} of '{name}' has no label, but others have: label all of them, or none")
        labels = [found[i] for i in kept.tolist()]
    names = getattr(dataset, "classes", ())
    names = tuple(names) if labels is not None and isinstance(names, list | tuple) else ()
    return pack_array(pixels, labels, class_names=names, name=name, split=split)


def read_npz(path: Path, conversion: Conversion) -> PackedImages:
    """An `.npz` with `images` (or `x`, `arr_0`) and perhaps `labels` (or `y`, `arr_1`) and `class_names`.

    Shapes and types as for `pack_array`. Files of `sparring pack` are checked against their fingerprint. Pickled
    objects are refused, because they can run code.
    """
    with open_npz(path) as file:
        image_key = next((key for key in _IMAGE_KEYS if key in file), None)
        if image_key is None:
            raise SparringError(
                f"'{path}' has no array 'images' (nor 'x', 'arr_0'), only {', '.join(file.names)[:100] or 'none'}"
            )
        label_key = next((key for key in _LABEL_KEYS if key in file), None)
        images = file[image_key]
        labels = None if label_key is None else file[label_key]
        names = _names(path, file["class_names"]) if "class_names" in file else ()
        name = str(file["name"]) if "name" in file else path.stem
        split = (str(file["split"]) or None) if "split" in file else None
        fingerprint = str(file["fingerprint"]) if "fingerprint" in file else None
        stored = Stored(**parse_json(str(file["stored"]), "'stored'")) if "stored" in file else None
    packed = pack_array(images, labels, class_names=names, name=name, split=split, stored=stored, conversion=conversion)
    unchanged = conversion.size is None and conversion.channels is None
    if fingerprint and unchanged and packed.fingerprint != fingerprint:
        raise SparringError(f"'{path}' is damaged: its content does not match its fingerprint; pack it again")
    return packed


def _names(path: Path, names: np.ndarray) -> tuple[str, ...]:
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise SparringError(f"'{path}': class_names must be a list of names, got {names.dtype} {list(names.shape)}")
    return tuple(map(str, names))


def write_npz(path: Path, packed: PackedImages) -> None:
    """Write one uncompressed `.npz`, images as [N, H, W, C], that `read_npz` reads back identically.

    The file appears only once it is complete. Raises OSError if it cannot be written, and leaves nothing behind.
    """
    arrays: dict[str, np.ndarray] = {
        "images": packed.images.permute(0, 2, 3, 1).cpu().numpy(),
        "class_names": np.array(packed.class_names, dtype=str),
        "name": np.array(packed.name),
        "split": np.array(packed.split or ""),
        "fingerprint": np.array(packed.fingerprint),
    }
    if packed.labels is not None:
        arrays["labels"] = packed.labels.cpu().numpy()
    if packed.stored is not None:
        arrays["stored"] = np.array(json.dumps(asdict(packed.stored)))
    write_arrays(path, arrays)


def _channels_last(images: object, name: str) -> np.ndarray:
    """Images as a uint8 array [N, H, W, C]."""
    is_tensor = isinstance(images, Tensor)
    array = images.detach().cpu().numpy() if isinstance(images, Tensor) else np.asarray(images)
    if array.dtype != np.uint8:
        cure = {
            "f": "for values in [-1, 1] use sparring.data.to_uint8(images), for [0, 1] (images * 255).round(); "
            "leave out a data set's ToTensor()",
            "u": "divide 16-bit levels by 257",
        }.get(array.dtype.kind, "convert levels 0..255 to uint8")
        raise SparringError(f"images of '{name}' must be uint8, got {array.dtype}: {cure}")
    if array.ndim == 3:
        return array[..., None]
    if array.ndim == 4:
        first, last = array.shape[1] in (1, 3, 4), array.shape[3] in (1, 3, 4)
        if first and (is_tensor or not last):
            return array.transpose(0, 2, 3, 1)
        if last:
            return array
    raise SparringError(
        f"images of '{name}' have shape {list(array.shape)}: allowed are [N, H, W], [N, H, W, C] and [N, C, H, W] "
        "with C = 1, 3 or 4"
    )


def _label_tensor(labels: object, name: str) -> Tensor:
    array = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise SparringError(
            f"labels of '{name}' must be integers [N], got {array.dtype} {list(array.shape)}; "
            "for one-hot rows take their argmax"
        )
    if len(array) and int(array.max()) > WHOLE:  # a uint64, which int64 would make negative
        raise SparringError(f"label {int(array.max())} of '{name}' has more than 64 bits: number the classes from 0")
    return torch.from_numpy(array.astype(np.int64))
