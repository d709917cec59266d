"""What a reader of a number should know about the two sets behind it: copies, too few images, unequal counts."""

import hashlib
from collections.abc import Sequence

from torch import Tensor


def digest(image: Tensor) -> bytes:
    """A hash of one image's pixels [C, H, W], uint8."""
    return hashlib.blake2b(image.contiguous().numpy().tobytes(), digest_size=16).digest()


def copy_notes(fakes: Sequence[bytes], reals: Sequence[bytes]) -> list[str]:
    """Notes about images that equal another one, pixel by pixel, from the digests of both sets; () where none were taken."""
    notes = []
    known = set(reals)
    if repeated := len(fakes) - len(set(fakes)):
        notes.append(f"{repeated} of {len(fakes)} generated images repeat another one exactly")
    if repeated := len(reals) - len(known):
        notes.append(f"{repeated} of {len(reals)} real images repeat another one exactly")
    copied = sum(each in known for each in fakes)
    if copied and copied == len(fakes):
        notes.append("every generated image is one of the real set: the set is compared with itself")
    elif copied:
        notes.append(f"{copied} of {len(fakes)} generated images equal a real one exactly")
    return notes


def bias_notes(n_real: int | None, n_fake: int, dimensions: int) -> list[str]:
    """Notes about a distance's bias at these numbers of images. n_real: None where a file of statistics does not say."""
    notes = []
    fewest = n_fake if n_real is None else min(n_real, n_fake)
    if fewest <= dimensions:
        notes.append(f"only {fewest} images for {dimensions} dimensions: a Frechet distance is then mostly bias")
    if n_real != n_fake:
        real = "an unknown number of" if n_real is None else n_real
        notes.append(
            f"compare only with numbers from {n_fake} generated and {real} real images: the bias depends on both"
        )
    return notes


def size_notes(fake: object, real: object) -> list[str]:
    """A note where images of two sizes were compared; None is an unknown size."""
    if None in (fake, real) or fake == real:
        return []
    return [
        f"generated images are {fake} and real ones {real} pixels: sharpness alone sets them apart; load data at one size "
        "with --size"
    ]
