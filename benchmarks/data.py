"""Images per second of packed data and of a torchvision DataLoader, at 32 pixels with flips. Prints JSON."""

from __future__ import annotations

import argparse
import itertools
import json
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from sparring.bench.pairs import alternate
from sparring.bench.step import synthetic_images
from sparring.data.packed import PackedImages
from sparring.training.feed import Feed

BATCH, BATCHES, AT_LEAST = 64, 20, 20.0


class Pictures(Dataset):
    """A torchvision-style data set that makes and transforms a PIL image per sample."""

    def __init__(self, packed: PackedImages):
        self.pixels = packed.images.permute(0, 2, 3, 1).numpy()
        assert packed.labels is not None
        self.labels = packed.labels.tolist()
        self.transform = transforms.Compose(
            [transforms.RandomHorizontalFlip(), transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)]
        )

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[i])), self.labels[i]


def endless(loader: DataLoader) -> Iterator[Any]:
    while True:
        yield from loader


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--iterations", type=int, default=15)
    arguments.add_argument("--threads", type=int)
    given = arguments.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    warnings.simplefilter("ignore")
    packed = synthetic_images(50_000, 32, 3, 10, "data")
    feed = Feed(packed, BATCH, BATCH, latent_size=1, flip=True)
    count = itertools.count()

    def ours() -> None:
        for _ in range(BATCHES):
            list(feed.shares("discriminator", next(count), {"real"}, {}))

    for workers in (0, 2):
        loader = DataLoader(
            Pictures(packed), BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0, drop_last=True
        )
        stream = endless(loader)

        def theirs(stream: Iterator[Any] = stream) -> None:
            for _ in range(BATCHES):
                next(stream)

        found = alternate(ours, theirs, pairs=given.iterations)
        images = 1000 * BATCHES * BATCH
        print(
            json.dumps(
                {
                    "case": f"data path, 32 pixels, flips, against {workers} workers",
                    "at_least": AT_LEAST if workers == 0 else None,
                    "ours_per_second": images / found.ours_ms,
                    "loader_per_second": images / found.other_ms,
                    "ratio": found.ratio,
                    "ratio_low": found.ratio_low,
                    "ratio_high": found.ratio_high,
                    "iterations": found.pairs,
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
