"""The discriminator's gradient with respect to images: what it would have changed in them to find them more real.

AS-GAN (Figures 2 and 9) reads it as follows: a discriminator that was trained against adversarial samples has gradients
with structure in them, sparser and of a smaller L1 norm; those of a standard one look like noise.

    L1 norm    sum over pixels and channels of |g|, of each image; the mean of it is logged
    sparsity   (sqrt(n) - L1 / L2) / (sqrt(n) - 1), Hoyer's: 0 where all n entries are equal, 1 where one alone is not zero
    structure  share of the map's variance that is left after averaging 3 x 3 pixels, 1/9 for white noise
    map        g clipped to within 3 standard deviations of its mean, then the mean of |g| over the channels (Figure 2)

Computed in float64: squares of the gradients of a saturated discriminator are beyond float32.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

CLIP = 3.0  # standard deviations, as in Figure 2 of AS-GAN
REACH = 4.0  # standard deviations, of a histogram


def l1_norms(gradients: Tensor) -> Tensor:
    """[N] of gradients [N, ...]."""
    return gradients.double().flatten(1).abs().sum(1)


def l2_norms(gradients: Tensor) -> Tensor:
    """[N] of gradients [N, ...]."""
    return torch.linalg.vector_norm(gradients.double().flatten(1), dim=1)


def sparsity(gradients: Tensor) -> Tensor:
    """Hoyer's sparsity [N] of gradients [N, ...], between 0 and 1; 0 for a gradient that is zero."""
    root = math.sqrt(gradients[0].numel())
    l2 = l2_norms(gradients)
    return torch.where(l2 > 0, (root - l1_norms(gradients) / l2.clamp_min(1e-300)) / max(root - 1, 1e-12), 0.0)


def maps(gradients: Tensor) -> Tensor:
    """Pictures [N, H, W] in [0, 1] of gradients [N, C, H, W], each scaled by its own largest value."""
    gradients = gradients.double()
    mean = gradients.mean((1, 2, 3), keepdim=True)
    spread = gradients.std((1, 2, 3), keepdim=True, correction=0)
    clipped = gradients.clamp(mean - CLIP * spread, mean + CLIP * spread)
    shown = clipped.abs().mean(1)
    return shown / shown.amax((1, 2), keepdim=True).clamp_min(1e-300)


def structure(gradients: Tensor) -> Tensor:
    """The share [N] of each map's variance left after averaging 3 x 3 pixels: about 1/9 in noise, near 1 in shapes."""
    shown = maps(gradients)[:, None]
    smooth = F.avg_pool2d(shown, 3, stride=1)
    inner = shown[..., 1:-1, 1:-1]
    return (smooth.var((1, 2, 3)) / inner.var((1, 2, 3)).clamp_min(1e-30)).clamp(0, 1)


def summary(gradients: Tensor) -> dict[str, float]:
    """Means over the images of the quantities defined above."""
    found = {"l1": l1_norms(gradients), "l2": l2_norms(gradients), "sparsity": sparsity(gradients)}
    if gradients.ndim == 4 and min(gradients.shape[2:]) > 3:
        found["structure"] = structure(gradients)
    return {name: float(value.mean()) for name, value in found.items()}


def common_reach(gradients: Iterable[Tensor]) -> float:
    """A common `reach` for the histograms of several runs: the widest."""
    return max(float(REACH * values.double().std(correction=0)) for values in gradients)


def histogram(gradients: Tensor, bins: int = 101, reach: float | None = None) -> tuple[list[float], list[float]]:
    """The centres of the bins and the share of entries in each. Entries beyond `reach` are in no bin.

    reach: by default 4 standard deviations; use a common one to compare runs.
    """
    values = gradients.flatten().double()
    reach = common_reach([values]) if reach is None else reach
    reach = reach or 1.0
    counts = torch.histc(values, bins, -reach, reach)
    width = 2 * reach / bins
    centres = [-reach + width * (i + 0.5) for i in range(bins)]
    return centres, (counts / len(values)).tolist()
