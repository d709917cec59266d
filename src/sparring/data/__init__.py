"""Data: any source of images -> one packed uint8 array -> batches in [-1, 1].

images = sparring.data.load("cifar10.zip", size=32)
rows = sparring.data.Stream(len(images), seed, "reals").rows(step * 64, 64)
x, y = images.batch(rows, device)
"""

from sparring.data.idx import read_idx
from sparring.data.negatives import noise_batch, noise_images
from sparring.data.packed import PackedImages, to_float, to_uint8
from sparring.data.partial_labels import keep_share_of_labels, remove_labels, split_labelled
from sparring.data.sampler import Stream
from sparring.data.sources import load, pack, splits_of

__all__ = [
    "PackedImages",
    "Stream",
    "keep_share_of_labels",
    "load",
    "noise_batch",
    "noise_images",
    "pack",
    "read_idx",
    "remove_labels",
    "split_labelled",
    "splits_of",
    "to_float",
    "to_uint8",
]
