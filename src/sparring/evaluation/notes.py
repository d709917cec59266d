"""What a reader of a number should know about the two sets behind it: copies, unequal sizes."""

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


def size_notes(fake: object, real: object) -> list[str]:
    """A note where images of two sizes were compared; None is an unknown size."""
    if None in (fake, real) or fake == real:
        return []
    return [
        f"generated images are {fake} and real ones {real} pixels: sharpness alone sets them apart; load data at one size "
        "with --size"
    ]
