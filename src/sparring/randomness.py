"""Randomness without state: every draw is seeded by what it is for, so that resuming needs nothing but counters."""

import hashlib
import random

import numpy as np
import torch
from torch import Tensor


def seed_for(*key: object) -> int:
    """A 63-bit seed that depends on the whole key alone, e.g. `seed_for(run_seed, "discriminator", update, "latents")`.

    The parts of a key are plain values (str, int, tuple of them), whose `repr` is the same on every machine.
    """
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator_for(*key: object) -> torch.Generator:
    """A fresh CPU generator seeded by the key. Draw on the CPU and move: the numbers then agree between devices."""
    return torch.Generator().manual_seed(seed_for(*key))


def seed_global_generators(*key: object) -> None:
    """Seed torch's, NumPy's and Python's global generators, for dropout and for users' modules that draw from them."""
    seed = seed_for(*key)
    # torch.manual_seed, but for the stack traces that it queues for CUDA devices not in use: a millisecond per update
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def normal(shape: tuple[int, ...], *key: object) -> Tensor:
    """Standard normal numbers of the given shape, float32 on the CPU."""
    return torch.randn(shape, generator=generator_for(*key), device="cpu")
