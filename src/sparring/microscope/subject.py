"""What lies under the microscope: a discriminator at rest, judged without changing anything of it.

Its batch normalisation, where it has some, uses the statistics of the batches that it is shown, as in training; spectral
normalisation stays as the last update left it; nothing is drawn that depends on what was drawn before.
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
    """A discriminator with the loss that it was trained by.

    judge      the discriminator; it is as it was after every look
    host       the objective's adversarial loss, its schedules resolved
    rows       images that are judged together; where samples of a batch see each other this is part of the judgement
    """

    def __init__(self, judge: Discriminator, host: AdversarialLoss, *, rows: int = 64, step: int = 0):
        self.judge, self.host, self.rows, self.step = judge, host, rows, step

    @property
    def device(self) -> torch.device:
        return next(self.judge.parameters()).device

    @contextmanager
    def _at_rest(self) -> Iterator[Round]:
        """A round of no side, in which anything can be judged, while the discriminator stays as it is."""
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
        """`read` of every image [N, C, H, W] (float, in [-1, 1]), batch by batch, on the CPU."""
        found = []
        with self._at_rest() as r, torch.no_grad():
            for x, y in self._batches(images, labels):
                found.append(read(r.judge(x, y)).cpu())
        return torch.cat(found)

    def realness(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """How real the discriminator finds each image [N]: its score, or the largest log-probability of a class."""
        return self.read(images, labels, self.host.realness)

    def confidence(self, realness: Tensor) -> Tensor:
        """Realness as a number between 0 and 1: sigmoid of a score, the probability behind a log-probability."""
        return realness.exp() if self.host.categorical else realness.sigmoid()

    def gradients(self, images: Tensor, labels: Tensor | None = None, *, of: str = "realness") -> Tensor:
        """The gradient [N, C, H, W] of each image's own realness, or of the host's loss of it as a real one (`of="host"`).

        Where samples of a batch see each other it is that of the batch's sum.
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
        """Adversarial images: `craft(x, gradient_at)` of each batch, with the gradient of -realness at any point."""
        found = []
        with self._at_rest() as r:
            for x, y in self._batches(images, labels):

                def gradient_at(point: Tensor, y: Tensor | None = y) -> Tensor:
                    return -self._gradient(r, point, y)

                found.append(craft(x, gradient_at).cpu())
        return torch.cat(found)

    def called_real(self, images: Tensor, labels: Tensor | None, boundary: float | None = None) -> Tensor:
        """Which images [N] the discriminator takes for real ones.

        Those whose loss as a real one is below that as a fake one: a score above 0 for hinge and sigmoid losses, above 1/2
        for least squares. `boundary` decides instead, for a loss that has none (see `boundary_between`).
        """
        if boundary is not None:
            return self.realness(images, labels) > boundary
        return self.read(images, labels, lambda side: self.host.on_real(side) < self.host.on_fake(side))

    def boundary_between(
        self, real: Tensor, real_labels: Tensor | None, fake: Tensor, fake_labels: Tensor | None
    ) -> float | None:
        """None where the loss has a boundary of its own; else the middle between the mean scores of reals and fakes.

        Wasserstein's score has an arbitrary origin (its losses are opposite everywhere), losses on pairs judge none alone.
        """
        if self.host.separable:
            sums = self.read(real, real_labels, lambda side: self.host.on_real(side) + self.host.on_fake(side))
            if sums.abs().max() > 1e-6:
                return None
        means = [self.realness(real, real_labels).mean(), self.realness(fake, fake_labels).mean()]
        return float(sum(means) / 2)
