"""NAT for classifiers: cross-entropy on positives, and on negatives a distance from the uniform distribution.

    J_NAT = 1/N sum_i ( I[y_i >= 0] * -log p_i[y_i]  +  I[y_i < 0] * w * D(p_i, u) )

    N    samples in the batch, positives and negatives together
    p_i  softmax(logits_i) over c classes
    u    (1/c, ..., 1/c), the target for images of none of the classes
    D    KL(u || p), or another divergence that is zero at u
    w    the weight of negatives; 1 is the paper's

"Negative-Aware Training: Be Aware of Negative Samples", Eq. 1-4.

Prior art: with D = KL(u || p) and w = 1 the gradient is that of the Entropic Open-Set loss (Dhamija, Guenther and
Boult, "Reducing Network Agnostophobia", 2018) and of Outlier Exposure with alpha 1 (Hendrycks, Mazeika and Dietterich,
2019, whose code averages the two parts separately: `normalize="separate"`). The values differ by n_neg / N * log c.

Deviations
    Eq. 1 prints D(p || u) and Eq. 4 KL(u || p); the latter is what the authors' code computes, and the default here.
"""

from __future__ import annotations

from numbers import Real
from typing import Literal

import torch
from torch import Tensor, nn

from sparring.data.packed import is_whole
from sparring.errors import SparringError, nearest
from sparring.messages import counted
from sparring.terms.divergences import TO_UNIFORM, Divergence

Reduction = Literal["mean", "sum", "none"]


def nat_losses(logits: Tensor, target: Tensor, neg_weight: float = 1.0, divergence: Divergence = "kl") -> Tensor:
    """The summands of J_NAT for logits [B, c] and target [B], unreduced: [B]."""
    log_p = logits.log_softmax(1)
    on_positives = -log_p.gather(1, target.clamp(min=0).unsqueeze(1)).squeeze(1)
    on_negatives = neg_weight * TO_UNIFORM[divergence](logits) if neg_weight else torch.zeros_like(on_positives)
    return torch.where(target < 0, on_negatives, on_positives)


class NATLoss(nn.Module):
    """The criterion of negative-aware training, for any training loop.

        criterion = sparring.NATLoss()
        loss = criterion(model(torch.cat([images, negatives])), torch.cat([labels, torch.full((n,), -1)]))

    Positives and negatives belong in one forward pass, so that batch normalisation sees them together.

    reduction   "mean", "sum", or "none" (None) for one loss per sample
    neg_weight  the weight of each negative; 0 drops their loss, even if it is not finite
    normalize   what "mean" divides by: "batch", all samples (Eq. 1), or "separate", the mean over positives plus the mean
                over negatives; a part without samples counts 0. "sum" and "none" ignore it.
    divergence  "kl" (the paper's), "reverse_kl", "js" or "squared_error"

    Raises SparringError for any other value.
    """

    def __init__(
        self,
        reduction: Reduction | None = "mean",
        neg_weight: float = 1.0,
        normalize: Literal["batch", "separate"] = "batch",
        divergence: Divergence = "kl",
    ) -> None:
        super().__init__()
        for name, value, allowed in (
            ("reduction", "none" if reduction is None else reduction, ("mean", "sum", "none")),
            ("normalize", normalize, ("batch", "separate")),
            ("divergence", divergence, tuple(TO_UNIFORM)),
        ):
            if value not in allowed:
                raise SparringError(f"NATLoss: unknown {name} {value!r}: {nearest(str(value), allowed)}")
        number = isinstance(neg_weight, Real) and not isinstance(neg_weight, bool)
        if not number or not 0 <= neg_weight < float("inf"):
            raise SparringError(f"NATLoss: neg_weight is a finite number from 0, got {neg_weight!r}")
        self.reduction = reduction or "none"
        self.neg_weight, self.normalize, self.divergence = float(neg_weight), normalize, divergence

    def extra_repr(self) -> str:
        return (
            f"reduction={self.reduction!r}, neg_weight={self.neg_weight:g}, normalize={self.normalize!r}, "
            f"divergence={self.divergence!r}"
        )

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss for logits [B, c] and integer target [B]: a class from 0 to c - 1, or below 0 for a negative.

        Axes after the first two, as in segmentation, are further samples: logits [B, c, H, W] with target [B, H, W]. Half
        precision is computed, and returned, in float32. The result has a gradient, possibly zero, even if positives,
        negatives or both are missing. With one class, c = 1, every loss is 0.

        Raises SparringError for other shapes and types and, on the CPU, for classes out of range; on a GPU, torch's own
        assertion reports those.
        """
        target = checked_target(logits, target)
        if logits.dtype in (torch.float16, torch.bfloat16):
            logits = logits.float()
        losses = nat_losses(logits, target, self.neg_weight, self.divergence)
        if self.reduction == "none":
            return losses
        if self.reduction == "sum":
            return losses.sum()
        if self.normalize == "batch":
            return losses.sum() / max(losses.numel(), 1)
        negative = target < 0
        n_neg = negative.sum()
        n_pos = losses.numel() - n_neg
        zero = torch.zeros_like(losses)
        pos_sum, neg_sum = torch.where(negative, zero, losses).sum(), torch.where(negative, losses, zero).sum()
        return pos_sum / n_pos.clamp(min=1) + neg_sum / n_neg.clamp(min=1)


def checked_target(logits: Tensor, target: Tensor, what: str = "NATLoss", extra: int = 0) -> Tensor:
    """The target as int64. Raises SparringError, in one line, where logits [B, c + extra, ...] and target [B, ...] do not
    belong together."""
    if not (isinstance(logits, Tensor) and isinstance(target, Tensor)):
        raise SparringError(
            f"{what} takes tensors, logits and target, got {type(logits).__name__} and {type(target).__name__}"
        )
    if not logits.is_floating_point() or logits.ndim < 2 or logits.shape[1] <= extra:
        raise SparringError(
            f"{what} takes logits [B, C] of floats with at least {counted(extra + 1, 'column')}, got {logits.dtype} "
            f"{list(logits.shape)}"
        )
    expected = [logits.shape[0], *logits.shape[2:]]
    if not is_whole(target):
        raise SparringError(
            f"{what} takes a target of integers, a class or anything below 0 for a negative, got {target.dtype}"
        )
    if list(target.shape) != expected:
        raise SparringError(
            f"{what}: logits {list(logits.shape)} go with a target {expected}, got {list(target.shape)}"
        )
    classes, target = logits.shape[1] - extra, target.long()  # torch compares no unsigned integers beyond 8 bits
    if target.device.type == "cpu" and target.numel() and int(target.max()) >= classes:
        raise SparringError(
            f"{what}: label {int(target.max())} is out of range: logits of {classes} classes allow 0 to {classes - 1}, and "
            "anything below 0 for a negative"
        )
    return target
