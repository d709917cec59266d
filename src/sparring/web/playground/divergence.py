"""How far two samples on a line are apart as histograms."""

from __future__ import annotations

import numpy as np

BINS = 60


def jensen_shannon(a: np.ndarray, b: np.ndarray, limits: tuple[float, float], bins: int = BINS) -> float:
    """The Jensen-Shannon divergence of two samples [N] or [N, 1] in nats, between 0 and log 2, from their histograms.

    Equal bins between the limits, and one on either side for all that lies beyond.
    """
    edges = np.concatenate([[-np.inf], np.linspace(*limits, bins + 1), [np.inf]])
    p, q = (np.histogram(each.ravel(), edges)[0] / each.size for each in (a, b))
    m = (p + q) / 2
    return float(_relative_entropy(p, m) + _relative_entropy(q, m)) / 2


def _relative_entropy(p: np.ndarray, q: np.ndarray) -> float:
    some = p > 0
    return float((p[some] * np.log(p[some] / q[some])).sum())
