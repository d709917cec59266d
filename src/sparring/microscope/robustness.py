"""Robustness of a discriminator: adversarial samples of real images, and its confidence in them.

    FGSM   x - eps sign(grad D(x)):       a linear score falls by eps |w|_1
    PGD    `PGD_STEPS` such steps of eps/4, within eps of x in every pixel

Both lower the realness of real images, which raises every adversarial loss, even where a hinge is flat. As in AS-GAN, eps
is in units of the range [-1, 1], so 1/255 is half a grey level of 8 bits, and images are not clamped.
"""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor

from sparring.microscope.subject import Subject
from sparring.terms.attacks import fgsm, pgd

Attack = Literal["fgsm", "pgd"]
LEVELS = (0.5, 1.0, 2.0, 4.0, 8.0)  # eps in 1/255
PGD_STEPS = 10


def attack(subject: Subject, images: Tensor, labels: Tensor | None, eps: float, kind: Attack = "fgsm") -> Tensor:
    """Adversarial samples of images [N, C, H, W], within eps in every pixel."""

    def craft(x: Tensor, gradient_at: Any) -> Tensor:
        if kind == "fgsm":
            return fgsm(x, gradient_at(x), eps)
        return pgd(x, x, gradient_at, eps=eps, step_size=eps / 4, steps=PGD_STEPS)

    return subject.attacked(images, labels, craft)


def accuracy_under_attack(
    subject: Subject, images: Tensor, labels: Tensor | None, boundary: float | None = None
) -> list[dict[str, Any]]:
    """The share of real images that are considered real, for each attack and eps (in 1/255)."""
    found = []
    for kind, levels in (("none", (0.0,)), ("fgsm", LEVELS), ("pgd", LEVELS)):
        for level in levels:
            at = images if kind == "none" else attack(subject, images, labels, level / 255, kind)  # type: ignore[arg-type]
            real = subject.called_real(at, labels, boundary)
            realness = subject.realness(at, labels)
            found.append(
                {
                    "attack": kind,
                    "eps_255": level,
                    "accuracy": float(real.float().mean()),
                    "score": float(realness.mean()),
                    "confidence": float(subject.confidence(realness).mean()),
                }
            )
    return found
