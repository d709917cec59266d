"""Tiny images and recipes for tests of runs, and comparisons of their results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from sparring.data.packed import PackedImages

Recipe = dict[str, Any]
SIDE, CLASSES = 8, 3


def tiny_images(count: int = 40, channels: int = 1, seed: int = 0) -> PackedImages:
    """8x8 noise images in three classes."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, channels, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    names = tuple(f"class-{i}" for i in range(CLASSES))
    return PackedImages(pixels, torch.arange(count) % CLASSES, names, name="tiny")


def tiny_recipe(**changes: Any) -> Recipe:
    """A recipe with a few fast steps. Keyword arguments replace its keys."""
    optimizer = {"lr": 2e-3, "betas": [0.0, 0.9]}
    return {
        "name": "tiny",
        "data": "images.npz",
        "generator": {"network": {"kind": "dcgan", "width": 4}, "latent_size": 6, "optimizer": optimizer},
        "discriminator": {
            "network": {"kind": "dcgan", "width": 4, "normalisation": "none"},
            "optimizer": optimizer,
        },
        "objective": {"hinge": {}},
        "steps": 6,
        "batch_size": 8,
        "threads": 1,
        "evaluation": None,
        "log_every": 2,
        "samples_every": 100,
        "checkpoint_every": 100,
        **changes,
    }


def without_times(path: Path) -> list[dict[str, Any]]:
    """The rows of a log without the two fields that hold times."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds", "steps_per_second")} for row in rows]


def same_bits(a: Any, b: Any, where: str = "") -> None:
    """Assert that two nested states have the same types, shapes and bits."""
    assert type(a) is type(b), where
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype and torch.equal(a, b), where
    elif isinstance(a, dict):
        assert list(a) == list(b), where
        for key in a:
            same_bits(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            same_bits(x, y, f"{where}/{i}")
    else:
        assert a == b, where
