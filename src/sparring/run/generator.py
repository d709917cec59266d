"""Images from generators, in training, in measurements and from saved ones."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sparring.data.classes import turns_at
from sparring.data.packed import to_uint8
from sparring.errors import SparringError
from sparring.networks.contract import images_of
from sparring.networks.frozen import evaluating
from sparring.randomness import seed_for
from sparring.run.latents import latent
from sparring.run.numerics import numerics

BATCH_STATISTICS_ROWS = 100  # as in the papers that sample with batch statistics; also the block size of measurements
ROWS = 50  # images per batch in sampling; fixed, since the last bit of a sum may depend on it


def generate_uint8(
    generator: nn.Module, latents: Tensor, labels: Tensor | None, batch_size: int = 250, *, key: tuple[int, ...] = ()
) -> Tensor:
    """Generate images uint8 [N, C, H, W], on the CPU. The generator and the global random generators are left unchanged.

    Batch normalisation uses its running statistics, or those of batches of 100 if the network sets `batch_statistics`.
    key: seeds the random numbers that the network draws itself.
    """
    return generate(generator, latents, labels, batch_size, key=key, convert=to_uint8)


@torch.no_grad()
@numerics()  # whatever a run is trained with
def generate(
    generator: nn.Module,
    latents: Tensor,
    labels: Tensor | None,
    batch_size: int,
    *,
    key: tuple[int, ...] = (),
    convert: Callable[[Tensor], Tensor] = Tensor.float,
) -> Tensor:
    """As `generate_uint8`, with each batch converted by a function of your choice: by default float32."""
    if len(latents) == 0:
        raise SparringError("asked for 0 images: n is at least 1")
    on_batches = bool(getattr(generator, "batch_statistics", False))
    size = BATCH_STATISTICS_ROWS if on_batches else batch_size
    devices = [latents.device] if latents.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), evaluating(generator, training=on_batches):
        torch.manual_seed(seed_for("generate", *key))
        images = [
            convert(images_of(generator, latents[i : i + size], None if labels is None else labels[i : i + size])).cpu()
            for i in range(0, len(latents), size)
        ]
    return torch.cat(images)


def sampler_of(
    generator: nn.Module,
    latent_size: int,
    num_classes: int,
    seed: int,
    device: torch.device | str = "cpu",
    *,
    turns: Tensor | None = None,
) -> Callable[[int, int], Tensor]:
    """Make `generate(start, count)` for measurements: sample i depends only on the seed, i and `turns`.

    turns: labels [P], used cyclically (see `data.classes.class_turns`); None: the classes in order.

    Samples are made in blocks of 100 that start at multiples of 100, and each block seeds what the generator draws itself.
    So batch statistics and noise layers see the same neighbours for any batch size and rank.
    """
    block = BATCH_STATISTICS_ROWS
    dtype = next(generator.parameters()).dtype
    turns = torch.arange(num_classes) if turns is None else turns
    unfinished: dict[int, Tensor] = {}  # the block of the next sample, by that sample's index

    def make(first: int) -> Tensor:
        latents = torch.stack([latent(latent_size, seed, i) for i in range(first, first + block)]).to(device, dtype)
        labels = turns_at(turns, first, block).to(device) if num_classes else None
        return generate_uint8(generator, latents, labels, batch_size=block, key=(seed, first // block))

    def generate(start: int, count: int) -> Tensor:
        stop, begun = start + count, unfinished.pop(start, None)
        unfinished.clear()  # the generator may have changed: only the very next samples may share a block
        firsts = range(start - start % block, stop, block)
        parts = [make(first) if begun is None or i else begun for i, first in enumerate(firsts)]
        if stop % block:
            unfinished[stop] = parts[-1]
        return torch.cat(parts)[start % block :][:count]

    return generate


def whole_batches(generator: nn.Module, count: int, rows: int) -> int:
    """`count`, rounded up to full batches."""
    if getattr(generator, "batch_statistics", False):
        rows = BATCH_STATISTICS_ROWS
    return -(-count // rows) * rows


def draws_noise(generator: nn.Module, latents: Tensor, labels: Tensor | None) -> bool:
    """Whether the generator draws random numbers for these latents, so that an image depends on its place in a batch."""
    on_gpu = latents.device.type == "cuda"
    with torch.random.fork_rng(devices=[latents.device] if on_gpu else []), torch.no_grad(), evaluating(generator):
        before = [torch.get_rng_state(), *([torch.cuda.get_rng_state(latents.device)] if on_gpu else [])]
        images_of(generator, latents, labels)
        after = [torch.get_rng_state(), *([torch.cuda.get_rng_state(latents.device)] if on_gpu else [])]
    return not all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def takes_labels(generator: nn.Module, num_classes: int) -> bool:
    """Whether the generator uses labels: its `conditioning` is not "none" or, without that, it takes `num_classes`."""
    if not num_classes:
        return False
    conditioning = getattr(generator, "conditioning", None)
    if conditioning is None:
        return "num_classes" in inspect.signature(type(generator)).parameters
    return conditioning != "none"
