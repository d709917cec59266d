"""What every network of the registries keeps to, so that any objective can train any pair."""

import copy
import importlib
import inspect
import subprocess
import sys
from typing import get_type_hints

import pytest
import torch
from network_formulas import random, scrambled

from sparring.errors import SparringError
from sparring.networks import BACKBONES, GENERATORS
from sparring.networks.discriminator import Discriminator, Head
from sparring.networks.spectral import held, normalised_layers
from sparring.recipe.explain import network_options

GIVEN = {"image_size", "image_channels", "latent_size", "num_classes", "dimensions"}
TINY = {"width": 4}
OPTIONS = {
    "r3gan": {"width": 4, "cardinality": 2, "blocks": 1},
    "sagan": {"width": 2, "attention": True},
}
HEADS = {
    "score": Head(name="score"),
    "class_logits": Head(name="class_logits", outputs="num_classes", extra_outputs=1),
}


def load(path):
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def where(name, size=32, channels=3):
    return {"dimensions": 2} if name == "toy" else {"image_size": size, "image_channels": channels}


def build(registry, name, size=32, channels=3, **more):
    return load(registry[name])(**where(name, size, channels), **OPTIONS.get(name, TINY), **more)


def real(name, batch=4, size=32, channels=3):
    shape = (batch, 2) if name == "toy" else (batch, channels, size, size)
    return random(*shape, seed=5).clamp(-1, 1)


def test_both_registries_have_the_same_names_and_importing_them_imports_no_network():
    assert set(GENERATORS) == set(BACKBONES)
    code = "import sys, sparring.networks; sys.exit(any(m.startswith('sparring.networks.') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("registry", [GENERATORS, BACKBONES])
def test_constructors_take_typed_keywords_with_defaults(registry):
    for path in registry.values():
        network = load(path)
        hints = get_type_hints(network.__init__)
        for name, parameter in inspect.signature(network).parameters.items():
            assert parameter.kind is parameter.KEYWORD_ONLY
            assert name in hints
            assert name in GIVEN or parameter.default is not parameter.empty
        assert "num_classes" in hints
        assert network_options(network, {"width": 8}, what="network") == {"width": 8}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [16, 32, 48, 64])
@pytest.mark.parametrize("name", sorted(set(GENERATORS) - {"toy"}))
def test_sizes_and_channels(name, size, channels):
    if name == "autogan" and size < 32:
        pytest.skip("its three cells start at 4x4")
    G, D = (build(registry, name, size, channels) for registry in (GENERATORS, BACKBONES))
    images = G(torch.randn(2, G.latent_size))
    assert images.shape == (2, channels, size, size) and images.abs().max() <= 1
    features, blocks = D(images)
    assert features.shape == (2, D.channels) and len(blocks) >= 2
    assert all(block.ndim == 4 and len(block) == 2 for block in blocks)


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_generators_are_differentiable_and_conditional_where_asked(name):
    network = load(GENERATORS[name])
    kinds = get_type_hints(network.__init__)["conditioning"].__args__
    for kind in kinds:
        classes = 4 if kind != "none" else 0
        G = build(GENERATORS, name, latent_size=6, num_classes=classes, conditioning=kind)
        assert G.latent_size == 6
        scrambled(G)
        z, labels = random(4, 6).requires_grad_(), torch.tensor([0, 1, 2, 3])
        images = G(z, labels)
        images.square().sum().backward()
        assert z.grad.abs().max() > 0
        assert all(p.grad is not None for p in G.parameters())
        other = G(z, torch.tensor([0, 1, 2, 2]))
        same = [bool(torch.allclose(a, b)) for a, b in zip(G.eval()(z, labels), G(z, labels.flip(0)), strict=True)]
        assert same == [kind == "none"] * 4
        if kind != "none":
            assert not torch.allclose(other[3], images[3])
            with pytest.raises(SparringError, match="pass labels"):
                G(z)
            with pytest.raises(SparringError, match="the data have none"):
                build(GENERATORS, name, conditioning=kind)
    assert set(kinds) in ({"none", "concat"}, {"none", "concat", "conditional_batch_norm"})


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_heads_projection_and_second_derivatives(name):
    torch.manual_seed(0)
    D = Discriminator(build(BACKBONES, name), HEADS, num_classes=3, conditioning="projection").double()
    images, labels = real(name).requires_grad_(), torch.tensor([0, 1, 2, -1])
    with held(D, iterate=False):
        activations = D.extract(images, labels)
        score, logits = D.read("score", activations, labels), D.read("class_logits", activations)
        assert score.shape == (4,) and logits.shape == (4, 4)
        embedding = D.embedding.weight
        changed = D.read("score", activations, torch.tensor([1, 1, 2, -1]))
        torch.testing.assert_close(score[0] - changed[0], activations.features[0] @ (embedding[0] - embedding[1]))
        plain = D.heads["score"](activations.features)[:, 0]
        torch.testing.assert_close(plain[3], score[3])  # no class, no projection
        (slope,) = torch.autograd.grad(score.sum(), images, create_graph=True)
    (score.sum() + logits.square().sum() + slope.square().sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in D.parameters())


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_blocks_and_images_are_never_overwritten(name):
    D = build(BACKBONES, name).double()
    images = real(name).requires_grad_()
    before = images.detach().clone()
    features, blocks = D(images)
    assert torch.equal(images, before)
    losses = [block.square().sum() for block in blocks]  # saves each block for its backward
    features.sum().backward(retain_graph=True)
    sum(losses).backward()  # raises if a block changed since
    relu = name in ("sngan", "resnet_as", "sagan", "autogan")
    assert not relu or all((block >= 0).all() and (block > 0).any() for block in blocks)


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_backbones_say_truly_whether_samples_are_coupled(name):
    images = real(name)
    hints = get_type_hints(load(BACKBONES[name]).__init__)
    for kind in ("none", "batch", "layer") if "normalisation" in hints else (None,):
        options = {} if kind is None else {"normalisation": kind}
        if name == "amgan":
            options |= {"noise": 0.0, "dropout": 0.0}
        D = scrambled(build(BACKBONES, name, **options))
        with torch.no_grad():
            alone = torch.allclose(D(images)[0][:2], D(images[:2])[0], rtol=1e-8)
        assert D.couples_batch == (kind == "batch") == (not alone)
        assert Discriminator(D, {}).couples_batch == D.couples_batch


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_copies_and_saved_states_make_the_same_images(name):
    torch.manual_seed(0)
    G = build(GENERATORS, name).eval()
    other = build(GENERATORS, name).eval()
    z = torch.randn(2, G.latent_size)
    assert not torch.allclose(other(z), G(z))
    other.load_state_dict(G.state_dict())
    assert torch.equal(other(z), G(z)) and torch.equal(copy.deepcopy(G)(z), G(z))


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_spectral_norm_is_a_switch_of_its_own(name):
    for registry in (GENERATORS, BACKBONES):
        hints = get_type_hints(load(registry[name]).__init__)
        if "spectral_norm" not in hints:
            assert name in ("amgan", "r3gan")
            continue
        for kind in ("none", "exact", "clamp"):
            network = build(registry, name, spectral_norm=kind)
            clamps = [norm.clamp for norm, _ in normalised_layers(network)]
            assert (kind == "none") == (not clamps)
            assert kind != "clamp" or any(clamps)
            assert registry is GENERATORS or network.spectral_norm == kind


@pytest.mark.parametrize("name", sorted(set(GENERATORS) - {"toy"}))
def test_evaluation_depends_on_the_batch_exactly_where_the_generator_says_so(name):
    hints = get_type_hints(load(GENERATORS[name]).__init__)
    z = random(4, 6)
    for statistics in ("running", "batch") if "sampling_statistics" in hints else (None,):
        options = {} if statistics is None else {"sampling_statistics": statistics}
        G = scrambled(build(GENERATORS, name, latent_size=6, **options)).eval()
        with torch.no_grad():
            alone = torch.allclose(G(z)[:2], G(z[:2]), rtol=1e-8, atol=1e-10)
        assert G.batch_statistics == (statistics == "batch") == (not alone)


@pytest.mark.parametrize("name", sorted(set(GENERATORS) - {"toy"}))
def test_channels_last_gives_the_same_numbers(name):
    torch.manual_seed(0)
    G, D = build(GENERATORS, name).eval(), build(BACKBONES, name).eval()
    z = torch.randn(2, G.latent_size)
    images = G(z).detach()
    features = D(images)[0].detach()
    for network in (G, D):
        network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(G(z), images, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        D(images.to(memory_format=torch.channels_last))[0], features, rtol=1e-4, atol=1e-4 * float(features.abs().max())
    )
