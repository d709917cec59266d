"""A network that is looked at is as it was afterwards, whatever its parts do in evaluation mode."""

import warnings

import pytest
import torch
from torch import nn

from sparring.classify.networks import Classifier, build_classifier
from sparring.classify.saved import judge
from sparring.evaluation.extractors.module import ModuleExtractor
from sparring.metrics.discriminator_accuracy import discriminator_accuracies
from sparring.microscope.spectrum import spectra
from sparring.microscope.subject import Subject
from sparring.networks.discriminator import Discriminator, Head
from sparring.networks.frozen import frozen
from sparring.run.generator import generate_uint8
from sparring.terms.hinge import Hinge

IMAGES = torch.randint(0, 256, (6, 3, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


class Moving(nn.Module):
    """Counts its calls, in place and anew, and has a batch norm that its author put into evaluation mode."""

    channels = 3

    def __init__(self):
        super().__init__()
        self.norm, self.other = nn.BatchNorm2d(3).eval(), nn.BatchNorm2d(3)
        self.register_buffer("calls", torch.zeros(1))
        self.register_buffer("again", torch.zeros(1))

    def forward(self, x, labels=None):
        self.calls += 1
        self.again = self.again + 1
        return self.other(self.norm(x))


class Backbone(Moving):
    def forward(self, images, labels=None):
        return super().forward(images).mean((2, 3)), []


class UsersClassifier(Moving):
    def __init__(self, *, image_channels=3, num_classes=3):
        super().__init__()

    def forward(self, images):
        return super().forward(images).mean((2, 3))


class Batched(Moving):
    batch_statistics = True


def discriminator():
    return Discriminator(Backbone(), {"score": Head(name="score")}, num_classes=0, conditioning="none")


PLACES = {
    "generate": (Moving, lambda net: generate_uint8(net, torch.randn(4, 3, 8, 8), None)),
    "generate, batch statistics": (Batched, lambda net: generate_uint8(net, torch.randn(4, 3, 8, 8), None)),
    "accuracies": (discriminator, lambda net: discriminator_accuracies(net, IMAGES, None)),
    "extractor": (Moving, lambda net: ModuleExtractor(net, IMAGES)(IMAGES)),
    "diagnose": (discriminator, lambda net: Subject(net, Hinge()).realness(IMAGES / 127.5 - 1)),
    "spectra": (discriminator, spectra),
    "classifier": (
        lambda: Classifier(UsersClassifier(), torch.zeros(3), torch.ones(3)),
        lambda net: judge(net, IMAGES),
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_modes_buffers_and_gradients_are_as_they_were(place):
    make, look = PLACES[place]
    network = make().train()
    for name, part in network.named_modules():
        if name.endswith("norm"):
            part.eval()
    modes = {name: part.training for name, part in network.named_modules()}
    assert set(modes.values()) == {True, False}
    kept = {name: (buffer, buffer.clone()) for name, buffer in network.named_buffers()}
    look(network)
    assert {name: part.training for name, part in network.named_modules()} == modes
    for name, buffer in network.named_buffers():
        assert buffer is kept[name][0] and torch.equal(buffer, kept[name][1]), name
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("training", [True, False])
def test_a_frozen_networks_buffers_stay_in_either_mode(training):
    network = Moving().train(training)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with frozen(network):
        network(torch.randn(4, 3, 8, 8))
        assert network.calls == 1
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_users_classifier_is_built_without_a_trace_of_its_trial(monkeypatch):
    monkeypatch.setattr("sparring.classify.networks.find_class", lambda *_, **__: UsersClassifier)
    built = build_classifier("mine:Net", {}, image_size=8, image_channels=3, outputs=3, seed=0)
    calls = [value for name, value in built.named_buffers() if name.endswith("calls")]
    assert len(calls) == 1 and calls[0] == 0


class Scripted(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.register_buffer("calls", torch.zeros(1))
        self.register_buffer("again", torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        self.again = self.again + 1
        return self.norm(x)


def test_a_script_is_as_it_was():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = torch.jit.script(Scripted())
    network.norm.eval()
    ModuleExtractor(network, IMAGES)(IMAGES)
    assert network.training and not network.norm.training
    assert network.calls == 0 and network.again == 0
