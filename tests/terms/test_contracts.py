"""What every registered term promises, whoever wrote it: fields, weights, gradients for the right player, finiteness."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from sparring.networks.discriminator import Discriminator
from sparring.objective.objective import Objective
from sparring.objective.term import AdversarialLoss
from sparring.plugins import find
from sparring.schedule import Schedule
from sparring.terms import REGISTRY
from sparring.terms.non_saturating import NonSaturating

CLASSES = 3
STEP = 60_000  # past every default start and warm-up; also the discriminator's update
COMPANIONS = {"semi_supervised": {"classifier": "multi_hinge"}}  # what a term cannot do without
TERMS = pytest.mark.parametrize("name", REGISTRY)


def make(name, **fields):
    return find(name, REGISTRY, "term")(**fields)


class Backbone(nn.Module):
    """Two convolutions for [B, 1, 4, 4] images, smooth so that every penalty has a gradient."""

    channels = 6

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3, stride=2, padding=1)

    def forward(self, images, labels=None):
        first = torch.tanh(self.one(images))
        second = torch.tanh(self.two(first))
        return second.mean((2, 3)), [first, second]


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 16)

    def forward(self, z):
        return torch.tanh(self.layer(z)).view(-1, 1, 4, 4)


class Bench:
    """A small objective around a term, its two networks, and a batch of everything a term may ask for."""

    def __init__(self, name, **fields):
        self.term = make(name, **fields)
        host = {} if isinstance(self.term, AdversarialLoss) else {"host": NonSaturating()}
        self.others = host | {key: make(kind) for key, kind in COMPANIONS.get(name, {}).items()}
        self.objective = Objective({**self.others, "term": self.term})
        torch.manual_seed(0)
        self.G, self.module = Generator(), Discriminator(Backbone(), self.objective.heads(), num_classes=CLASSES)
        self.D = self.objective.attach(self.module)
        self.real = torch.rand(6, 1, 4, 4) * 2 - 1
        self.labels = torch.tensor([0, 2, 2, 1, 2, 0])
        self.batch = {"labels": self.labels, "fake_labels": torch.tensor([1, 1, 2, 0, 0, 2])}
        self.extra = {"negative": torch.rand(2, 1, 4, 4), "unlabelled": torch.rand(6, 1, 4, 4) - 0.5}

    def fakes(self):
        return self.G(torch.randn(6, 5, generator=torch.Generator().manual_seed(1)))

    def discriminator(self, objective=None):
        return (objective or self.objective).discriminator(
            self.D, self.real, self.fakes(), step=STEP, update=STEP, **self.batch, **self.extra
        )

    def generator(self):
        return self.objective.generator(self.D, self.real, self.fakes(), step=STEP, **self.batch)

    def acts(self, player):
        return any(active.name == "term" for active in self.objective.active(player, STEP, STEP))


def gradients(module):
    return [p.grad for p in module.parameters() if p.grad is not None]


@TERMS
def test_defaults_build_and_round_trip(name):
    term = make(name)
    assert type(term).model_validate(term.model_dump()) == term
    assert type(term).model_validate(term.model_dump(mode="json")) == term
    scheduled = make(name, weight=Schedule(knots=((0, 0.0), (10, 1.0))))
    assert type(term).model_validate(scheduled.model_dump(mode="json")) == scheduled
    assert scheduled.at(5).weight == 0.5


@TERMS
def test_wrong_fields_are_refused(name):
    with pytest.raises(ValidationError, match="extra_forbidden"):
        make(name, wieght=1.0)
    with pytest.raises(ValidationError, match="takes a number, got true"):
        make(name, weight=True)
    with pytest.raises(ValidationError):
        make(name, weight=float("nan"))


@TERMS
def test_numbers_refuse_booleans_in_every_field(name):
    term = make(name)
    numbers = [field for field, value in term if isinstance(value, int | float) and not isinstance(value, bool)]
    for field in numbers:
        with pytest.raises(ValidationError, match="takes a number, got false"):
            make(name, **{field: False})


@TERMS
def test_weight_zero_is_absent(name):
    bench = Bench(name, weight=0.0)
    for player in ("discriminator", "generator"):
        assert not bench.acts(player)
        assert "term" not in [active.name for active in bench.objective.active(player, STEP, STEP)]
    if isinstance(bench.term, AdversarialLoss):
        return
    update = bench.discriminator()
    assert set(update.logs) == set(bench.others)
    assert list(update.second_updates()) == []
    assert torch.equal(update.loss, bench.discriminator(Objective(bench.others)).loss)


@TERMS
def test_generator_weight_zero_leaves_the_discriminators_part(name):
    bench, plain = Bench(name, generator_weight=0.0), Bench(name)
    assert not bench.acts("generator")
    assert bench.acts("discriminator") == plain.acts("discriminator")


@TERMS
def test_only_the_player_that_is_updated_gets_gradients_and_all_is_finite(name):
    bench = Bench(name)
    optimiser = torch.optim.SGD(bench.D.parameters(), lr=0.01)
    update = bench.discriminator()
    update.loss.backward()
    optimiser.step()
    seconds = 0
    for again in update.second_updates():
        optimiser.zero_grad()
        again.backward()
        optimiser.step()
        seconds += 1
        assert torch.isfinite(again)
    assert seconds == int(bench.term.has_second_update and bench.acts("discriminator"))
    assert torch.isfinite(update.loss)
    assert gradients(bench.module)
    assert all(torch.isfinite(gradient).all() for gradient in gradients(bench.module))
    assert gradients(bench.G) == []

    optimiser.zero_grad()
    update = bench.generator()
    update.loss.backward()
    assert gradients(bench.module) == []
    assert gradients(bench.G)
    assert torch.isfinite(update.loss)
    assert all(torch.isfinite(gradient).all() for gradient in gradients(bench.G))
    assert bench.acts("discriminator") or bench.acts("generator")


@TERMS
def test_the_term_changes_what_it_is_added_to(name):
    """Added to a host, a term gives some player another gradient; a host by itself gives both one."""
    bench = Bench(name)
    if isinstance(bench.term, AdversarialLoss):
        assert bench.acts("discriminator")
        assert bench.acts("generator")
        return
    plain = Bench(name, weight=0.0)
    changed = []
    for side in (bench, plain):
        update = side.discriminator()
        update.loss.backward()
        found = [torch.cat([p.grad.flatten() for p in side.module.backbone.parameters()])]
        for again in update.second_updates():
            found.append(torch.autograd.grad(again, side.module.backbone.one.weight)[0].flatten())
        side.generator().loss.backward()
        found.append(torch.cat([gradient.flatten() for gradient in gradients(side.G)]))
        changed.append(found)
    with_term, without = changed
    assert len(with_term) != len(without) or any(
        not torch.allclose(a, b, rtol=1e-4, atol=1e-8) for a, b in zip(with_term, without, strict=True)
    )
