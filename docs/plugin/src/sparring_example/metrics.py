"""A distance between means alone, for any extractor."""

from sparring.metrics.base import Metric, record


class MeanShift(Metric):
    """The Euclidean distance between the mean features of generated and of real images."""

    needs = frozenset({"fake.features"})

    def records(self, fake, real, c):
        yield record("mean-shift", (fake.features.double().mean(0) - real.stats.mean).norm().item(), "lower")
