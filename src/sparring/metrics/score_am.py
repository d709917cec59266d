"""AM score: KL( p_train || p_gen ) + mean_x H( p(y|x) ), p_train and p_gen mean predictions of one classifier.

NAT, Eq. 14, after Zhou et al. 2018 (arXiv 1703.02000). Lower is better, 0 at best: the generated images have the train
set's class distribution and the classifier is sure of each. Unlike the Inception Score it knows what the data looks like.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from sparring.errors import SparringError
from sparring.metrics.base import Comparison, FeatureSet, Metric, Record, record
from sparring.metrics.score_is import entropies, probability_logs


def am_score(*, generated: Tensor, train: Tensor) -> float:
    """AM score in nats of class probabilities of generated [N, C] and of train images [M, C] (or their mean, [1, C]).

    Infinite where the generator never gives a class that the train images have. Raises SparringError for rows that are
    no distributions, or are of different classes.
    """
    logs, train_logs = probability_logs(generated), probability_logs(train)
    if train_logs.shape[1] != logs.shape[1]:
        raise SparringError(
            f"predictions of one classifier have the same classes, got {logs.shape[1]} and {train_logs.shape[1]}"
        )
    p_train = train_logs.exp().mean(0)
    p_generated = logs.exp().mean(0)
    divergence = torch.special.xlogy(p_train, p_train) - torch.special.xlogy(p_train, p_generated)
    return (divergence.sum() + entropies(logs).mean()).item()


class AMScore(Metric):
    """AM score of the predictions for generated images, against those for real ones."""

    needs = frozenset({"fake.predictions", "real.predictions"})

    def records(self, fake: FeatureSet, real: FeatureSet, c: Comparison) -> Iterator[Record]:
        assert fake.logits is not None and real.probabilities is not None
        yield record("AM", am_score(generated=fake.logits.double().softmax(1), train=real.probabilities), "lower")
