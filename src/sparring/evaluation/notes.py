"""Notes on the two sets behind a number: copies, and different sizes."""

import hashlib
from collections.abc import Sequence

from torch import Tensor

from sparring.messages import counted


def digest(image: Tensor) -> bytes:
    """A hash of one image's pixels [C, H, W], uint8."""
    return hashlib.blake2b(image.contiguous().numpy().tobytes(), digest_size=16).digest()


def copy_notes(fakes: Sequence[bytes], reals: Sequence[bytes]) -> list[str]:
    """Notes about images that are identical, from the digests of both sets (empty if none were taken)."""
    notes = []
    known = set(reals)
    if repeated := len(fakes) - len(set(fakes)):
        notes.append(f"{repeated} of {counted(len(fakes), 'generated image')} {_are(repeated)} of another one")
    if repeated := len(reals) - len(known):
        notes.append(f"{repeated} of {counted(len(reals), 'real image')} {_are(repeated)} of another one")
    copied = sum(each in known for each in fakes)
    if copied and copied == len(fakes):
        notes.append("every generated image is in the real set: the set is compared with itself")
    elif copied:
        notes.append(f"{copied} of {counted(len(fakes), 'generated image')} {_are(copied)} of a real one")
    return notes


def _are(n: int) -> str:
    return "is an exact copy" if n == 1 else "are exact copies"


def size_notes(fake: object, real: object) -> list[str]:
    """A note if images of different sizes were compared; None is an unknown size."""
    if None in (fake, real) or fake == real:
        return []
    return [
        f"generated images are {fake} and real ones {real} pixels: their sharpness differs; load both at one size with "
        "--size"
    ]
