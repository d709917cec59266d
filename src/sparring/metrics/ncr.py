"""Negative Confidence Rate, and the numbers that must accompany it.

    NCR_t = 1/n sum_i I( max_k p_i[k] > t )      over the n negatives; lower is better

    p_i   softmax of the logits of an image that belongs to none of the classes
    t     the threshold (strict); the paper uses 0.4, 0.6, 0.8, 0.9

"Negative-Aware Training: Be Aware of Negative Samples", Eq. 5. A classifier that is never confident has an NCR of 0, so NCR
always comes with these:

    accuracy   of positives
    coverage_t share of positives above t: what remains if predictions below t are discarded
    AUROC      probability that a positive gets a higher confidence than a negative; ties count half
    FPR95      share of positives lost at the threshold that detects 95% of the negatives. Negatives are the class to detect,
               as in Hendrycks and Gimpel (2017) and pytorch-ood.
    ECE        expected calibration error on positives: mean |accuracy - confidence| over 15 bins of equal width, weighted by
               the number of samples (Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", 2017)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparring.data.packed import is_whole
from sparring.errors import SparringError

THRESHOLDS = (0.4, 0.6, 0.8, 0.9)  # the paper's, section 3.1
ECE_BINS = 15  # of Guo et al.


class UnknownThresholdError(SparringError, KeyError):
    """The threshold was not measured. Also a KeyError, so that `in` and `get` work."""

    __str__ = Exception.__str__  # KeyError's own adds quotes


class ByThreshold(dict[float, float]):
    """Shares by threshold. A float32 threshold, as from a tensor or array, finds the decimal number that it stands for."""

    def __getitem__(self, threshold: float) -> float:
        try:
            return super().__getitem__(_as_written(threshold))
        except (TypeError, ValueError, KeyError):
            measured = ", ".join(threshold_texts(self).values())
            raise UnknownThresholdError(
                f"NCR was measured at {measured}, not at {threshold}: name it in thresholds"
            ) from None

    __contains__ = Mapping.__contains__
    get = Mapping.get  # type: ignore[assignment]


@dataclass(frozen=True)
class NCRResult(Mapping[float, float]):
    """NCR by threshold, as `result[0.9]`, and the accompanying numbers. Those on positives are None if there are none."""

    ncr: ByThreshold
    n_negatives: int
    n_positives: int
    accuracy: float | None
    coverage: ByThreshold | None
    auroc: float | None
    fpr95: float | None
    ece: float | None

    __hash__ = None  # type: ignore[assignment] # a mapping that compares by value is not hashable

    def __getitem__(self, threshold: float) -> float:
        return self.ncr[threshold]

    def __iter__(self) -> Iterator[float]:
        return iter(self.ncr)

    def __len__(self) -> int:
        return len(self.ncr)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON data. Thresholds become strings such as "0.4"."""
        texts = threshold_texts(self.ncr)

        def by_text(values: dict[float, float] | None) -> dict[str, float] | None:
            return None if values is None else {texts[t]: value for t, value in values.items()}

        return {
            "ncr": by_text(self.ncr),
            "coverage": by_text(self.coverage),
            **{name: getattr(self, name) for name in ("accuracy", "auroc", "fpr95", "ece")},
            "n_positives": self.n_positives,
            "n_negatives": self.n_negatives,
        }


def ncr(
    logits: Tensor,
    labels: Tensor,
    thresholds: float | Sequence[float] = THRESHOLDS,
    *,
    num_classes: int | None = None,
) -> NCRResult:
    """Negative Confidence Rate of a classifier, and the accompanying numbers.

    logits       [N, C] with C >= 2; a tensor, NumPy array or list labels       integers [N], below 0 for a negative
    thresholds   one or more, in [0, 1) num_classes  how many of the C columns are classes of the data, if the classifier
    has an extra one for negatives. That one
                 takes part in the softmax, is never the confidence, and counts as wrong for a positive

    Raises SparringError for logits that are not finite, labels out of range, invalid thresholds, or no negatives.
    """
    metric = NCR(thresholds, num_classes=num_classes)
    metric.update(logits, labels)
    return metric.compute()


class NCR:
    """`ncr` as a streaming metric: `update` with each batch, then `compute`. `merge` joins those of several processes.

    It keeps a few bytes per sample, because AUROC and FPR95 need all confidences.
    """

    def __init__(self, thresholds: float | Sequence[float] = THRESHOLDS, *, num_classes: int | None = None) -> None:
        given: Any = [thresholds] if isinstance(thresholds, Real) else thresholds
        try:
            self.thresholds = tuple(_as_written(t) for t in given)
        except (TypeError, ValueError):
            self.thresholds = ()
        if not self.thresholds or any(not 0 <= t < 1 for t in self.thresholds):
            raise SparringError(f"thresholds must be one or more numbers in [0, 1), got {thresholds!r}")
        if num_classes is not None and (not isinstance(num_classes, Integral) or num_classes < 2):
            raise SparringError(f"num_classes must be a whole number of at least 2, got {num_classes!r}")
        self.num_classes = num_classes
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self._confidences: list[Tensor] = []
        self._labels: list[Tensor] = []
        self._correct: list[Tensor] = []

    def update(self, logits: Tensor, labels: Tensor) -> NCR:
        """Add a batch: logits [B, C] and integer labels [B], below 0 for negatives."""
        logits, labels = _tensor(logits, "logits"), _tensor(labels, "labels")
        confidences, predicted = confidence(logits, self.num_classes)
        if not is_whole(labels) or labels.shape != (len(logits),):
            raise SparringError(
                f"labels must be integers [{len(logits)}], one per row of logits, got {labels.dtype} {list(labels.shape)}"
            )
        labels = labels.detach().cpu().long()
        classes = self.num_classes or logits.shape[1]
        if len(labels) and int(labels.max()) >= classes:
            raise SparringError(
                f"label {int(labels.max())} is out of range: labels of {classes} classes are 0 to {classes - 1}, or "
                "below 0 for a negative"
            )
        self._confidences.append(confidences.cpu())
        self._labels.append(labels)
        self._correct.append(predicted.cpu() == labels)
        return self

    def merge(self, other: NCR) -> NCR:
        """Add the samples of another NCR. Raises SparringError if its settings differ."""
        if not isinstance(other, NCR):
            raise SparringError(f"merge takes another NCR, got {type(other).__name__}")
        if (other.thresholds, other.num_classes) != (self.thresholds, self.num_classes):
            raise SparringError("only NCR metrics with the same thresholds and num_classes can be merged")
        self._confidences += other._confidences
        self._labels += other._labels
        self._correct += other._correct
        return self

    def compute(self) -> NCRResult:
        """The numbers over all batches. Raises SparringError if there was no negative."""
        labels = torch.cat([torch.empty(0, dtype=torch.int64), *self._labels])
        confidences = torch.cat([torch.empty(0, dtype=torch.float64), *self._confidences])
        negative = labels < 0
        n_neg, n_pos = int(negative.sum()), int((~negative).sum())
        if not n_neg:
            raise SparringError("NCR needs negatives: label images that belong to no class with -1")
        neg, pos = confidences[negative], confidences[~negative]
        correct = torch.cat([torch.empty(0, dtype=torch.bool), *self._correct])[~negative]
        return NCRResult(
            ncr=ByThreshold({t: _share_above(neg, t) for t in self.thresholds}),
            n_negatives=n_neg,
            n_positives=n_pos,
            accuracy=float(correct.double().mean()) if n_pos else None,
            coverage=ByThreshold({t: _share_above(pos, t) for t in self.thresholds}) if n_pos else None,
            auroc=auroc(pos, neg) if n_pos else None,
            fpr95=fpr_at_95(pos, neg) if n_pos else None,
            ece=expected_calibration_error(pos, correct) if n_pos else None,
        )


def threshold_texts(thresholds: Iterable[float]) -> dict[float, str]:
    """Each threshold as a string such as "0.4", with all digits if six do not tell it from another."""
    short = {t: f"{t:g}" for t in thresholds}
    counts = Counter(short.values())
    return {t: text if counts[text] == 1 else repr(t) for t, text in short.items()}


def _as_written(threshold: Any) -> float:
    """A threshold as float64; a float32 becomes the shortest decimal that rounds to it: 0.4, not 0.4000000059604645."""
    value = float(threshold)
    if not 0 <= value < 1:
        return value
    in_float32 = np.float32(value)
    return float(str(in_float32)) if float(in_float32) == value else value


def _tensor(values: Any, what: str) -> Tensor:
    try:
        return torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise SparringError(f"{what} must be a tensor, array or list of numbers: {error}") from None


def confidence(logits: Tensor, num_classes: int | None = None) -> tuple[Tensor, Tensor]:
    """The maximum probability over the first `num_classes` columns of logits [B, C], and the argmax over all columns.

    These are float64 [B] and int64 [B]. Raises SparringError for other shapes, and for NaN.
    """
    if not logits.is_floating_point() or logits.ndim != 2 or logits.shape[1] < (num_classes or 2):
        raise SparringError(
            f"logits must be floats [N, C] with C >= {num_classes or 2}, got {logits.dtype} {list(logits.shape)}"
        )
    probabilities = logits.detach().double().softmax(1)
    if bool(probabilities.isnan().any()):
        raise SparringError("logits must be finite, but some are NaN or infinite: check the classifier")
    return probabilities[:, :num_classes].amax(1), probabilities.argmax(1)


def auroc(positive: Tensor, negative: Tensor) -> float:
    """P(confidence of a positive > that of a negative) + P(equal) / 2, exactly, for [P] and [N] with P, N >= 1."""
    ordered = negative.sort().values
    below = torch.searchsorted(ordered, positive, right=False)
    not_above = torch.searchsorted(ordered, positive, right=True)
    return float((below + not_above).double().sum() / (2 * len(positive) * len(negative)))


def fpr_at_95(positive: Tensor, negative: Tensor) -> float:
    """Share of the positives [P] at or below the smallest threshold that detects 95% of the negatives [N]."""
    caught = -(-95 * len(negative) // 100)
    threshold = negative.sort().values[caught - 1]
    return float((positive <= threshold).double().mean())


def expected_calibration_error(confidences: Tensor, correct: Tensor, bins: int = ECE_BINS) -> float:
    """sum_b n_b / n |accuracy_b - mean confidence_b| over bins ((b-1)/B, b/B], for confidences [N] and correct [N]."""
    number = (confidences.double() * bins).ceil().long().clamp(1, bins) - 1
    gaps = torch.zeros(bins, dtype=torch.float64).index_add_(0, number, correct.double() - confidences.double())
    return float(gaps.abs().sum() / len(confidences))


def _share_above(confidences: Tensor, threshold: float) -> float:
    return float((confidences > threshold).double().mean())
