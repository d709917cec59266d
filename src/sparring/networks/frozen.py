"""Networks that must not change: the player that is not being updated, and any network that is only evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sparring.networks.spectral import SpectralNorm


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Within the block no parameter of the network takes a gradient, no buffer changes, and its mode is unchanged.

    Batch norm in training mode uses the batch's statistics and does not update the running ones. A graph that is built here
    still carries gradients to the inputs, even after the block.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    tracking = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.training and m.track_running_stats]
    others = [m for m in network.modules() if not isinstance(m, _BatchNorm | SpectralNorm)]
    buffers = [(m, name, b, b.clone()) for m in others for name, b in m.named_buffers(recurse=False)]
    for parameter in parameters:
        parameter.requires_grad_(False)
    for module in tracking:
        module.track_running_stats = False
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
        for module in tracking:
            module.track_running_stats = True
        with torch.no_grad():
            for owner, name, buffer, before in buffers:
                buffer.copy_(before)
                if getattr(owner, name) is not buffer:
                    setattr(owner, name, buffer)


@contextmanager
def modes_kept(network: nn.Module) -> Iterator[None]:
    """Restores the mode, training or evaluation, of each part of the network after the block."""
    parts = [part for part in network.modules() if hasattr(part, "training")]  # a frozen TorchScript module has no mode
    modes = [(part, part.training) for part in parts]
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


@contextmanager
def evaluating(network: nn.Module, *, training: bool = False) -> Iterator[None]:
    """Within the block the network is `frozen` and in evaluation mode, or in training mode if asked for.

    Afterwards everything is restored: the mode of each part, every buffer, and what takes a gradient.
    """
    with modes_kept(network):
        if hasattr(network, "training"):
            network.train(training)
        with frozen(network):
            yield
