"""The global generators are seeded like their libraries seed them, only by the key."""

import random

import numpy as np
import torch

from sparring.randomness import seed_for, seed_global_generators


def test_global_generators_are_seeded_like_their_own_functions_do() -> None:
    with torch.random.fork_rng(devices=[]):
        seed_global_generators(7, "modules", 3)
        ours = torch.rand(3), np.random.rand(3).tolist(), random.random()
        seed = seed_for(7, "modules", 3)
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        random.seed(seed)
        assert torch.equal(ours[0], torch.rand(3)) and ours[1:] == (np.random.rand(3).tolist(), random.random())
        seed_global_generators(7, "modules", 4)
        assert not torch.equal(ours[0], torch.rand(3))
