"""The benchmarks and their targets: one table for steps, one for the overhead of each term over its host."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

CIFAR = {"data": {"source": "torchvision:CIFAR10", "size": 32, "channels": 3, "num_classes": 10}}
ADAM = {"lr": 2e-4, "betas": [0.0, 0.9]}


def networks(kind: str, generator: dict[str, Any] | None = None, discriminator: dict[str, Any] | None = None) -> dict:
    """A recipe for a pair of networks on images of CIFAR's shape, with hinge loss and batch size 64."""
    return CIFAR | {
        "name": kind,
        "generator": {"network": {"kind": kind, **(generator or {})}, "optimizer": ADAM},
        "discriminator": {"network": {"kind": kind, **(discriminator or {})}, "optimizer": ADAM},
        "objective": {"hinge": {}},
        "steps": 100_000,
        "batch_size": 64,
    }


SNGAN = networks("sngan")
DCGAN = networks("dcgan")  # batch norm in both networks
SAGAN = networks("sagan", {"conditioning": "conditional_batch_norm"})
SAGAN["discriminator"]["conditioning"] = "projection"
AMGAN = networks("amgan") | {"objective": {"nat_gan": {}}, "batch_size": 100}
AMGAN["negatives"] = {"source": "torchvision:CIFAR100"}


@dataclass(frozen=True)
class Step:
    """A step compared with the textbook step. `at_least` is the target ratio, or None."""

    recipe: Any
    overrides: dict[str, Any] = field(default_factory=dict)
    at_least: float | None = None


@dataclass(frozen=True)
class Overhead:
    """The overhead of a term over its host. `at_most` is the allowed ratio, or None."""

    recipe: Any
    changes: dict[str, Any]
    at_most: float | None = None
    overrides: dict[str, Any] = field(default_factory=dict)


STEPS = {
    "SNGAN-ResNet-32, batch 16, d_steps 1": Step(SNGAN, {"batch_size": 16}, 1.8),
    "SNGAN-ResNet-32, batch 16, d_steps 5": Step(SNGAN, {"batch_size": 16, "d_steps": 5}, 1.8),
    "SNGAN-ResNet-32, batch 64, d_steps 1": Step(SNGAN),
    "SNGAN-ResNet-32, batch 64, d_steps 5": Step(SNGAN, {"d_steps": 5}),
    "DCGAN-32, batch 64": Step(DCGAN),
    "DCGAN-32 with spectral norm, batch 64": Step(
        DCGAN, {"discriminator.network.normalisation": "none", "discriminator.network.spectral_norm": "exact"}
    ),
    "SAGAN-32, conditional, batch 64": Step(SAGAN),
    "AutoGAN-32, batch 16": Step(networks("autogan"), {"batch_size": 16}),
    "SNGAN-ResNet-32 at half width, batch 16": Step(
        SNGAN, {"batch_size": 16, "generator.network.width": 128, "discriminator.network.width": 64}
    ),
    "SNGAN-ResNet-64 (pyramid), batch 16": Step(SNGAN, {"batch_size": 16, "data.size": 64}),
}


def sdp(k: int) -> dict[str, Any]:
    return {"objective.sdp": {"t": 0, "k": k, "I_p": 1_000_000}}


NS_DCGAN = {"objective": {"non_saturating": {}}}
W_DCGAN = {"objective": {"wasserstein": {}}}

OVERHEADS = {
    "AS, DCGAN-32": Overhead(DCGAN | NS_DCGAN, {"objective.as_gan": {"warmup": 0}}, 1.30),
    "SDP, k = 5, SNGAN-ResNet-32": Overhead(SNGAN, sdp(5), 1.08),
    "SDP, k = 25, SNGAN-ResNet-32": Overhead(SNGAN, sdp(25), 1.08),
    "SDP, k = 5, DCGAN-32 with batch norm": Overhead(DCGAN, sdp(5), 1.12),
    "SDP, k = 25, DCGAN-32 with batch norm": Overhead(DCGAN, sdp(25), 1.12),
    "NAT, 10 negatives, AM-GAN's networks": Overhead(AMGAN, {"objective.negatives": {"per_batch": 10}}, 1.06),
    "multi-hinge, SAGAN-32": Overhead(SAGAN, {"objective.multi_hinge": {"generator_weight": 0.1}}, 1.06),
    "projection, SAGAN-32": Overhead(
        SAGAN, {"discriminator.conditioning": "projection"}, 1.06, {"discriminator.conditioning": "none"}
    ),
    "spectral norm, DCGAN-32": Overhead(DCGAN, {"discriminator.network.spectral_norm": "exact"}, 1.06),
    "WGAN-GP, DCGAN-32": Overhead(DCGAN | W_DCGAN, {"objective.gradient_penalty": {}}, 1.55),
    "R1 every 16, DCGAN-32": Overhead(
        DCGAN | NS_DCGAN, {"objective.r1": {"every": 16}}, None, {"discriminator.network.normalisation": "none"}
    ),
}
