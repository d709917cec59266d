"""A frozen network: the player that is not being updated keeps its weights, its buffers and its statistics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sparring.networks.spectral import SpectralNorm


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Within the block no parameter of the network takes a gradient and no buffer changes; its mode stays as it is.

    Batch normalisation uses the batch's statistics where it is in training mode, without moving the running ones. A graph
    that is built here still carries gradients to the inputs, also after the block.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    tracking = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.training and m.track_running_stats]
    others = [m for m in network.modules() if not isinstance(m, _BatchNorm | SpectralNorm)]
    buffers = [(b, b.clone()) for m in others for b in m.buffers(recurse=False)] if network.training else []
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
            for buffer, before in buffers:
                buffer.copy_(before)
