"""Checks that a device can be used before any work is done on it."""

from __future__ import annotations

import torch

from sparring.errors import SparringError


def usable_device(device: torch.device | str) -> torch.device:
    """The device of that name. Raises SparringError if it does not exist, or has no memory."""
    try:
        chosen = torch.device(device)
        if chosen.type == "meta":
            raise RuntimeError("it has no memory; a dry run is `sparring show`")
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, ImportError, AttributeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if reason.startswith("Expected one of"):  # a list of every device that torch knows
            reason = "write cpu, cuda, cuda:1 or mps"
        raise SparringError(f"cannot use device '{device}': {reason}") from None
    return chosen


def device_name(device: torch.device | str) -> str:
    """What kind of device computes, such as "cpu" or "NVIDIA H200": numbers differ in their last bits between kinds."""
    kind = torch.device(device).type
    return torch.cuda.get_device_name(device) if kind == "cuda" else kind
