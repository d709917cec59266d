"""Latents of seeds: which ones, how they are drawn and truncated, and how they are read from files."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sparring.archives import open_npz, read_npy
from sparring.errors import SparringError
from sparring.limits import MEASURED, WHOLE
from sparring.messages import counted
from sparring.randomness import generator_for

NARROWEST = 0.05  # a normal number lies within it once in 25 times, so redrawing soon ends
_RANGE = re.compile(r"(\d{1,19})(?:-(\d{1,19}))?", re.ASCII)
SEEDS = "seeds are whole numbers from 0 and ranges of them, such as 1-9,42"


def read_seeds(given: str | int | Iterable[int]) -> list[int]:
    """The seeds in a text such as `1-9,42`, or a list of them. Raises SparringError for anything else, and for one twice."""
    if isinstance(given, str):
        seeds = [seed for part in given.split(",") for seed in _range_of(part.strip(), given)]
    else:
        seeds = [given] if isinstance(given, int) else list(given)
    for seed in seeds:
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed <= WHOLE:
            raise SparringError(f"{SEEDS}, got {seed!r:.60}")
    if not seeds:
        raise SparringError(f"{SEEDS}, got none")
    if len(seeds) > MEASURED:
        raise _too_many(len(seeds))
    seen: set[int] = set()
    for seed in seeds:
        if seed in seen:
            raise SparringError(f"seed {seed} is given twice: name it once")
        seen.add(seed)
    return seeds


def _range_of(part: str, whole: str) -> range:
    found = _RANGE.fullmatch(part)
    if found is None:
        raise SparringError(f"{SEEDS}, got '{whole:.60}'")
    first, last = int(found[1]), int(found[2] or found[1])
    if last < first:
        raise SparringError(f"the seeds {part} end before they begin: write {last}-{first}")
    if last - first >= MEASURED:
        raise _too_many(last - first + 1)
    return range(first, last + 1)


def _too_many(count: int) -> SparringError:
    return SparringError(f"{counted(count, 'seed')} are too many: at most {MEASURED:,}")


def check_truncation(truncation: float | None) -> None:
    """Raise SparringError unless this is None or a threshold that redrawing can reach."""
    if truncation is None:
        return
    number = isinstance(truncation, int | float) and not isinstance(truncation, bool)
    if not number or not math.isfinite(truncation) or truncation < NARROWEST:
        raise SparringError(
            f"truncation is a threshold for latents, from {NARROWEST} (one image for all) to about 3 (nothing changes), "
            f"got {truncation!r:.60}"
        )


def latent(size: int, seed: int, index: int, truncation: float | None = None) -> Tensor:
    """The latent [size] of image `index` of a seed: standard normal, float32.

    truncation: numbers beyond it, in absolute value, are redrawn until they are within it (Brock et al., Large Scale GAN
    Training for High Fidelity Natural Image Synthesis, 2019, section 3.1). The others are those of the untruncated latent.
    """
    generator = generator_for("sample", seed, index)
    drawn = torch.randn(size, generator=generator)
    while truncation is not None and bool((beyond := drawn.abs() > truncation).any()):
        drawn[beyond] = torch.randn(int(beyond.sum()), generator=generator)
    return drawn


def read_latents(path: str | Path, size: int) -> tuple[Tensor, Tensor | None]:
    """Latents float32 [N, size] and class numbers [N], or None, from the arrays `latents` and `labels` of an .npz.

    An .npy holds latents alone. Raises SparringError for another file, shape or type, and for values that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise SparringError(f"there is no file of latents '{path}'")
    labels = None
    if path.suffix == ".npz":
        with open_npz(path) as file:
            if "latents" not in file:
                raise SparringError(f"{path} has no array 'latents', but {', '.join(file.names)[:100] or 'nothing'}")
            latents = file["latents"]
            labels = file["labels"] if "labels" in file else None  # noqa: SIM401 - not a dict
    elif path.suffix == ".npy":
        latents = read_npy(path)
    else:
        raise SparringError(f"latents are read from an .npz with an array 'latents', or an .npy, got '{path.name}'")
    if labels is not None and (labels.dtype.kind not in "iu" or labels.shape != latents.shape[:1]):
        raise SparringError(
            f"{path}: labels are a class number for each latent, got {labels.dtype} {list(labels.shape)}"
        )
    numbers = None if labels is None else torch.from_numpy(labels.astype(np.int64))
    return as_latents(latents, size, str(path)), numbers


def as_latents(given: object, size: int, what: str = "latents") -> Tensor:
    """A tensor or an array as latents float32 [N, size]. Raises SparringError for another shape, type or value."""
    latents = given if isinstance(given, Tensor) else torch.from_numpy(np.ascontiguousarray(_numbers(given, what)))
    if latents.ndim == 1:
        latents = latents[None]
    if latents.ndim != 2 or latents.shape[1] != size or not len(latents) or latents.dtype == torch.bool:
        raise SparringError(f"{what}: this generator takes latents [N, {size}], got {list(latents.shape)}")
    latents = latents.detach().cpu().float()
    if not latents.isfinite().all():
        raise SparringError(f"{what}: latents are finite numbers, and some are not")
    return latents


def _numbers(given: object, what: str) -> np.ndarray:
    try:
        array = np.asarray(given)
    except ValueError:  # rows of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "iuf":
        raise SparringError(f"{what}: latents are a tensor or an array of numbers [N, Z], got {type(given).__name__}")
    return array
