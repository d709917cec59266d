"""What a classifier is trained with: three ways to treat images that belong to none of the classes.

    baseline      cross-entropy on positives; negatives are not looked at
    nat           cross-entropy on positives, the uniform answer on negatives: `sparring.NATLoss`
    extra_class   cross-entropy with negatives as one class more, which the paper reports to suffer from the imbalance

A criterion is any module called with (logits [B, C], target [B]), where a target below 0 is a negative; one of pytorch-ood's
losses, or your own, is `package.module:Class`. It may say `takes_negatives` (True unless it says otherwise) and
`extra_outputs`, the logits that it wants beyond the classes' (0), and may ask its constructor for `num_classes`.
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
    """Cross-entropy of logits [B, C] with classes [B]; it has no place for negatives and refuses them."""

    takes_negatives = False

    def __init__(self) -> None:
        super().__init__()

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        target = checked_target(logits, target, "the baseline")
        if target.device.type == "cpu" and bool((target < 0).any()):
            raise SparringError("the baseline knows no negatives: leave labels below 0 out, or choose criterion=nat")
        return F.cross_entropy(logits.float(), target)


class ExtraClass(nn.Module):
    """Cross-entropy of logits [B, C + 1], where every target below 0 is the last class. The given target is not changed."""

    extra_outputs = 1

    def __init__(self) -> None:
        super().__init__()

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        target = checked_target(logits, target, "extra_class", extra=1)
        return F.cross_entropy(logits.float(), target.where(target >= 0, logits.shape[1] - 1))


def criterion_class(kind: str, trust: Trust = VALIDATED) -> Any:
    """The criterion of that name. trust: whose may be imported; VALIDATED is that of a recipe's.

    Raises SparringError for what is no module's class.
    """
    return find_class(kind, CRITERIA, "criterion", nn.Module, trust)


def takes_negatives(kind: str) -> bool:
    """Whether the criterion of a recipe looks at negatives."""
    return bool(getattr(criterion_class(kind), "takes_negatives", True))
