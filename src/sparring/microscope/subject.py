"""The network under diagnosis: a discriminator whose answers can be read without changing it.

Batch normalisation uses the statistics of the given batch, as in training. Spectral normalisation stays as the last update
left it. Random numbers do not depend on earlier ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from sparring.networks.discriminator import Discriminator
from sparring.networks.frozen import frozen, modes_kept
from sparring.networks.spectral import held
from sparring.objective.context import StepContext
from sparring.objective.round import Round
from sparring.objective.side import Side
from sparring.objective.term import AdversarialLoss
from sparring.randomness import seed_for

Read = Callable[[Side], Tensor]  # rows of one batch: a tensor [B, ...]


class Subject:
    """A discriminator with the loss that it was trained with.

    judge      the discriminator, which is left unchanged
    host       the objective's adversarial loss, at this step
    rows       batch size; the answers depend on it if the samples of a batch see each other
    """

    def __init__(self, judge: Discriminator, host: AdversarialLoss, *, rows: int = 64, step: int = 0):
        self.judge, self.host, self.rows, self.step = judge, host, rows, step

    @property
    def device(self) -> torch.device:
        return next(self.judge.parameters()).device

    @contextmanager
    def _at_rest(self) -> Iterator[Round]:
        """A round without sides, in which any images can be judged while the discriminator stays unchanged."""
        context = StepContext("discriminator", self.step, self.step)
        devices = [self.device] if self.device.type == "cuda" else []
        with modes_kept(self.judge):
            self.judge.eval()
            for module in self.judge.modules():
                if isinstance(module, _BatchNorm):
                    module.training = True
            with frozen(self.judge), held(self.judge, iterate=False), torch.random.fork_rng(devices=devices):
                torch.manual_seed(seed_for("diagnose"))
                num_classes = self.judge.num_classes
                yield Round(self.judge, {}, context=context, active=[], host=self.host, num_classes=num_classes)

    def _batches(self, images: Tensor, labels: Tensor | None) -> Iterator[tuple[Tensor, Tensor | None]]:
        for start in range(0, len(images), self.rows):
            y = None if labels is None else labels[start : start + self.rows].to(self.device)
            yield images[start : start + self.rows].to(self.device), y

    def read(self, images: Tensor, labels: Tensor | None, read: Read) -> Tensor:
        """The result of `read` for images [N, C, H, W] (float, in [-1, 1]), batch by batch, on the CPU."""
        found = []
        with self._at_rest() as r, torch.no_grad():
            for x, y in self._batches(images, labels):
                found.append(read(r.judge(x, y)).cpu())
        return torch.cat(found)

    def realness(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """How real the discriminator finds each image [N]: its score, or the largest log-probability of a class."""
        return self.read(images, labels, self.host.realness)

    def confidence(self, realness: Tensor) -> Tensor:
        """Realness as a number in [0, 1]: the sigmoid of a score, or the probability of a log-probability."""
        return realness.exp() if self.host.categorical else realness.sigmoid()

    def gradients(self, images: Tensor, labels: Tensor | None = None, *, of: str = "realness") -> Tensor:
        """The gradient [N, C, H, W] of each image's realness, or of its loss as a real image (`of="host"`).

        If the samples of a batch see each other, it is the gradient of the batch's sum.
        """
        found = []
        with self._at_rest() as r:
            for x, y in self._batches(images, labels):
                found.append(self._gradient(r, x, y, of).cpu())
        return torch.cat(found)

    def _gradient(self, r: Round, x: Tensor, y: Tensor | None, of: str = "realness") -> Tensor:
        with torch.enable_grad():
            side = r.judge(x, y, differentiate=True)
            value = self.host.on_real(side) if of == "host" else self.host.realness(side)
            return torch.autograd.grad(value.sum(), side.input)[0]

    def attacked(self, images: Tensor, labels: Tensor | None, craft: Callable[[Tensor, Any], Tensor]) -> Tensor:
        """Adversarial images: `craft(x, gradient_at)` per batch, where `gradient_at(x)` is the gradient of -realness."""
        found = []
        with self._at_rest() as r:
            for x, y in self._batches(images, labels):

                def gradient_at(point: Tensor, y: Tensor | None = y) -> Tensor:
                    return -self._gradient(r, point, y)

                found.append(craft(x, gradient_at).cpu())
        return torch.cat(found)

    def called_real(self, images: Tensor, labels: Tensor | None, boundary: float | None = None) -> Tensor:
        """Which images [N] the discriminator considers real.

        An image is real if its loss as a real one is below its loss as a fake one: for hinge and sigmoid losses if the score
        is above 0, for least squares above 1/2. For a loss without such a boundary give one (see `boundary_between`).
        """
        if boundary is not None:
            return self.realness(images, labels) > boundary
        return self.read(images, labels, lambda side: self.host.on_real(side) < self.host.on_fake(side))

    def boundary_between(
        self, real: Tensor, real_labels: Tensor | None, fake: Tensor, fake_labels: Tensor | None
    ) -> float | None:
        """The middle between the mean scores of reals and fakes, or None if the loss has its own boundary.

        Wasserstein scores have an arbitrary origin (the two losses add up to 0), and losses on pairs judge no single image.
        """
        if self.host.separable:
            sums = self.read(real, real_labels, lambda side: self.host.on_real(side) + self.host.on_fake(side))
            if sums.abs().max() > 1e-6:
                return None
        means = [self.realness(real, real_labels).mean(), self.realness(fake, fake_labels).mean()]
        return float(sum(means) / 2)
