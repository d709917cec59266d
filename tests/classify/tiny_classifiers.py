"""Tiny images and a tiny recipe for the tests of classifiers."""

import torch
from PIL import Image

from sparring.data.packed import PackedImages


def pictures(per_class, classes=("left", "right", "top"), seed=0, channels=3, size=8, names=None, split=None):
    """Noisy pictures of a bright half, told apart by which: uint8, one class after the other."""
    generator = torch.Generator().manual_seed(seed)
    halves = {
        "left": (slice(None), slice(0, size // 2)),
        "right": (slice(None), slice(size // 2, size)),
        "top": (slice(0, size // 2), slice(None)),
        "bottom": (slice(size // 2, size), slice(None)),
    }
    images = torch.randint(0, 60, (per_class * len(classes), channels, size, size), generator=generator)
    for number, kind in enumerate(classes):
        rows, columns = halves[kind]
        images[number * per_class : (number + 1) * per_class, :, rows, columns] += 150
    labels = torch.arange(len(classes)).repeat_interleave(per_class)
    return PackedImages(images.to(torch.uint8), labels, tuple(names or classes), "halves", split)


TINY = {
    "name": "tiny",
    "data": {"source": "from-python"},
    "network": {"kind": "small_cnn", "width": 4},
    "negatives": {"source": "from-python", "per_batch": 4},
    "optimizer": {"lr": 0.05},
    "steps": 6,
    "batch_size": 12,
    "validation": 0.2,
    "log_every": 2,
    "checkpoint_every": 2,
    "threads": 1,
}

CHANGES = {"beside": ["baseline"], "probes.noise": "noise:normal:20", "steps": 30, "false_alarm_rate": 0.1}


def given():
    return {
        "data": pictures(20),
        "test": pictures(8, seed=1, split="test"),
        "negatives": pictures(24, ("bottom",), seed=2),
        "probes": {"bottom": pictures(10, ("bottom",), seed=3)},
    }


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    return path
