"""The batches of each update, cut into shares for ranks and micro-batches. A counter says which rows come next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from sparring.data.packed import PackedImages, to_float
from sparring.data.sampler import Stream
from sparring.data.transfer import to_device
from sparring.objective.context import Player, share_of
from sparring.randomness import generator_for
from sparring.run.process import threads


class Source(Protocol):
    """What a feed draws from: `data.PackedImages`, or a toy world. The caller may change a batch in place."""

    @property
    def num_classes(self) -> int: ...

    def __len__(self) -> int: ...

    def batch(self, index: Tensor, device: torch.device | None = None) -> tuple[Tensor, Tensor | None]: ...


@dataclass(frozen=True)
class Share:
    """What one rank computes in one backward pass: its rows of the update's batch.

    part of parts: which share this is. totals: the rows of each side in the whole update's batch.
    """

    part: int
    parts: int
    latents: Tensor
    fake_labels: Tensor | None
    sides: dict[str, tuple[Tensor, Tensor | None]] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)


@dataclass
class Feed:
    """Draws real batches (epoch after epoch of shuffles), latents N(0, I) and labels for fakes.

    batch_size and generator_batch_size are totals over all ranks and micro-batches, so that a recipe makes the same updates
    on any number of them.
    """

    real: Source
    batch_size: int
    generator_batch_size: int
    latent_size: int
    seed: int = 0
    negatives: Source | None = None
    unlabelled: Source | None = None
    flip: bool = False
    accumulate: int = 1
    rank: int = 0
    world: int = 1
    num_classes: int = 0
    label_pool: Tensor | None = None  # labels of fakes are drawn from these; None: from all classes
    device: torch.device = torch.device("cpu")  # noqa: RUF009 - a device is immutable
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        sources = {"real": self.real, "negative": self.negatives, "unlabelled": self.unlabelled}
        self._sources = {name: source for name, source in sources.items() if source is not None}
        self._streams = {name: Stream(len(source), self.seed, "data", name) for name, source in self._sources.items()}

    @property
    def updates_per_epoch(self) -> int:
        return max(1, len(self.real) // self.batch_size)

    @property
    def parts(self) -> int:
        return self.world * self.accumulate

    def shares(
        self, player: Player, update: int, sides: Iterable[str], rows: dict[str, int], data_update: int | None = None
    ) -> Iterator[Share]:
        """This rank's shares of an update.

        sides: which real batches are needed; rows: sizes that differ from the batch size; data_update: the update whose
        rows of the data these are, by default this one; the generator sees those of the last discriminator update again.
        """
        size = self.generator_batch_size if player == "generator" else self.batch_size
        latents = self._whole(torch.randn, (size, self.latent_size), "latents", player, update)
        labels = self._fake_labels(size, player, update)
        wanted = [name for name in ("real", "negative", "unlabelled") if name in sides and name in self._sources]
        totals = {name: rows.get(name, self.batch_size) for name in wanted} | {"fake": size}
        at = update if data_update is None else data_update
        for micro in range(self.accumulate):
            part = self.rank * self.accumulate + micro
            here = share_of(size, part, self.parts)
            yield Share(
                part,
                self.parts,
                to_device(latents[here], self.device, self.dtype),
                None if labels is None else to_device(labels[here], self.device),
                {name: self._batch(name, at, totals[name], part) for name in wanted},
                totals,
            )

    def latents(self, count: int, *key: object) -> tuple[Tensor, Tensor | None]:
        """Latents, seeded by the key, and labels that take the classes in turn: for pictures, and for trying networks."""
        z = torch.randn(count, self.latent_size, generator=generator_for(self.seed, "latents", *key))
        labels = torch.arange(count) % self.num_classes if self.num_classes else None
        return z.to(self.device, self.dtype), None if labels is None else labels.to(self.device)

    def _whole(self, sample: object, shape: tuple[int, ...], *key: object) -> Tensor:
        return sample(shape, generator=generator_for(self.seed, *key))  # type: ignore[operator]

    def _fake_labels(self, size: int, player: Player, update: int) -> Tensor | None:
        if not self.num_classes:
            return None
        pool = self.label_pool
        most = self.num_classes if pool is None else len(pool)
        drawn = torch.randint(most, (size,), generator=generator_for(self.seed, "labels", player, update))
        return drawn if pool is None else pool[drawn]

    def _batch(self, name: str, update: int, total: int, part: int) -> tuple[Tensor, Tensor | None]:
        with threads(1):  # waiting for a second thread takes longer than the batch itself
            return self._drawn(name, update, total, part)

    def _drawn(self, name: str, update: int, total: int, part: int) -> tuple[Tensor, Tensor | None]:
        here = share_of(total, part, self.parts)
        index = self._streams[name].rows(update * total + here.start, here.stop - here.start)
        source = self._sources[name]
        draw = source.uint8_batch if isinstance(source, PackedImages) else source.batch
        images, labels = draw(index, self.device)  # mirroring bytes is a quarter of the work
        if self.flip and images.ndim == 4:
            coins = torch.rand(total, generator=generator_for(self.seed, "flip", name, update))[here] < 0.5
            rows = torch.from_numpy(np.flatnonzero(coins.numpy()))  # on the host: no step waits for the device
            _mirror(images, to_device(rows, self.device))
        images = (to_float(images) if images.dtype == torch.uint8 else images).to(self.dtype)
        if name == "negative":
            labels = torch.full((len(images),), -1, dtype=torch.int64, device=self.device)
        elif name == "unlabelled":
            labels = None
        return images, labels


def _mirror(images: Tensor, rows: Tensor) -> None:
    """Mirror some of the images [B, C, H, W] in place, in their own memory order."""
    pixels = images.permute(0, 2, 3, 1)
    mirrored = pixels.flatten(1).index_select(0, rows).view(-1, *pixels.shape[1:]).flip(2)
    if images.device.type == "cpu" and not images.requires_grad:
        pixels.numpy()[rows.numpy()] = mirrored.numpy()  # a copy per image, where `index_copy_` goes pixel by pixel
    else:
        pixels.index_copy_(0, rows, mirrored)
