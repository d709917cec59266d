"""Films between images: great circles between their latents, and mixtures of their classes, at an even pace.

Latents are normal, so nearly all of them have about the same length. A straight line between two leaves that sphere; a great
circle stays on it (Shoemake, Animating Rotation with Quaternion Curves, 1985; for latents White, Sampling Generative
Networks, 2016). The frames are placed so that the image, not the latent, changes by the same amount from one to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sparring.data.packed import to_uint8
from sparring.errors import SparringError
from sparring.files import ANOTHER_FOLDER, one_line_for_disk_errors
from sparring.messages import Note, note_or_default
from sparring.run.sample import check_ending, write_images
from sparring.run.saved import load_generator
from sparring.run.saved_generator import SavedGenerator
from sparring.studio.keys import Keys, keys_of

PER_STRETCH = 60  # frames between two images, unless their number is given
RATE = 30  # frames per second
MOST = 20_000  # frames: eleven minutes
FINER = 4  # places per frame at which the pace is measured
FINEST = 2_000  # places in a stretch
PASSES = 2  # the second measures the pace at the places that the first has found
PARALLEL = 1e-3  # the sine of an angle below which two latents lie on one line, and have no great circle

Stretch = Callable[[Tensor], tuple[Tensor, Tensor | None]]  # times [T] in [0, 1] -> latents [T, Z], labels


def interpolate(
    run: str | Path,
    *,
    seeds: str | Iterable[int] | None = None,
    latents: str | Path | None = None,
    labels: Any = None,
    truncation: float | None = None,
    frames: int | None = None,
    loop: bool = False,
    out: str | Path | None = None,
    note: Note | None = None,
    allow_code: bool = False,
) -> Tensor:
    """A film uint8 [N, C, H, W] that passes through several images of a generator, written if `out` is given.

    seeds, latents: the images, as for `sparring.sample`. labels: one class, or one for each image, also as a text with
        commas; several classes of one seed make a film between classes. Networks that blend classes mix them along the
        way; for others the class changes half-way, and a note says so.
    frames: of the film, by default 60 for each stretch between two images. loop: return to the first image.
    out: a .gif, an .mp4, a folder of frames or a .png with all of them. truncation, note, allow_code: see `sparring.sample`.
    """
    target = None if out is None else Path(out)
    if target is not None:
        check_ending(target, only=("", ".png", ".gif", ".mp4"))
    note = note_or_default(note)
    generator = load_generator(run, allow_code=allow_code)
    keys = keys_of(generator, seeds=seeds, latents=latents, labels=labels, truncation=truncation, note=note)
    film = between(generator, keys, frames=frames, loop=loop, note=note)
    if target is not None:
        names = [f"{i:06d}" for i in range(len(film))]
        with one_line_for_disk_errors(ANOTHER_FOLDER):
            write_images(film, target, names=names, rate=RATE)
    return film


def between(generator: SavedGenerator, keys: Keys, *, frames: int | None, loop: bool, note: Note) -> Tensor:
    """The film uint8 [N, C, H, W] through these places. Each of them is a frame."""
    if len(keys) < 2:
        raise SparringError("a film needs two images to pass between: give two seeds, or one seed and two labels")
    order = [*range(len(keys)), *([0] if loop else [])]
    pairs = list(zip(order, order[1:], strict=False))
    stretches = [_stretch(generator, keys, a, b) for a, b in pairs]
    count = PER_STRETCH * len(pairs) if frames is None else frames
    if not isinstance(count, int) or isinstance(count, bool) or not len(keys) <= count <= MOST:
        raise SparringError(
            f"frames is a whole number from {len(keys)} (one for each image) to {MOST:,}, got {count!r:.60}"
        )
    switches = [_switches(generator, keys, a, b) for a, b in pairs]
    if any(switches):
        note(
            "this network does not blend classes: between two of them the class changes half-way, from one frame to the next"
        )
    steps = count if loop else count - 1
    fine = min(max(2, FINER * steps // len(pairs)), FINEST)
    measured = [_pace(generator, stretch, fine, s) for stretch, s in zip(stretches, switches, strict=True)]
    parts = []
    for stretch, (times, lengths), n in zip(
        stretches, measured, _shares([m[1][-1] for m in measured], steps), strict=True
    ):
        parts.append(stretch(_at(times, lengths, torch.linspace(0, 1, n + 1))[:-1]))
    if not loop:
        parts.append(stretches[-1](torch.ones(1)))
    film = torch.cat([part[0] for part in parts])
    labels = None if keys.labels is None else torch.cat([_as_weights(generator, keys, part[1]) for part in parts])
    return to_uint8(generator.floats(film, labels))


def great_circle(a: Tensor, b: Tensor, times: Tensor) -> Tensor:
    """Latents [T, Z] from a [Z] to b [Z]: the direction turns evenly, and the length changes evenly."""
    times = times[:, None]
    lengths = a.norm() + times * (b.norm() - a.norm())
    u, v = nn.functional.normalize(a, dim=0), nn.functional.normalize(b, dim=0)
    angle = torch.atan2((u - v).norm(), (u + v).norm()) * 2  # exact for small angles, unlike the arc cosine
    if angle.sin() < PARALLEL:
        return a + times * (b - a)
    return lengths * (((1 - times) * angle).sin() * u + (times * angle).sin() * v) / angle.sin()


def _stretch(generator: SavedGenerator, keys: Keys, a: int, b: int) -> Stretch:
    """The way from place a to place b."""

    def at(times: Tensor) -> tuple[Tensor, Tensor | None]:
        latents = great_circle(keys.latents[a], keys.latents[b], times)
        if keys.labels is None:
            return latents, None
        first, second = keys.labels[a], keys.labels[b]
        if first == second or not generator.blends_labels:
            return latents, torch.where(times < 0.5, first, second)
        one_hot = nn.functional.one_hot(torch.stack([first, second]), generator.num_classes).float()
        return latents, (1 - times[:, None]) * one_hot[0] + times[:, None] * one_hot[1]

    return at


def _switches(generator: SavedGenerator, keys: Keys, a: int, b: int) -> bool:
    """Whether the class changes between two places without being blended."""
    return keys.labels is not None and not generator.blends_labels and bool(keys.labels[a] != keys.labels[b])


def _as_weights(generator: SavedGenerator, keys: Keys, labels: Tensor | None) -> Tensor:
    """Labels of one part of a film in the form that all parts share: class numbers if no part blends."""
    assert labels is not None and keys.labels is not None
    if labels.is_floating_point() or not generator.blends_labels or len(keys.labels.unique()) == 1:
        return labels
    return nn.functional.one_hot(labels, generator.num_classes).float()


def _pace(generator: SavedGenerator, stretch: Stretch, count: int, switches: bool) -> tuple[Tensor, Tensor]:
    """Times [count + 1], and how far the image has changed by then, as a sum of distances from one time to the next.

    The jump of a class that is not blended counts as no distance, so that no frames are spent on it.
    """
    times = torch.linspace(0, 1, count + 1)
    for again in range(PASSES):
        images = generator.floats(*stretch(times)).flatten(1).double()
        steps = (images[1:] - images[:-1]).norm(dim=1)
        if switches:
            steps[(times[:-1] < 0.5) & (times[1:] >= 0.5)] = 0
        lengths = torch.cat([steps.new_zeros(1), steps.cumsum(0)])
        if again < PASSES - 1:
            times = _at(times, lengths, torch.linspace(0, 1, count + 1))
    return times, lengths


def _at(times: Tensor, lengths: Tensor, shares: Tensor) -> Tensor:
    """The times at which these shares of the whole length are reached; even times if nothing changes at all."""
    if not lengths[-1] > 0:
        return shares
    wanted = shares.double() * lengths[-1]
    right = torch.searchsorted(lengths, wanted).clamp(1, len(lengths) - 1)
    low, high = lengths[right - 1], lengths[right]
    part = ((wanted - low) / (high - low).clamp_min(1e-300)).clamp(0, 1)
    found = times[right - 1] + part.float() * (times[right] - times[right - 1])
    found[0], found[-1] = 0, 1
    return found


def _shares(lengths: list[Tensor], steps: int) -> list[int]:
    """How many of the steps each stretch gets: at least one, and about in proportion to its length."""
    total = sum(float(length) for length in lengths)
    wanted = [(float(length) / total if total else 1 / len(lengths)) * steps for length in lengths]
    found = [max(1, int(each)) for each in wanted]
    while sum(found) < steps:
        found[max(range(len(found)), key=lambda i: wanted[i] / found[i])] += 1
    while sum(found) > steps:
        most = max((i for i in range(len(found)) if found[i] > 1), key=lambda i: found[i] / max(wanted[i], 1e-9))
        found[most] -= 1
    return found
