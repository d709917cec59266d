"""Noise images, which are certainly not in the data: as negatives, and to probe a classifier.

`normal` draws from N(0, 1) and `uniform` from U(-1, 1) in the network's own units, where images lie in [-1, 1].
As a data set noise is clipped to [-1, 1] and rounded to 8 bits like any image, which puts 32% of the normal pixels
at black or white; `noise_batch` returns the numbers as drawn (the probe of the NAT paper).
"""

import torch
from torch import Tensor

from sparring.data.packed import PackedImages, to_uint8
from sparring.errors import SparringError, nearest
from sparring.limits import check_memory
from sparring.messages import counted
from sparring.randomness import generator_for

KINDS = ("normal", "uniform")
DEFAULT_COUNT = 10_000
_CHUNK = 1024  # images drawn at a time, each chunk with its own seed: image i is the same for every count


def noise_batch(kind: str, count: int, channels: int, size: int, *key: object) -> Tensor:
    """Unclipped noise, float32 [count, channels, size, size]; image i depends on the kind, its shape and `key` only.

    Raises SparringError for an unknown kind.
    """
    if kind not in KINDS:
        raise SparringError(f"there is no noise '{kind}': {nearest(kind, KINDS)}")
    parts = [_chunk(kind, chunk, channels, size, key) for chunk in range((count + _CHUNK - 1) // _CHUNK)]
    return torch.cat([torch.empty(0, channels, size, size), *parts])[:count]


def noise_images(kind: str, count: int, channels: int, size: int, seed: int = 0) -> PackedImages:
    """Noise as a data set without labels: uint8 [count, channels, size, size]."""
    if count < 1:
        raise SparringError(f"noise needs at least one image, got {count}")
    held = 4 * count * channels * size * size
    check_memory(3 * held, f"{counted(count, 'image')} of noise in float32", "ask for fewer or smaller ones")
    noise = noise_batch(kind, count, channels, size, seed)
    return PackedImages(to_uint8(noise), name=f"noise:{kind}")


def parse_noise(source: str) -> tuple[str, int]:
    """`noise:normal` or `noise:normal:5000` as (kind, count). Raises SparringError for anything else."""
    _, kind, *rest = source.split(":")
    if kind not in KINDS:
        raise SparringError(f"there is no noise '{source}': {nearest(kind, KINDS)}, as in 'noise:normal'")
    if len(rest) > 1 or (rest and not rest[0].isdecimal()) or rest == ["0"] or len("".join(rest)) > 18:
        raise SparringError(f"'{source}' does not end in a number of images: write 'noise:{kind}:10000'")
    return kind, int(rest[0]) if rest else DEFAULT_COUNT


def _chunk(kind: str, number: int, channels: int, size: int, key: tuple[object, ...]) -> Tensor:
    generator = generator_for("noise", kind, *key, number)
    shape = (_CHUNK, channels, size, size)
    if kind == "normal":
        return torch.randn(shape, generator=generator)
    return torch.rand(shape, generator=generator) * 2 - 1
