"""A recipe for images that were looked at and a time that may be spent, with the reason for each choice."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sparring.recipe.files import read_recipe
from sparring.suggestion.look import Seen
from sparring.suggestion.measure import Cost

SIZES = (32, 64, 128)
ENOUGH_STEPS = 8_000  # below which a smaller size is the better use of the time
MOST_STEPS = 200_000
PER_CLASS = 10  # images, below which a class is too small to be learned apart
FEW = 10_000  # images, below which a discriminator soon knows them by heart
SYMMETRIC = 0.15  # asymmetry up to which mirror images may stand for images
MEASURED = 2_000  # generated images of a measurement, if time allows
MOST_REAL = 5_000
MEASURING = 0.15  # share of the time that measuring may take
BUSY = 1.3  # seconds for a CPU second, above which other programs have slowed the measurement
START = 15.0  # CPU seconds to start, to write samples and checkpoints, and to draw the report

Timed = Callable[[dict[str, Any], int], Cost]  # the cost of a step of these values at this size


@dataclass(frozen=True)
class Choice:
    """values: of the recipe. why: the reasons, by dotted key. seconds, cpu_seconds: of the whole run."""

    values: dict[str, Any]
    why: dict[str, str]
    seconds: float
    cpu_seconds: float


def choose(source: str, seen: Seen, seconds: float, step: Timed, extractor: tuple[str, Cost] | None) -> Choice:
    """The recipe that makes the most of `seconds` of this machine.

    step: measures a step. extractor: the one that can measure such images, and what it costs an image.
    """
    values, why = _networks(source, seen)
    values["evaluation"], measuring = _evaluation(seen, seconds, extractor, why)
    left = seconds - measuring.seconds - START
    size, cost = _size(seen, left, values, step, why)
    steps = int(min(MOST_STEPS, max(100, left / cost.seconds))) // 100 * 100
    values["data"]["size"], values["steps"] = size, steps
    why["steps"] = f"{cost.seconds * 1000:.0f} ms a step were measured here"
    if cost.seconds > BUSY * cost.cpu_seconds:
        why["steps"] += "; other programs kept the machine busy, so more steps may fit"
    decay = values["generator"]["ema"] = _ema(steps)
    why["generator.ema"] = f"an average over about the last {round(1 / (1 - decay)):,} steps is sampled and measured"
    if values["evaluation"] is not None:
        values["evaluation"]["every"] = math.ceil(steps / values["evaluation"].pop("times"))
    values["log_every"] = 50
    values["samples_every"] = max(50, steps // 20)
    values["checkpoint_every"] = max(50, steps // 10)
    total = [steps * per_step + START + whole for per_step, whole in zip(_pair(cost), _pair(measuring), strict=True)]
    return Choice(values, why, *total)


def _pair(cost: Cost) -> tuple[float, float]:
    return cost.seconds, cost.cpu_seconds


def _networks(source: str, seen: Seen) -> tuple[dict[str, Any], dict[str, str]]:
    """Everything that does not depend on the time, as the quickstart has it."""
    images, why = seen.images, dict[str, str]()
    counts = seen.per_class
    by_class = len(counts) > 1 and counts[0] >= PER_CLASS
    if len(counts) > 1 and not by_class:
        why["discriminator.conditioning"] = f"none: the smallest class has {counts[0]} images, fewer than {PER_CLASS}"
    elif by_class:
        why["discriminator.conditioning"] = f"the {len(counts)} classes are learned apart, and can be asked for"
        if counts[-1] > 5 * counts[0]:
            why["discriminator.conditioning"] += (
                f"; they hold {counts[0]} to {counts[-1]} images: small ones look worse"
            )
    conditioning = ("conditional_batch_norm", "projection") if by_class else ("none", "none")
    data: dict[str, Any] = {"source": source, "channels": images.channels}
    if images.split is not None:
        data["split"] = images.split
    if by_class:
        data["num_classes"] = len(counts)
    if len(counts) < images.num_classes:
        data["renumber"] = True
        why["data.renumber"] = f"{images.num_classes - len(counts)} classes have no images"
    data["flip"] = seen.asymmetry <= SYMMETRIC
    mean = "the mean image equals" if data["flip"] else "the mean image differs from"
    why["data.flip"] = f"{mean} its mirror image; mirroring is wrong for text and digits"
    if seen.unreadable:
        data["skip_unreadable"] = True
        why["data.skip_unreadable"] = f"{seen.unreadable} cannot be read"
    ours = read_recipe("quickstart")
    ours["generator"]["network"]["conditioning"], ours["discriminator"]["conditioning"] = conditioning
    values = {"data": data, **{part: ours[part] for part in ("generator", "discriminator", "objective")}}
    values["batch_size"] = min(ours["batch_size"], len(images))
    if len(images) < FEW:
        values["augment"] = {"kind": "diffaugment"}
        why["augment"] = f"with {len(images):,} images the discriminator would soon know them by heart"
    return values, why


def _size(seen: Seen, seconds: float, values: dict[str, Any], step: Timed, why: dict[str, str]) -> tuple[int, Cost]:
    """The largest size that the images have and that the time allows, and what a step costs at it."""
    middle = seen.sides[1]
    fitting = [size for size in SIZES if size <= middle] or [SIZES[0]]
    chosen, cost = fitting[0], step(values, fitting[0])
    reason = f"half of the images have {middle} pixels or {'more' if middle >= chosen else 'less, and are enlarged'}"
    for size in fitting[1:]:
        larger = step(values, size)
        if seconds / larger.seconds < ENOUGH_STEPS:
            reason += f"; {size} would need about {ENOUGH_STEPS * larger.seconds / 3600:.1g} hours"
            break
        chosen, cost = size, larger
    why["data.size"] = (
        reason if chosen == SIZES[0] else f"{reason}; the other settings are those of {SIZES[0]}, not tuned"
    )
    return chosen, cost


def _evaluation(
    seen: Seen, seconds: float, extractor: tuple[str, Cost] | None, why: dict[str, str]
) -> tuple[dict[str, Any] | None, Cost]:
    """How often and on how many images to measure, and what all of it costs."""
    if extractor is None:
        why["evaluation"] = "no extractor here can measure such images: pip install 'sparring[offline]' brings one"
        return None, Cost(0, 0)
    name, cost = extractor
    real = min(len(seen.images), MOST_REAL)
    fake = next((n for n in (MEASURED, 1_000, 500) if (n + real) * cost.seconds <= MEASURING * seconds), 200)
    left = MEASURING * seconds - real * cost.seconds
    times = int(min(10, max(1, left / (fake * cost.seconds))))
    found = {"extractor": name, "metrics": ["fd", "kd"], "n": fake, "times": times}
    if name == "fashion":
        found["metrics"] = ["fd", "is"]
    elif real < MEASURED:
        why["evaluation.metrics"] = f"read kd: fd of {real:,} real images is too high, by chance"
    if real < len(seen.images):
        found["n_real"] = real
    why["evaluation.n"] = f"measuring takes {cost.seconds * 1000:.0f} ms an image here"
    images = real + times * fake
    return found, Cost(images * cost.seconds, images * cost.cpu_seconds)


def _ema(steps: int) -> float:
    """A decay whose memory is about a fiftieth of the run."""
    return round(min(0.9995, max(0.99, 1 - 50 / steps)), 4)
