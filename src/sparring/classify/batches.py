"""A classifier's training batches: positives, then negatives with target -1. Each is a pure function of its step."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.classify.recipe import Augment, ClassifierRecipe
from sparring.data.packed import PackedImages, to_float
from sparring.data.sampler import Stream
from sparring.randomness import generator_for

NEGATIVE = -1


class Batches:
    """The batches of one classifier. `at(step)` depends only on the recipe's seed, the data and the step."""

    def __init__(self, recipe: ClassifierRecipe, positives: PackedImages, negatives: PackedImages | None):
        self.recipe, self.positives, self.negatives = recipe, positives, negatives
        self._positive_rows = Stream(len(positives), recipe.seed, "positives")
        self._negative_rows = None if negatives is None else Stream(len(negatives), recipe.seed, "negatives")

    def negatives_at(self, step: int) -> int:
        """The number of negatives in the batch of a step."""
        if self.negatives is None or self.recipe.negatives is None:
            return 0
        least, most = self.recipe.negatives.range
        return int(
            torch.randint(least, most + 1, (), generator=generator_for(self.recipe.seed, "negatives per batch", step))
        )

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Images float32 [B, C, H, W] in [-1, 1], channels-last, and target int64 [B]."""
        recipe, n_neg = self.recipe, self.negatives_at(step)
        inside = recipe.negatives is not None and recipe.negatives.placement == "inside"
        n_pos = recipe.batch_size - (n_neg if inside else 0)
        # steps own equal stretches of the stream, as long as the longest batch: no need to count earlier draws
        most = recipe.most_positives if n_neg else recipe.batch_size
        images, target = self.positives.uint8_batch(self._positive_rows.rows(step * most, n_pos))
        assert target is not None
        if n_neg and self._negative_rows is not None and self.negatives is not None and recipe.negatives is not None:
            rows = self._negative_rows.rows(step * recipe.negatives.range[1], n_neg)
            images = torch.cat([images, self.negatives.uint8_batch(rows)[0]])
            target = torch.cat([target, target.new_full((n_neg,), NEGATIVE)])
        images = augmented(images, recipe.augment, recipe.seed, step)
        return to_float(images).contiguous(memory_format=torch.channels_last), target


def augmented(images: Tensor, augment: Augment, *key: object) -> Tensor:
    """Crop and mirror images uint8 [B, C, H, W] at random; the result depends only on images and key."""
    count, _, height, width = images.shape
    generator = generator_for(*key, "augment")
    if augment.crop_padding:
        padding = augment.crop_padding
        offsets = torch.randint(0, 2 * padding + 1, (2, count), generator=generator).to(images.device)
        padded = F.pad(images, (padding,) * 4)  # 0 is black
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # a view: [B, C, 2p + 1, 2p + 1, H, W]
        images = windows[torch.arange(count, device=images.device), :, offsets[0], offsets[1]]
    if augment.flip:
        flipped = (torch.rand(count, generator=generator) < 0.5).to(images.device)
        images = torch.where(flipped[:, None, None, None], images.flip(3), images)
    return images
