"""The Crammer-Singer multi-class hinge, per sample."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def crammer_singer(logits: Tensor, labels: Tensor, margin: float = 1.0) -> Tensor:
    """max(0, margin - C_y + max_{k != y} C_k) for logits C [B, K] and labels y [B]; [B].

    The gradient is -1 on C_y and +1 on the first largest of the others where the margin is missed, and 0 elsewhere.
    """
    own = F.one_hot(labels, logits.shape[1]).bool()
    c_y = logits.gather(1, labels[:, None])[:, 0]
    c_not_y = logits.masked_fill(own, -float("inf")).max(1).values
    return F.relu(margin - c_y + c_not_y)
