"""Images on the device that trains with them, where they fit: a batch is gathered there, and only row numbers are copied.

Other images stay on the host, where each batch is gathered, and pinned for its copy (`transfer.py`). As no step waits for
the device, the host prepares the next batch while the device computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from sparring.data.packed import PackedImages

SHARE = 0.25  # of a device's memory that images may take


def where_they_fit(sources: Sequence[Any], device: torch.device, memory: int | None = None) -> list[Any]:
    """The sources in their order: on the device as long as they take at most `SHARE` of its memory, else unchanged.

    memory: of the device, in bytes; None: as much as it has. Only packed images move, and only to devices with memory of
    their own.
    """
    left = SHARE * (_memory_of(device) if memory is None else memory)
    placed = []
    for source in sources:
        if isinstance(source, PackedImages) and device.type != "cpu" and source.images.nbytes <= left:
            left -= source.images.nbytes
            source = source.to(device)
        placed.append(source)
    return placed


def _memory_of(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else 0
