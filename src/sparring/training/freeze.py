"""Parts of the networks that training leaves alone, for fine-tuning: the recipe's `freeze`.

Frozen weights take no gradient and no optimiser state, and keep their bits. So do the buffers beside them: frozen batch norm
normalises by its running statistics, as in sampling, and frozen spectral norm takes no power iteration. A frozen part thus
stays one and the same function, in training and afterwards, whatever the parts before it learn.

Freezing the first blocks of the discriminator is Mo, Cho and Shin, "Freeze the Discriminator: a Simple Baseline for
Fine-Tuning GANs", 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sparring.errors import SparringError, nearest
from sparring.messages import counted
from sparring.networks.frozen import evaluating

if TYPE_CHECKING:
    from sparring.networks.discriminator import Discriminator
    from sparring.recipe.gan import Freeze
    from sparring.training.feed import Feed

MOST_NAMES = 30  # in an error


def freeze_parts(freeze: Freeze, discriminator: Discriminator, generator: nn.Module, feed: Feed) -> None:
    """Freeze what the recipe names. Raises SparringError for names that fit nothing, and if nothing is left to train."""
    if isinstance(freeze.discriminator, int):
        chosen = _below_block(freeze.discriminator, discriminator, feed)
    else:
        chosen = _named(freeze.discriminator, discriminator, "discriminator")
    _freeze(discriminator, chosen, "discriminator")
    chosen = _named(freeze.generator, generator, "generator")
    _freeze(generator, chosen, "generator")
    norms = any(isinstance(m, _BatchNorm) and not m.training for m in generator.modules())
    if norms and getattr(generator, "batch_statistics", False):
        raise SparringError(
            "freeze.generator: frozen batch norm uses its running statistics, and this generator samples by those of "
            "batches: set generator.network.sampling_statistics=running, or freeze no batch norm"
        )


def _named(patterns: Sequence[str], network: nn.Module, player: str) -> set[str]:
    """The names of all parameters in the parts that the patterns name."""
    parameters = [name for name, _ in network.named_parameters()]
    parts = {name for name, module in network.named_modules() if name and any(True for _ in module.parameters())}
    chosen: set[str] = set()
    for pattern in patterns:
        found = [name for name in (*parts, *parameters) if fnmatchcase(name, pattern)]
        if not found:
            short = sorted(name for name in parts if "parametrizations" not in name)
            listed = ", ".join(short[:MOST_NAMES]) + (", ..." if len(short) > MOST_NAMES else "")
            hint = nearest(pattern, short, otherwise=f"choose among {listed}")
            raise SparringError(f"freeze.{player}: '{pattern:.80}' is no part of this network: {hint}")
        chosen |= {name for name in parameters for part in found if name == part or name.startswith(f"{part}.")}
    return chosen


def _below_block(count: int, discriminator: Discriminator, feed: Feed) -> set[str]:
    """The names of all parameters that the first blocks of the discriminator depend on."""
    if count == 0:
        return set()
    named = {name: p for name, p in discriminator.named_parameters() if p.requires_grad}
    with torch.random.fork_rng(devices=[]), evaluating(discriminator):
        for parameter in named.values():
            parameter.requires_grad_(True)
        images, labels = feed.real.batch(torch.arange(2), feed.device)
        with torch.enable_grad():
            blocks = discriminator.extract(images.to(feed.dtype), labels).blocks
        if count > len(blocks):
            raise SparringError(
                f"freeze.discriminator is {count}, and this backbone has {counted(len(blocks), 'block')}: "
                "give a smaller number, or names of its parts"
            )
        found = torch.autograd.grad(blocks[count - 1].sum(), list(named.values()), allow_unused=True)
    return {name for name, gradient in zip(named, found, strict=True) if gradient is not None}


def _freeze(network: nn.Module, names: set[str], player: str) -> None:
    for name, parameter in network.named_parameters():
        if name in names:
            parameter.requires_grad_(False)
    if names and not any(p.requires_grad for p in network.parameters()):
        raise SparringError(f"freeze.{player} leaves nothing to train: freeze fewer parts")
    for module in network.modules():
        parameters = list(module.parameters())
        if parameters and not any(p.requires_grad for p in parameters):
            module.eval()
