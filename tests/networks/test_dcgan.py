"""DCGAN against its authors' parameter counts and against the network written out, in float64."""

import network_formulas as longhand
import pytest
import torch
from network_formulas import parameter_count, random, scrambled

from sparring.errors import SparringError
from sparring.networks.dcgan import DCGANBackbone, DCGANGenerator
from sparring.networks.discriminator import Discriminator, Head
from sparring.networks.layers import base_and_doublings
from sparring.networks.r3gan import R3GANBackbone, R3GANGenerator
from sparring.networks.spectral import normalised_layers


@pytest.mark.parametrize("size, generator, discriminator", [(32, 3_448_576, 2_637_312), (64, 12_658_432, 11_036_160)])
def test_parameter_counts_of_the_authors(size, generator, discriminator):
    with torch.device("meta"):
        assert parameter_count(DCGANGenerator(image_size=size, latent_size=100)) == generator
        D = Discriminator(DCGANBackbone(image_size=size), {"score": Head(name="score")})
    assert parameter_count(D) == discriminator


def test_the_128_pixel_pair_has_width_64_and_six_stages():
    with torch.device("meta"):
        G, D = DCGANGenerator(image_size=128, width=64), DCGANBackbone(image_size=128, width=64)
    assert [conv.out_channels for conv in G.convs] == [1024, 512, 256, 128, 64]
    assert [conv.out_channels for conv in D.convs] == [64, 128, 256, 512, 1024]
    assert D.channels == 1024 * 16


def test_widths_stop_doubling_at_the_largest():
    with torch.device("meta"):
        D = DCGANBackbone(image_size=128, width=8, max_width=20)
    assert [conv.out_channels for conv in D.convs] == [8, 16, 20, 20, 20]


def test_weights_without_memory_are_not_drawn(monkeypatch):
    """torch would import its compiler for that, which costs seconds of every process."""
    monkeypatch.setattr(torch.nn.init, "normal_", None)
    with torch.device("meta"):
        DCGANGenerator(image_size=8, width=2), DCGANBackbone(image_size=8, width=2)
        R3GANGenerator(image_size=8, width=12), R3GANBackbone(image_size=8, width=12)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 16, 28, 32, 40, 48, 64, 128])
def test_any_size_and_channel_count(size, channels):
    options = {"image_size": size, "image_channels": channels, "width": 2}
    images = DCGANGenerator(latent_size=5, **options)(torch.randn(2, 5))
    assert images.shape == (2, channels, size, size)
    assert images.abs().max() <= 1
    backbone = DCGANBackbone(**options)
    features, blocks = backbone(images)
    assert features.shape == (2, backbone.channels)
    base, doublings = base_and_doublings(size, "dcgan")
    assert [block.shape[-1] for block in blocks] == [base * 2**k for k in reversed(range(doublings))]
    torch.testing.assert_close(features, blocks[-1].flatten(1))


@pytest.mark.parametrize(
    "size, cure", [(36, "data.size=32"), (4, "data.size=8"), (30, "data.size=28"), (1, "data.size=8")]
)
@pytest.mark.parametrize("network", [DCGANGenerator, DCGANBackbone])
def test_other_sizes_are_refused_with_the_nearest(network, size, cure):
    with pytest.raises(SparringError, match=f"image_size={size}: set {cure}"):
        network(image_size=size)


NORMS = {
    "none": lambda x, norm, labels: x,
    "layer": lambda x, norm, labels: longhand.layer_norm(x, norm.weight, norm.bias),
    "batch": lambda x, norm, labels: longhand.batch_norm(x, norm.weight, norm.bias),
    "conditional": lambda x, norm, labels: longhand.batch_norm(x, norm.gamma.weight[labels], norm.beta.weight[labels]),
}


def generator_longhand(G, kind, z, labels):
    h = z[:, :, None, None]
    for i, (conv, norm) in enumerate(zip(G.convs, G.norms, strict=True)):
        h = longhand.transposed_conv(h, conv.weight, conv.bias, stride=1 if i == 0 else 2, padding=0 if i == 0 else 1)
        h = longhand.relu(NORMS[kind](h, norm, labels))
    return torch.tanh(longhand.transposed_conv(h, G.to_image.weight, stride=2, padding=1))


def gradients(loss, network, *inputs):
    return torch.autograd.grad(loss, [*inputs, *network.parameters()], materialize_grads=True)


@pytest.mark.parametrize("kind", NORMS)
def test_generator_equals_the_longhand_network(kind):
    options = {"normalisation": kind} if kind != "conditional" else {"conditioning": "conditional_batch_norm"}
    G = scrambled(DCGANGenerator(image_size=16, latent_size=3, num_classes=4, width=2, image_channels=1, **options))
    z, labels, aim = random(3, 3, seed=1).requires_grad_(), torch.tensor([3, 0, 3]), random(3, 1, 16, 16, seed=2)
    images, expected = G(z, labels), generator_longhand(G, kind, z, labels)
    torch.testing.assert_close(images, expected, rtol=1e-10, atol=1e-12)
    for ours, theirs in zip(
        gradients((images * aim).sum(), G, z), gradients((expected * aim).sum(), G, z), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("kind", ["none", "layer", "batch"])
def test_backbone_equals_the_longhand_network_also_differentiated_twice(kind):
    D = scrambled(DCGANBackbone(image_size=16, width=2, normalisation=kind))
    head = scrambled(D.make_head("score", 1), seed=4)
    images = random(3, 3, 16, 16, seed=1).requires_grad_()

    h, expected_blocks = images, []
    for i, (conv, norm) in enumerate(zip(D.convs, D.norms, strict=True)):
        h = longhand.conv(h, conv.weight, conv.bias, stride=2, padding=1)
        h = longhand.leaky(h if i == 0 else NORMS[kind](h, norm, None), 0.2)
        expected_blocks.append(h)
    expected = (h * head.weight.view(1, *h.shape[1:])).sum((1, 2, 3))  # the 4x4 convolution at its only place

    features, blocks = D(images)
    score = head(features)[:, 0]
    torch.testing.assert_close(score, expected, rtol=1e-10, atol=1e-12)
    for block, expected_block in zip(blocks, expected_blocks, strict=True):
        torch.testing.assert_close(block, expected_block, rtol=1e-10, atol=1e-12)
    losses = []
    for value in (score, expected):
        (slope,) = torch.autograd.grad(value.tanh().sum(), images, create_graph=True)
        losses.append(value.sum() + slope.square().sum())
    for ours, theirs in zip(gradients(losses[0], D), gradients(losses[1], D), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)


def test_only_layers_without_normalisation_have_biases_and_the_outermost_have_neither():
    with torch.device("meta"):
        for kind in ("batch", "layer", "none"):
            G, D = (n(image_size=32, width=2, normalisation=kind) for n in (DCGANGenerator, DCGANBackbone))
            assert [conv.bias is not None for conv in G.convs] == [kind == "none"] * 3
            assert [conv.bias is not None for conv in D.convs] == [False] + [kind == "none"] * 2
            assert G.to_image.bias is None and D.make_head("score", 1).bias is None


def test_starts_as_the_paper_says():
    torch.manual_seed(0)
    G = DCGANGenerator(image_size=32, num_classes=10, conditioning="conditional_batch_norm", width=32)
    D = DCGANBackbone(image_size=32, width=32)
    head = D.make_head("score", 1)
    for weight in (*(c.weight for c in (*G.convs, G.to_image, *D.convs)), head.weight):
        assert abs(weight.std() / 0.02 - 1) < 0.1 and abs(weight.mean()) < 0.002
    scales = torch.cat([norm.gamma.weight.flatten() for norm in G.norms])
    assert abs(scales.std() / 0.02 - 1) < 0.1 and abs(scales.mean() - 1) < 0.002
    scales = torch.cat([norm.weight for norm in D.norms[1:]])
    assert abs(scales.std() / 0.02 - 1) < 0.3 and abs(scales.mean() - 1) < 0.01
    assert all(norm.bias.abs().max() == 0 for norm in D.norms[1:])
    default = DCGANBackbone(image_size=32, width=32, initialisation="default")
    assert default.convs[1].weight.abs().max() <= (32 * 16) ** -0.5  # torch's: uniform within 1 / sqrt(fan-in)
    assert all((norm.weight == 1).all() for norm in default.norms[1:])


def test_normalisation_and_spectral_norm_are_independent():
    for kind, layers in (("none", 0), ("exact", 3), ("clamp", 3)):
        for normalisation in ("none", "batch", "layer"):
            options = {"image_size": 32, "width": 2, "spectral_norm": kind, "normalisation": normalisation}
            D, G = DCGANBackbone(**options), DCGANGenerator(**options)
            found = list(normalised_layers(D))
            assert len(found) == layers and all(norm.clamp == (kind == "clamp") for norm, _ in found)
            assert len(list(normalised_layers(G))) == (layers and 4)
            assert len(list(normalised_layers(D.make_head("score", 1)))) == (kind != "none")
            assert D.couples_batch == Discriminator(D, {}).couples_batch == (normalisation == "batch")
            assert D.spectral_norm == kind


def test_samples_are_coupled_exactly_where_the_backbone_says_so():
    images = random(4, 3, 16, 16, seed=1)
    for normalisation in ("none", "batch", "layer"):
        D = scrambled(DCGANBackbone(image_size=16, width=2, normalisation=normalisation))
        alone = torch.allclose(D(images)[0][:2], D(images[:2])[0], rtol=1e-10)
        assert alone != D.couples_batch
    assert not DCGANBackbone(image_size=8, normalisation="batch").couples_batch  # its only stage has no batch norm


def test_concatenated_class_changes_the_image_and_the_judgement():
    G = scrambled(DCGANGenerator(image_size=16, latent_size=3, num_classes=4, width=2, conditioning="concat"))
    z, labels = random(2, 3), torch.tensor([0, 3])
    images = G(z, labels)
    joined = torch.cat([z, G.class_latent.embedding.weight[labels]], 1)
    torch.testing.assert_close(images, generator_longhand(G, "batch", joined, None))

    D = scrambled(DCGANBackbone(image_size=16, num_classes=4, width=2, conditioning="concat", normalisation="none"))
    assert D.uses_labels and not DCGANBackbone(image_size=16).uses_labels
    plane = D.class_plane.weight[labels].view(2, 1, 16, 16)
    first = longhand.conv(torch.cat([images, plane], 1), D.convs[0].weight, stride=2, padding=1)
    torch.testing.assert_close(D(images, labels)[1][0], longhand.leaky(first, 0.2))
    no_class = D(images, torch.tensor([-1, 3]))[0]
    torch.testing.assert_close(no_class[0], D(images)[0][0])
    torch.testing.assert_close(no_class[1], D(images, labels)[0][1])


def test_sampling_with_batch_or_running_statistics():
    z = random(6, 3)
    options = {"image_size": 16, "latent_size": 3, "width": 2}
    batch = scrambled(DCGANGenerator(**options, sampling_statistics="batch"))
    assert batch.batch_statistics and not list(batch.buffers())
    torch.testing.assert_close(batch.eval()(z), generator_longhand(batch, "batch", z, None))

    running = scrambled(DCGANGenerator(**options))
    assert not running.batch_statistics
    alone = running.eval()(z[:1])
    torch.testing.assert_close(running(z)[:1], alone)
    norm = running.norms[0]
    h = longhand.transposed_conv(z[:1, :, None, None], running.convs[0].weight)
    expected = longhand.running_norm(h, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    torch.testing.assert_close(running.norms[0](running.convs[0](z[:1, :, None, None])), expected)


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: DCGANGenerator(image_size=32, conditioning="concat"), "the data have none"),
        (lambda: DCGANBackbone(image_size=32, conditioning="concat"), "the data have none"),
        (lambda: DCGANGenerator(image_size=32, width=0), "width takes a whole number of at least 1, got 0"),
        (lambda: DCGANGenerator(image_size=32, latent_size=0), "latent_size takes"),
        (
            lambda: DCGANGenerator(
                image_size=32, num_classes=3, conditioning="conditional_batch_norm", normalisation="layer"
            ),
            "needs normalisation=batch, got layer",
        ),
        (
            lambda: DCGANGenerator(image_size=16, width=2, num_classes=3, conditioning="concat")(torch.zeros(2, 128)),
            "pass labels",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(build, message):
    with pytest.raises(SparringError, match=message) as caught:
        build()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("normalisation", ["none", "batch", "layer"])
def test_no_in_place_operation_touches_images_or_blocks(normalisation):
    D = scrambled(DCGANBackbone(image_size=16, width=2, normalisation=normalisation))
    images = random(2, 3, 16, 16)
    before = images.clone()
    blocks = D(images)[1]
    assert torch.equal(images, before)
    sum(block.square().sum() for block in blocks).backward()  # raises if a block was overwritten after it was saved
