"""Two small sets of images, and an extractor whose features can be written down."""

import torch

from sparring.data.packed import PackedImages
from sparring.evaluation.extractors.base import Features


class Corners:
    """Features: the four corner pixels; logits: three of them."""

    name, weights_sha256, resize, dimensions = "corners", "abc123", "none", 4
    class_names = ("a", "b", "c")
    cacheable = True

    def __call__(self, images):
        features = images[:, 0, (0, 0, -1, -1), (0, -1, 0, -1)].float() / 50
        return Features(features, features[:, :3])


def noise(n, seed, low=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, 256, (n, 1, 4, 4), generator=generator).to(torch.uint8)


REALS = PackedImages(noise(40, 0), torch.arange(40) % 2, ("x", "y"), name="reals", split="test")
FAKES = PackedImages(noise(31, 1, 60), torch.arange(31) % 2, ("x", "y"), name="fakes", split="train")
