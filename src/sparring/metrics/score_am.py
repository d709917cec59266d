"""AM score: KL( p_train || p_gen ) + mean_x H( p(y|x) ), where p_train and p_gen are mean predictions of one classifier.

NAT, Eq. 14, after Zhou et al. 2018 (arXiv 1703.02000). Lower is better. It is 0 if the generated images have the class
distribution of the training set and the classifier is certain about each. Unlike the Inception Score it uses the real data.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from sparring.errors import SparringError
from sparring.metrics.base import Comparison, FeatureSet, Metric, Record, record
from sparring.metrics.score_is import entropies, probability_logs


def am_score(*, generated: Tensor, train: Tensor) -> float:
    """AM score in nats, from class probabilities of generated images [N, C] and of training images [M, C] (or their mean).

    Infinite if the training images have a class that is never generated. Raises SparringError for rows that are not
    distributions, or if the numbers of classes differ.
    """
    logs, train_logs = probability_logs(generated), probability_logs(train)
    if train_logs.shape[1] != logs.shape[1]:
        raise SparringError(
            f"both sets need predictions of the same classifier, got {logs.shape[1]} and {train_logs.shape[1]} classes"
        )
    p_train = train_logs.exp().mean(0)
    p_generated = logs.exp().mean(0)
    divergence = torch.special.xlogy(p_train, p_train) - torch.special.xlogy(p_train, p_generated)
    return (divergence.sum() + entropies(logs).mean()).item()


class AMScore(Metric):
    """AM score of the predictions for the generated images, compared with the real ones."""

    needs = frozenset({"fake.predictions", "real.predictions"})

    def records(self, fake: FeatureSet, real: FeatureSet, c: Comparison) -> Iterator[Record]:
        assert fake.logits is not None and real.probabilities is not None
        yield record("AM", am_score(generated=fake.logits.double().softmax(1), train=real.probabilities), "lower")
