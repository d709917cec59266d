"""Randomness without state: every draw is seeded by its purpose, so that resuming a run needs only counters."""

import hashlib
import random

import numpy as np
import torch
from torch import Tensor


def seed_for(*key: object) -> int:
    """A 63-bit seed derived from the key, e.g. `seed_for(run_seed, "discriminator", update, "latents")`.

    The parts of a key are strings, integers or tuples of these: their `repr` is the same on every machine.
    """
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator_for(*key: object) -> torch.Generator:
    """A new CPU generator seeded by the key. Draw on the CPU, then move: all devices then get the same numbers."""
    return torch.Generator().manual_seed(seed_for(*key))


def seed_global_generators(*key: object) -> None:
    """Seed the global generators of torch, NumPy and Python, for dropout and for users' modules."""
    seed = seed_for(*key)
    # not torch.manual_seed: it queues stack traces for unused CUDA devices, which costs a millisecond per update
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def normal(shape: tuple[int, ...], *key: object) -> Tensor:
    """A standard normal float32 tensor of the given shape, on the CPU."""
    return torch.randn(shape, generator=generator_for(*key), device="cpu")
