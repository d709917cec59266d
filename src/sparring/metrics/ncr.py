"""Negative Confidence Rate, and the numbers that keep it honest.

    NCR_t = 1/n sum_i I( max_k p_i[k] > t )      over the n negatives; lower is better

    p_i   softmax of the logits of one image that belongs to none of the classes
    t     the threshold, compared strictly; the paper's are 0.4, 0.6, 0.8, 0.9

"Negative-Aware Training: Be Aware of Negative Samples", Eq. 5. A classifier that is never sure of anything has an NCR of 0,
so it never stands alone here:

    accuracy   of positives
    coverage_t share of positives above t: what is left of the classifier if answers below t are discarded
    AUROC      probability that a positive is answered with more confidence than a negative; ties count half
    FPR95      share of positives that are lost at the threshold that catches 95% of the negatives. Negatives are what is to
               be detected, as in Hendrycks and Gimpel (2017) and pytorch-ood.
    ECE        expected calibration error on positives: mean |accuracy - confidence| over 15 bins of equal width, weighted by
               their samples (Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", 2017)
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
    """A threshold that was not measured; a KeyError, too, so that `in` and `get` work."""

    __str__ = Exception.__str__  # KeyError's own puts the line in quotes


class ByThreshold(dict[float, float]):
    """Shares by threshold; a float32, as those of tensors and arrays, finds the threshold that it stands for."""

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
    """NCR by threshold, `result[0.9]`, and its companions; those that need positives are None without any."""

    ncr: ByThreshold
    n_negatives: int
    n_positives: int
    accuracy: float | None
    coverage: ByThreshold | None
    auroc: float | None
    fpr95: float | None
    ece: float | None

    __hash__ = None  # type: ignore[assignment] # as of all that compare by the numbers in a dict

    def __getitem__(self, threshold: float) -> float:
        return self.ncr[threshold]

    def __iter__(self) -> Iterator[float]:
        return iter(self.ncr)

    def __len__(self) -> int:
        return len(self.ncr)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; thresholds become text such as "0.4"."""
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
    """Negative Confidence Rate of logits [N, C] with integer labels [N], below 0 for a negative, and its companions.

    logits, labels: with C >= 2; tensors, or what becomes one (NumPy arrays, lists). thresholds: several, or one.
    num_classes: how many of the C columns are classes of the data, where a classifier has a further one for negatives: it
        takes part in the softmax, is never the confidence, and is wrong for a positive.

    Raises SparringError for logits that are no numbers, labels out of range, thresholds outside of [0, 1), and where there
    is not one negative.
    """
    metric = NCR(thresholds, num_classes=num_classes)
    metric.update(logits, labels)
    return metric.compute()


class NCR:
    """The same as a streaming metric: `update` with each batch, then `compute`; `merge` joins those of several processes.

    It keeps a few bytes per sample, as AUROC and FPR95 need all confidences.
    """

    def __init__(self, thresholds: float | Sequence[float] = THRESHOLDS, *, num_classes: int | None = None) -> None:
        given: Any = [thresholds] if isinstance(thresholds, Real) else thresholds
        try:
            self.thresholds = tuple(_as_written(t) for t in given)
        except (TypeError, ValueError):
            self.thresholds = ()
        if not self.thresholds or any(not 0 <= t < 1 for t in self.thresholds):
            raise SparringError(f"thresholds are probabilities from 0 and below 1, at least one, got {thresholds!r}")
        if num_classes is not None and (not isinstance(num_classes, Integral) or num_classes < 2):
            raise SparringError(f"num_classes is a whole number of at least 2, got {num_classes!r}")
        self.num_classes = num_classes
        self.reset()

    def reset(self) -> None:
        """Forget everything seen."""
        self._confidences: list[Tensor] = []
        self._labels: list[Tensor] = []
        self._correct: list[Tensor] = []

    def update(self, logits: Tensor, labels: Tensor) -> NCR:
        """Add a batch: logits [B, C] and integer labels [B], below 0 for negatives."""
        logits, labels = _tensor(logits, "logits"), _tensor(labels, "labels")
        confidences, predicted = confidence(logits, self.num_classes)
        if not is_whole(labels) or labels.shape != (len(logits),):
            raise SparringError(
                f"labels are integers [{len(logits)}], one for each row of logits, got {labels.dtype} {list(labels.shape)}"
            )
        labels = labels.detach().cpu().long()
        classes = self.num_classes or logits.shape[1]
        if len(labels) and int(labels.max()) >= classes:
            raise SparringError(
                f"label {int(labels.max())} is out of range: {classes} classes allow 0 to {classes - 1}, and anything "
                "below 0 for a negative"
            )
        self._confidences.append(confidences.cpu())
        self._labels.append(labels)
        self._correct.append(predicted.cpu() == labels)
        return self

    def merge(self, other: NCR) -> NCR:
        """Add what another has seen, such as that of another process. Raises SparringError for other settings."""
        if not isinstance(other, NCR):
            raise SparringError(f"merge takes another NCR, got {type(other).__name__}")
        if (other.thresholds, other.num_classes) != (self.thresholds, self.num_classes):
            raise SparringError("only NCR metrics with the same thresholds and num_classes can be merged")
        self._confidences += other._confidences
        self._labels += other._labels
        self._correct += other._correct
        return self

    def compute(self) -> NCRResult:
        """The numbers over all that was seen. Raises SparringError where not one negative was."""
        labels = torch.cat([torch.empty(0, dtype=torch.int64), *self._labels])
        confidences = torch.cat([torch.empty(0, dtype=torch.float64), *self._confidences])
        negative = labels < 0
        n_neg, n_pos = int(negative.sum()), int((~negative).sum())
        if not n_neg:
            raise SparringError("NCR needs negatives: label the images that belong to no class with -1")
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
    """Each threshold as text: 0.4, and all its digits where another would read the same in six."""
    short = {t: f"{t:g}" for t in thresholds}
    counts = Counter(short.values())
    return {t: text if counts[text] == 1 else repr(t) for t, text in short.items()}


def _as_written(threshold: Any) -> float:
    """A threshold as float64; one that float32 holds exactly as the shortest number that it is in float32: 0.4, not
    0.4000000059604645, so that those of tensors and arrays are found again."""
    value = float(threshold)
    if not 0 <= value < 1:
        return value
    in_float32 = np.float32(value)
    return float(str(in_float32)) if float(in_float32) == value else value


def _tensor(values: Any, what: str) -> Tensor:
    try:
        return torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise SparringError(f"{what} are a tensor, or an array or list that becomes one: {error}") from None


def confidence(logits: Tensor, num_classes: int | None = None) -> tuple[Tensor, Tensor]:
    """The largest probability among the first `num_classes` (None: all) of logits [B, C], float64 [B], and the argmax over
    all columns, int64 [B]. Raises SparringError for other shapes, and for NaN."""
    if not logits.is_floating_point() or logits.ndim != 2 or logits.shape[1] < (num_classes or 2):
        raise SparringError(
            f"logits are floats [N, C] with C >= {num_classes or 2} classes, got {logits.dtype} {list(logits.shape)}"
        )
    probabilities = logits.detach().double().softmax(1)
    if bool(probabilities.isnan().any()):
        raise SparringError("the logits hold NaN or infinity, so nothing can be measured: check the classifier")
    return probabilities[:, :num_classes].amax(1), probabilities.argmax(1)


def auroc(positive: Tensor, negative: Tensor) -> float:
    """P(confidence of a positive > that of a negative) + half of P(equal), exactly, for [P] and [N] with P, N >= 1."""
    ordered = negative.sort().values
    below = torch.searchsorted(ordered, positive, right=False)
    not_above = torch.searchsorted(ordered, positive, right=True)
    return float((below + not_above).double().sum() / (2 * len(positive) * len(negative)))


def fpr_at_95(positive: Tensor, negative: Tensor) -> float:
    """Share of the positives [P] no more confident than the smallest threshold that catches 95% of the negatives [N]."""
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
