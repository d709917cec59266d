"""What a metric is. Each lives in its own file, beside its arithmetic, and has a line in `sparring.metrics.REGISTRY`.

class FeatureNorm(Metric):
    \"""How long the generated images' features are, as a multiple of the real ones'.\"""

    needs = frozenset({"real.features", "fake.features"})

    def records(self, fake, real, c):
        yield record("norm", (fake.features.norm() / real.features.norm()).item(), None)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

from torch import Tensor

from sparring.metrics.moments import GaussianStats

Record = dict[str, object]
Need = Literal["fake.features", "real.features", "fake.predictions", "real.predictions"]
CLASSIC = {  # names that only Inception's numbers may carry
    "FD": "FID",
    "KD": "KID",
    "FD-infinity": "FID-infinity",
    "KD-subsets": "KID-subsets",
    "intra-FD": "intra-FID",
}


class Images(Protocol):
    """What is known of a set of images before any is looked at."""

    @property
    def name(self) -> str: ...
    @property
    def n(self) -> int: ...
    @property
    def labels(self) -> Tensor | None: ...
    @property
    def num_classes(self) -> int: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Comparison:
    """Two sets that are compared, and how. real: also the mean and covariance of features, read from a file."""

    fake: Images
    real: Images | GaussianStats
    dimensions: int  # of the features
    class_names: tuple[str, ...] | None  # of the extractor's predictions; None: it makes none
    splits: int  # groups of the Inception Score
    neighbours: int  # k of precision, recall, density and coverage


@dataclass
class FeatureSet:
    """What one pass over a set of images leaves."""

    stats: GaussianStats
    probabilities: Tensor | None  # [1, K] float64, mean
    size: str | None = None  # "HxW" of the images as they reach the extractor
    features: Tensor | None = None  # [N, d], if a metric needs them one by one
    logits: Tensor | None = None  # [N, K], likewise
    digests: list[bytes] = field(default_factory=list)  # of the images, to find copies
    real_digests: list[bytes] = field(default_factory=list)  # of the set that they are compared with, if it is at hand


class Metric:
    """One or more numbers about generated images, compared with real ones.

    needs: what `records` reads besides the mean and covariance of both sets' features (`stats`), which are always there.
    "fake.features" and "real.features" are the rows, "fake.predictions" the logits, and "real.predictions" the mean
    probabilities. A metric that needs nothing of `real` can be measured against a file of statistics.
    """

    needs: ClassVar[frozenset[Need]] = frozenset()

    def check(self, c: Comparison) -> None:
        """Raise SparringError, before any image is looked at, for sets that this metric cannot compare."""

    def records(self, fake: FeatureSet, real: FeatureSet, c: Comparison) -> Iterator[Record]:
        """What was found, made by `record`."""
        raise NotImplementedError


def record(metric: str, value: object, better: Literal["lower", "higher"] | None, **more: object) -> Record:
    """A number, whether a lower or a higher one is better, and all that belongs to it; `notes` are for its reader."""
    return {"metric": metric, "value": value, "better": better, **more}


def metric_name(extractor: str, metric: str) -> str:
    """What a number is called: "fashion-FD"; "FID" only through `inception`."""
    return CLASSIC.get(metric, metric) if extractor == "inception" else f"{extractor}-{metric}"
