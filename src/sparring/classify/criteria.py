"""Criteria that classifiers are trained with: three ways to treat images of none of the classes.

    baseline      cross-entropy on positives; takes no negatives
    nat           cross-entropy on positives, the uniform answer on negatives: `sparring.NATLoss`
    extra_class   cross-entropy with negatives as an extra class, which according to the paper suffers from imbalance

A criterion is a module that is called with (logits [B, C], target [B]), where a target below 0 is a negative. One of
pytorch-ood's losses, or your own, is `package.module:Class`. It may set `takes_negatives` (default True) and
`extra_outputs`, the number of logits beyond those of the classes (default 0). Its constructor may take `num_classes`.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from sparring.classify.nat_loss import checked_target
from sparring.errors import SparringError
from sparring.plugins import find_class
from sparring.trust import VALIDATED, Trust

CRITERIA: dict[str, str] = {
    "baseline": "sparring.classify.criteria:Baseline",
    "nat": "sparring.classify.nat_loss:NATLoss",
    "extra_class": "sparring.classify.criteria:ExtraClass",
}


class Baseline(nn.Module):
    """Cross-entropy of logits [B, C] with classes [B]. Refuses negatives."""

    takes_negatives = False

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        target = checked_target(logits, target, "the baseline")
        if target.device.type == "cpu" and bool((target < 0).any()):
            raise SparringError("the baseline knows no negatives: leave labels below 0 out, or choose criterion=nat")
        return F.cross_entropy(logits.float(), target)


class ExtraClass(nn.Module):
    """Cross-entropy of logits [B, C + 1], where targets below 0 are the last class. Leaves the given target unchanged."""

    extra_outputs = 1

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        target = checked_target(logits, target, "extra_class", extra=1)
        return F.cross_entropy(logits.float(), target.where(target >= 0, logits.shape[1] - 1))


def criterion_class(kind: str, trust: Trust = VALIDATED) -> Any:
    """The criterion of that name. trust: the code that may be imported; VALIDATED for a recipe's.

    Raises SparringError for anything that is not a class of modules.
    """
    return find_class(kind, CRITERIA, "criterion", nn.Module, trust)


def takes_negatives(kind: str) -> bool:
    """Whether a recipe's criterion uses negatives."""
    return bool(getattr(criterion_class(kind), "takes_negatives", True))
