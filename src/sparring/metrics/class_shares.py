"""Which classes a generator produces, and how often, according to a classifier."""

from collections.abc import Iterator

import torch

from sparring.metrics.base import Comparison, FeatureSet, Metric, Record, record


class ClassShares(Metric):
    """Class shares, the smallest share, the number of classes that occur, and the mean maximum probability."""

    needs = frozenset({"fake.predictions"})

    def records(self, fake: FeatureSet, real: FeatureSet, c: Comparison) -> Iterator[Record]:
        assert fake.logits is not None and c.class_names is not None
        counts = torch.bincount(fake.logits.argmax(1), minlength=len(c.class_names))
        shares = (counts.double() / counts.sum()).tolist()
        surest = fake.logits.double().softmax(1).amax(1)
        yield record("smallest-class-share", min(shares), "higher")
        yield record("modes-covered", int((counts > 0).sum()), "higher", of=len(c.class_names))
        yield record("mean-max-probability", surest.mean().item(), "higher")
        yield record("class-shares", shares, None, class_names=list(c.class_names))
