"""Every host with every other method at once, on a discriminator with and without classes and batch normalisation."""

import pytest
import torch
from torch import nn

from sparring.networks.discriminator import Discriminator
from sparring.objective.objective import Objective
from sparring.objective.term import AdversarialLoss
from sparring.plugins import find
from sparring.terms import REGISTRY

HOSTS = [name for name in REGISTRY if issubclass(find(name, REGISTRY, "term"), AdversarialLoss)]
OPTIONS = {
    "sdp": {"t": 0, "k": 2},
    "as_gan": {"warmup": 0, "with_penalties": True},
    "negatives": {"per_batch": 2},
    "multi_hinge": {"head": "margins", "on_fake": True},
    "auxiliary_classifier": {"head": "classes"},
    "semi_supervised": {"head": "margins"},
    "feature_matching": {},
    "lecam": {"start": 1},
    "gradient_penalty": {},
    "r1": {},
    "r2": {},
}
SINGLE_SAMPLES = {"as_gan", "negatives", "semi_supervised"}  # need a host with a loss for each sample


class Backbone(nn.Module):
    channels = 6

    def __init__(self, norm):
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4) if norm else nn.Identity()

    def forward(self, images, labels=None):
        first = torch.tanh(self.norm(self.one(images)))
        second = torch.tanh(self.two(first))
        return second.mean((2, 3)), [first, second]


def test_every_other_method_is_in_the_combination():
    assert set(OPTIONS) == set(REGISTRY) - set(HOSTS)


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "batch_norm"])
@pytest.mark.parametrize("conditioning", ["none", "projection"])
@pytest.mark.parametrize("host", HOSTS)
def test_all_methods_on_one_host(host, conditioning, norm):
    term = find(host, REGISTRY, "term")()
    chosen = {name: options for name, options in OPTIONS.items() if term.separable or name not in SINGLE_SAMPLES}
    objective = Objective({host: term} | {n: find(n, REGISTRY, "term")(**options) for n, options in chosen.items()})
    torch.manual_seed(0)
    module = Discriminator(Backbone(norm), objective.heads(), num_classes=3, conditioning=conditioning)
    D = objective.attach(module)
    optimiser = torch.optim.SGD(D.parameters(), lr=0.01)
    labels = torch.tensor([2, 2, 0, 1])
    real, negative, unlabelled = torch.randn(4, 1, 4, 4), torch.randn(2, 1, 4, 4), torch.randn(4, 1, 4, 4)
    fake = torch.randn(4, 1, 4, 4, requires_grad=True)
    given = {"labels": labels, "fake_labels": labels.flip(0)}

    d = objective.discriminator(D, real, fake, step=1, update=1, negative=negative, unlabelled=unlabelled, **given)
    d.loss.backward()
    optimiser.step()
    for again in d.second_updates():
        optimiser.zero_grad()
        again.backward()
        optimiser.step()
    optimiser.zero_grad()
    g = objective.generator(D, real, fake, step=1, **given)
    g.loss.backward()

    second = {"as_gan/second_update"} if "as_gan" in chosen else set()
    acted = {name.split("/")[0] for name in d.logs} | {name.split("/")[0] for name in g.logs}
    assert acted == {host, *chosen}
    assert second <= set(d.logs)
    assert all(torch.isfinite(value).all() for value in [*d.logs.values(), *g.logs.values(), fake.grad])
    assert fake.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in module.parameters())
