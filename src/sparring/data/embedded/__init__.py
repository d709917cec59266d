"""The images that ship with the package: Fashion-MNIST's 10,000 test images (MIT licence, see THIRD_PARTY.md).

28x28 grey, padded with zeros to 32x32, ten classes of 1,000. The split into 8,000 for training and 2,000 for testing
is this library's own, 800 and 200 of each class, and never changes. To compare with numbers on Fashion-MNIST's own
60,000 / 10,000 split, do not train on these images.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sparring.data.idx import read_idx
from sparring.data.packed import PackedImages
from sparring.errors import SparringError
from sparring.randomness import seed_for

NAME = "fashion-mnist-10k"
CLASS_NAMES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
SPLITS = ("train", "test")
TRAIN_PER_CLASS = 800
FOLDER = Path(__file__).parent
FINGERPRINTS = {"train": "f2dec146c6486dc0c9e2c85b66961398", "test": "d0acaa4c8249e14ec6b8946b0bd82ab3"}


def pad_to_32(images: np.ndarray) -> Tensor:
    """Grey uint8 images [N, 28, 28] with two black pixels around them: uint8 [N, 1, 32, 32]."""
    return torch.from_numpy(np.pad(images, ((0, 0), (2, 2), (2, 2))))[:, None]


def split_rows(labels: Tensor) -> dict[str, Tensor]:
    """The rows of each split, in ascending order: 800 of each class for training, the rest for testing.

    A row's place is a hash of its number, so that no library's random generator can ever move it.
    """
    order = sorted(range(len(labels)), key=lambda row: seed_for(NAME, "split", row))
    by_class: dict[int, list[int]] = {label: [] for label in range(len(CLASS_NAMES))}
    for row in order:
        by_class[int(labels[row])].append(row)
    train = sorted(row for rows in by_class.values() for row in rows[:TRAIN_PER_CLASS])
    test = sorted(row for rows in by_class.values() for row in rows[TRAIN_PER_CLASS:])
    return {"train": torch.tensor(train), "test": torch.tensor(test)}


def load_embedded(split: str = "train", folder: Path = FOLDER) -> PackedImages:
    """One split of the embedded images: uint8 [8000 or 2000, 1, 32, 32] with labels and class names.

    `folder` holds the two files. Raises SparringError for another split, or if a file is missing or damaged.
    """
    if split not in SPLITS:
        raise SparringError(f"'{NAME}' has no split '{split}', only {', '.join(SPLITS)}")
    images = pad_to_32(read_idx(folder / "t10k-images-idx3-ubyte.gz"))
    labels = torch.from_numpy(read_idx(folder / "t10k-labels-idx1-ubyte.gz")).long()
    return PackedImages(images, labels, CLASS_NAMES, NAME, split).take(split_rows(labels)[split])
