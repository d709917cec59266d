"""The base class of metrics. A new metric is a file like this, and a line in `sparring.metrics.REGISTRY`:

class FeatureNorm(Metric):
    \"""Norm of the generated images' features, relative to the real images'.\"""

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
from sparring.metrics.names import Better

Record = dict[str, object]
Need = Literal["fake.features", "real.features", "fake.predictions", "real.predictions"]


class Images(Protocol):
    """What is known about a set of images before features are extracted."""

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
    """The two sets to compare, and the settings. `real` may also be statistics of features that were read from a file."""

    fake: Images
    real: Images | GaussianStats
    dimensions: int  # of the features
    class_names: tuple[str, ...] | None  # that the extractor predicts; None if it is not a classifier
    splits: int  # of the Inception Score
    neighbours: int  # k of precision, recall, density and coverage


@dataclass
class FeatureSet:
    """The result of one pass over a set of images."""

    stats: GaussianStats
    probabilities: Tensor | None  # [1, K] float64, mean
    size: str | None = None  # "HxW" of the images given to the extractor
    features: Tensor | None = None  # [N, d], if a metric needs single rows
    logits: Tensor | None = None  # [N, K], likewise
    digests: list[bytes] = field(default_factory=list)  # of the images, for finding copies
    real_digests: list[bytes] = field(default_factory=list)  # of the real images, if they are in memory


class Metric:
    """Computes one or more numbers from generated and real images.

    needs: what `records` reads in addition to the mean and covariance of both sets' features (`stats`), which are always
    available. "fake.features" and "real.features" are the single rows, "fake.predictions" the logits, "real.predictions"
    the mean probabilities. A metric that needs nothing from `real` also works with statistics from a file.
    """

    needs: ClassVar[frozenset[Need]] = frozenset()

    def check(self, c: Comparison) -> None:
        """Raise SparringError if this metric cannot compare these sets. Called before any features are extracted."""

    def records(self, fake: FeatureSet, real: FeatureSet, c: Comparison) -> Iterator[Record]:
        """Yield the results, each made by `record`."""
        raise NotImplementedError


def record(metric: str, value: object, better: Better | None, **more: object) -> Record:
    """A result, which direction is better, and any further fields. `notes` are lines shown to the user."""
    return {"metric": metric, "value": value, "better": better, **more}
