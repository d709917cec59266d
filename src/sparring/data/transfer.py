"""Copies to a device that the host does not wait for."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(values: Tensor, device: torch.device | str, dtype: torch.dtype | None = None) -> Tensor:
    """Values on the device. To a GPU they are copied from pinned memory, while the host goes on to the next batch."""
    if torch.device(device).type == "cuda" and values.device.type == "cpu":
        return values.pin_memory().to(device, dtype, non_blocking=True)  # its memory is kept until the copy is done
    return values.to(device, dtype)
