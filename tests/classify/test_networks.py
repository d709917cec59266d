"""The classifiers: sizes that are known, normalisation by hand, and every mistake one line."""

import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sparring.classify.densenet import DenseNetBC
from sparring.classify.job import channel_statistics
from sparring.classify.networks import NETWORKS, Classifier, build_classifier
from sparring.data.packed import PackedImages, to_float
from sparring.errors import SparringError
from sparring.plugins import ships


def build(kind, outputs=10, size=32, channels=3, seed=0, **options):
    return build_classifier(kind, options, image_size=size, image_channels=channels, outputs=outputs, seed=seed)


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_resnet18_for_cifar_has_its_known_number_of_parameters():
    """Counted layer by layer: convolutions without bias, two numbers per normalised channel, a linear layer."""
    longhand = 3 * 64 * 9 + 2 * 64
    inputs = 64
    for outputs in (64, 128, 256, 512):
        longhand += (inputs + 3 * outputs) * outputs * 9 + 4 * 2 * outputs
        if inputs != outputs:
            longhand += inputs * outputs + 2 * outputs
        inputs = outputs
    longhand += 512 * 10 + 10
    assert parameters(build("resnet18")) == longhand == 11_173_962


def test_its_stages_halve_after_the_first():
    network = build("resnet18", size=16, width=2).network
    shapes = []
    for block in network.stages:
        block.register_forward_hook(lambda module, given, made: shapes.append(tuple(made.shape[1:])))
    network.eval()(torch.zeros(1, 3, 16, 16))
    assert shapes == [(2, 16, 16)] * 2 + [(4, 8, 8)] * 2 + [(8, 4, 4)] * 2 + [(16, 2, 2)] * 2


def test_a_residual_block_is_its_formula():
    torch.manual_seed(0)
    block = build("resnet18", size=8, width=2, blocks=(1, 1)).network.stages[1].eval().double()
    x = torch.randn(2, 2, 6, 6, dtype=torch.float64)
    conv = torch.nn.functional.conv2d
    scale = (1 + 1e-5) ** -0.5  # of an untrained batch norm in evaluation
    h = (conv(x, block.conv1.weight, stride=2, padding=1) * scale).clamp(min=0)
    h = conv(h, block.conv2.weight, padding=1) * scale
    expected = (h + conv(x, block.shortcut[0].weight, stride=2) * scale).clamp(min=0)
    torch.testing.assert_close(block(x), expected)


def test_grey_images_other_sizes_and_few_outputs():
    assert build("small_cnn", outputs=3, size=28, channels=1)(torch.zeros(2, 1, 28, 28)).shape == (2, 3)
    assert build("resnet18", outputs=2, size=48, channels=1, width=4)(torch.zeros(2, 1, 48, 48)).shape == (2, 2)


def test_torchvisions_classifiers_by_name_also_for_grey_images():
    classifier = build("torchvision:squeezenet1_1", outputs=5, size=32, channels=1)
    assert classifier.eval()(torch.zeros(2, 1, 32, 32)).shape == (2, 5)
    with pytest.raises(SparringError, match="trained from scratch"):
        build("torchvision:squeezenet1_1", weights="DEFAULT")
    with pytest.raises(SparringError, match="refuses its options"):
        build("torchvision:squeezenet1_1", deepness=3)


def test_torchvisions_transformers_are_told_the_image_size():
    classifier = build("torchvision:vit_b_32", outputs=5, size=64)
    assert classifier.network.model.image_size == 64


def test_initialisation_depends_on_the_seed_alone_and_leaves_the_global_generator():
    before = torch.random.get_rng_state()
    one, same, other = build("small_cnn"), build("small_cnn"), build("small_cnn", seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    state = one.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in same.state_dict().items())
    assert not torch.equal(other.network.linear.weight, one.network.linear.weight)
    assert int(one.network.features[1].num_batches_tracked) == 0  # being tried changed nothing


def test_images_are_normalised_by_channel():
    classifier = Classifier(nn.Flatten(), torch.tensor([0.5, -1.0]), torch.tensor([2.0, 0.5]))
    logits = classifier(torch.tensor([[[[1.0]], [[0.0]]]]))
    assert logits.tolist() == [[0.25, 2.0]]


def test_channel_statistics_are_those_of_the_floats():
    images = PackedImages(torch.randint(0, 256, (7, 3, 5, 5), dtype=torch.uint8))
    found, floats = channel_statistics(images), to_float(images.images).double()
    torch.testing.assert_close(found["mean"].double(), floats.mean((0, 2, 3)), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(found["std"].double(), floats.std((0, 2, 3), unbiased=False), atol=1e-6, rtol=1e-6)


class Embedding(nn.Module):
    """A user's network that forgot its last layer."""

    def __init__(self, *, num_classes: int):
        super().__init__()

    def forward(self, images):
        return images.mean((2, 3))


class Asserts(nn.Module):
    def forward(self, images):
        assert images.shape[-1] > 99, "small"


class TooSmall(nn.Module):
    def forward(self, images):
        return nn.functional.conv2d(images, torch.zeros(10, 3, 99, 99))


def test_a_network_that_does_not_fit_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "users_networks", sys.modules[__name__])
    with pytest.raises(SparringError, match=r"returns \[2, 3\] for 2 images, and a classifier's logits are \[2, 10\]"):
        build("users_networks:Embedding")
    with pytest.raises(SparringError, match="does not take images 3 x 32 x 32"):
        build("users_networks:TooSmall")
    with pytest.raises(SparringError, match=r"does not take images 3 x 32 x 32: small.*; choose another"):
        build("users_networks:Asserts")
    with pytest.raises(SparringError, match="width takes a whole number of at least 1, got 0"):
        build("small_cnn", width=0)


def test_densenet_has_the_papers_size_and_shape():
    count = sum(p.numel() for p in DenseNetBC(depth=100, growth=12).parameters())
    assert count == 769_162
    net = DenseNetBC(depth=10, growth=4).eval()
    x = torch.randn(2, 3, 16, 16)
    h = net.features[0](x)
    assert [type(layer).__name__ for layer in net.features][1:6] == [
        "DenseLayer", "Transition", "DenseLayer", "Transition", "DenseLayer",
    ]  # fmt: skip
    dense = net.features[1]
    new = dense.conv2(F.relu(dense.norm2(dense.conv1(F.relu(dense.norm1(h))))))
    torch.testing.assert_close(dense(h), torch.cat([h, new], 1))
    assert net(x).shape == (2, 10)
    with pytest.raises(SparringError, match="6 n \\+ 4"):
        DenseNetBC(depth=41)


def test_densenet_also_answers_to_the_name_that_it_had_before():
    before = build("sparring.metrics.extractors.densenet:DenseNetBC", depth=10, growth=4)
    now = build("densenet", depth=10, growth=4)
    torch.testing.assert_close(dict(before.named_parameters()), dict(now.named_parameters()), rtol=0, atol=0)
    assert ships("sparring.metrics.extractors.densenet:DenseNetBC", NETWORKS, "network")
