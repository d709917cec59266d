"""The order in which a run sees its images: epoch after epoch of seeded shuffles, with no state to save."""

from collections import OrderedDict

import torch
from torch import Tensor

from sparring.errors import SparringError
from sparring.randomness import generator_for

_EPOCHS_KEPT = 3  # a batch rarely needs more; older ones are drawn again when needed


class Stream:
    """An endless sequence of row numbers 0..size-1: all of them, shuffled, once in each epoch.

    Row n is entry n % size of epoch n // size's permutation, which is seeded by (*key, epoch) alone. So a run
    continues from one counter, and a batch may span two epochs.
    Memory: three permutations of `size` int64.
    """

    def __init__(self, size: int, *key: object) -> None:
        if size < 1:
            raise SparringError(f"a stream needs at least one image, got {size}")
        self.size = size
        self.key = key
        self._epochs: OrderedDict[int, Tensor] = OrderedDict()

    def epoch_of(self, n: int) -> int:
        """The epoch, from 0, that row number n of the sequence belongs to."""
        return n // self.size

    def rows(self, start: int, count: int) -> Tensor:
        """int64 [count]: entries start .. start + count - 1 of the sequence."""
        if start < 0 or count < 0:
            raise SparringError(f"a stream takes a start and a count from 0, got {start} and {count}")
        parts = [torch.empty(0, dtype=torch.int64)]
        while count > 0:
            epoch, offset = divmod(start, self.size)
            part = self._permutation(epoch)[offset : offset + count]
            parts.append(part)
            start, count = start + len(part), count - len(part)
        return torch.cat(parts)

    def _permutation(self, epoch: int) -> Tensor:
        if epoch in self._epochs:
            self._epochs.move_to_end(epoch)
        else:
            self._epochs[epoch] = torch.randperm(self.size, generator=generator_for(*self.key, epoch))
            if len(self._epochs) > _EPOCHS_KEPT:
                self._epochs.popitem(last=False)
        return self._epochs[epoch]
