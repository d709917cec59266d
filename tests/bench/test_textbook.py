"""The textbook step computes the same as the library's, so the reference of the timings is fair and correct."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from longhand import a_run, images, recipe
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm

from sparring.bench.step import batch_of
from sparring.bench.textbook_networks import textbook_network
from sparring.bench.textbook_step import Batch, Textbook
from sparring.networks.resampling import ConvPool, UpConv
from sparring.networks.spectral import SpectralNorm, normalised_layers
from sparring.training.state import TrainingState, build
from sparring.training.step import train_step

STEPS = 4


def network(kind: str, **options: Any) -> dict[str, Any]:
    """The options of both networks, without spectral norm: the textbook runs its power iterations at other times."""
    return {
        "generator__network": {"kind": kind, "width": 4, "spectral_norm": "none"},
        "discriminator__network": {"kind": kind, "width": 4, "spectral_norm": "none", **options},
    }


# objective, changes, size, whether the losses are written out
PROJECTION = {"discriminator__conditioning": "projection"}
CONDITIONAL = PROJECTION | {"generator__network__conditioning": "conditional_batch_norm"}
NORMALISED = {"discriminator__network__normalisation": "batch"}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], int, bool]] = {
    "hinge on sngan": ({"hinge": {}}, network("sngan") | {"d_steps": 2}, 16, True),
    "batch norm in D": ({"non_saturating": {}}, NORMALISED, 8, True),
    "minimax": ({"minimax": {}}, {}, 8, True),
    "least squares": ({"least_squares": {"b": 0.9}}, {}, 8, True),
    "wgan-gp": ({"wasserstein": {}, "gradient_penalty": {}}, network("sngan") | {"d_steps": 2}, 8, True),
    "one-sided": ({"wasserstein": {}, "gradient_penalty": {"one_sided": True, "target": 0.01}}, {}, 8, True),
    "lazy r1": ({"non_saturating": {}, "r1": {"every": 3}}, PROJECTION, 8, True),
    "relativistic": ({"relativistic_pairing": {}, "r1": {}, "r2": {"weight": 2}}, {}, 8, True),
    "conditional sagan": ({"hinge": {}}, network("sagan") | CONDITIONAL, 8, True),
    "autogan with an average": ({"hinge": {}}, network("autogan") | {"generator__ema": 0.9, "batch_size": 4}, 32, True),
    "a host with a weight": ({"hinge": {"weight": 0.5}}, {}, 8, False),
    "sdp": ({"hinge": {}, "sdp": {"t": 0, "k": 3, "weight": 0.3}}, network("sngan"), 8, False),
    "as_gan": ({"non_saturating": {}, "as_gan": {}}, {}, 8, False),
    "multi_hinge": ({"hinge": {}, "multi_hinge": {}}, PROJECTION, 8, False),
    "negatives": ({"hinge": {}, "negatives": {"per_batch": 3}}, NORMALISED, 8, False),
}


def run_of(objective: dict[str, Any], changes: dict[str, Any], size: int) -> TrainingState:
    negatives = images(24, size, seed=11) if "negatives" in objective else None
    return build(recipe(objective, **changes), images(size=size), negatives=negatives, dtype=torch.float64)


def batches(state: TrainingState) -> Iterator[Batch]:
    """The library's random draws, in the order of the updates."""
    update, d_steps = 0, state.recipe.d_steps
    for step in range(100):
        for _ in range(d_steps):
            yield batch_of(state, "discriminator", update)
            update += 1
        yield batch_of(state, "generator", step, update - 1)


def outputs(discriminator: nn.Module, generator: nn.Module, state: TrainingState) -> Tensor:
    """The outputs of both networks in training mode. Changes neither."""
    discriminator, generator = copy.deepcopy(discriminator), copy.deepcopy(generator)
    latents, labels = state.feed.latents(6, "compare")
    with torch.no_grad():
        fake = generator(latents, labels)
        return torch.cat([fake.flatten(), discriminator(fake, labels)])


@pytest.mark.parametrize("name", CASES)
def test_trains_like_the_library(name: str) -> None:
    objective, changes, size, written_out = CASES[name]
    ours = run_of(objective, changes, size)
    start = outputs(ours.discriminator, ours.generator, ours)
    textbook, drawn = Textbook(ours), batches(run_of(objective, changes, size))
    assert textbook.is_written_out == written_out
    for _ in range(STEPS):
        train_step(ours)
        textbook.step(drawn)
        losses, host = ours.term_log.tick(), next(iter(objective))
        plain = written_out and len(objective) == ours.recipe.d_steps == 1
        for player in ("generator", *(["discriminator"] if plain else [])) if written_out else ():
            expected = losses[f"{player}/{host}"]
            torch.testing.assert_close(textbook.logged[player].item(), expected, rtol=1e-6, atol=1e-6)
    now = outputs(ours.discriminator, ours.generator, ours)
    assert (now - start).abs().max() > 1e-2
    torch.testing.assert_close(outputs(textbook.discriminator, textbook.generator, ours), now, rtol=0, atol=1e-8)
    if ours.average is not None:
        assert textbook.average is not None
        averages = [outputs(ours.discriminator, g, ours) for g in (ours.average.module.train(), textbook.average)]
        torch.testing.assert_close(*averages, rtol=0, atol=1e-8)
        assert (averages[0] - now).abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["exact", "clamp"])
def test_spectral_norm_is_the_same_once_its_vectors_have_converged(kind: str) -> None:
    changes = network("sngan", spectral_norm=kind)
    ours = build(recipe({"hinge": {}}, **changes), images(), dtype=torch.float64)
    for norm, weight in normalised_layers(ours.discriminator):
        u, _, v = torch.linalg.svd(weight.detach().flatten(1) * 3)
        with torch.no_grad():
            weight.mul_(3)
            norm.u.copy_(u[:, 0]), norm.v.copy_(v[0])
    textbook = Textbook(ours)
    train_step(ours)
    batch = next(batches(ours))
    fake = textbook.generator(batch.latents)
    real = textbook.discriminator(batch.sides["real"][0])
    loss = (1 - real).relu().mean() + (1 + textbook.discriminator(fake)).relu().mean()
    torch.testing.assert_close(loss.item(), ours.term_log.tick()["discriminator/hinge"], rtol=1e-6, atol=0)


def test_one_power_iteration_per_pass_at_the_librarys_vectors() -> None:
    ours = a_run({"hinge": {}}, **network("sngan", spectral_norm="exact"))
    norm, weight = next(normalised_layers(ours.discriminator))
    plain = textbook_network(ours.discriminator)
    theirs = next(m for m in plain.modules() if isinstance(m, _SpectralNorm))
    u = norm.u.clone()
    assert torch.equal(theirs._u, u) and torch.equal(theirs._v, norm.v)
    v = norm.v
    for _ in range(2):
        u = nn.functional.normalize(weight.flatten(1) @ v, dim=0)
        v = nn.functional.normalize(weight.flatten(1).t() @ u, dim=0)
        plain(images(4).batch(torch.arange(4))[0].double())
        torch.testing.assert_close(theirs._u, u)


def test_the_copy_has_only_plain_layers_and_the_original_is_unchanged() -> None:
    ours = a_run({"hinge": {}}, **network("sngan", spectral_norm="exact"))
    for original in (ours.discriminator, ours.generator):
        before = copy.deepcopy(original.state_dict())
        plain = textbook_network(original)
        assert not any(isinstance(m, UpConv | ConvPool | SpectralNorm) for m in plain.modules())
        assert not any(getattr(m, "fused", False) for m in plain.modules())
        assert all(p.is_contiguous() for p in plain.parameters())
        mine, theirs = (sum(p.numel() for p in n.parameters()) for n in (original, plain))
        assert mine == theirs
        for p in plain.parameters():
            p.data.zero_()
        assert all(torch.equal(value, before[name]) for name, value in original.state_dict().items())
    train_step(ours)
    assert any(isinstance(m, ConvPool) and m.fused for m in ours.discriminator.modules())
