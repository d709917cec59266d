"""AS-GAN against its iteration written longhand: crafted before the update, judged after it, one term alone."""

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import nn

from sparring.errors import SparringError
from sparring.objective.objective import Objective
from sparring.objective.term import Build
from sparring.randomness import generator_for
from sparring.terms.as_gan import ASGAN
from sparring.terms.gradient_penalty import GradientPenalty
from sparring.terms.hinge import Hinge
from sparring.terms.least_squares import LeastSquares
from sparring.terms.nat_gan import NATGAN
from sparring.terms.non_saturating import NonSaturating
from sparring.terms.r1 import R1
from sparring.terms.relativistic_pairing import RelativisticPairing
from sparring.terms.sdp import SDP
from sparring.terms.wasserstein import Wasserstein
from sparring.testing import round_of

LR, EPS = 0.3, 0.05
ON_REAL = {
    NonSaturating: lambda s: F.softplus(-s),
    Hinge: lambda s: (1 - s).clamp_min(0),
    LeastSquares: lambda s: (s - 1) ** 2 / 2,
    Wasserstein: lambda s: -s,
}
ON_FAKE = {
    NonSaturating: lambda s: F.softplus(s),
    Hinge: lambda s: (1 + s).clamp_min(0),
    LeastSquares: lambda s: s**2 / 2,
    Wasserstein: lambda s: s,
}


def draw(*shape, seed):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


class Tanh(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1)).double()
        for i, parameter in enumerate(self.parameters()):
            parameter.data = draw(*parameter.shape, seed=i)
        self.rows = []

    def forward(self, images):
        self.rows.append(len(images))
        return self.layers(images)[:, 0]


class Duel:
    """A discriminator, a batch, and one objective's update of it, as anyone's loop would make it."""

    def __init__(self, host=None, more=None, **options):
        self.host = host or NonSaturating()
        self.module, self.real, self.fake = Tanh(), draw(5, 1, 2, 2, seed=30), draw(5, 1, 2, 2, seed=31)
        self.term = ASGAN(**{"eps": EPS, "warmup": 0} | options)
        self.objective = Objective({"host": self.host, **(more or {}), "as_gan": self.term})
        self.before = [p.detach().clone() for p in self.module.parameters()]
        self.crafting = Tanh()  # stays at the weights before the update

    def on(self, name, module, images):
        return (ON_REAL if name == "real" else ON_FAKE)[type(self.host)](module(images))

    def batch(self, name):
        return self.real if name == "real" else self.fake

    def run(self, update=0):
        """The first update is made; returns the losses of the second ones."""
        D = self.objective.attach(self.module, blocks=["layers.2"])
        optimiser = torch.optim.SGD(D.parameters(), lr=LR)
        d = self.objective.discriminator(D, self.real, self.fake, step=9, update=update)
        d.loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        self.module.rows.clear()
        return list(d.second_updates())

    def gradient(self, name, images, realness=False):
        x = images.clone().requires_grad_()
        loss = self.crafting(x) * (-1 if name == "real" else 1) if realness else self.on(name, self.crafting, x)
        return torch.autograd.grad(loss.sum(), x)[0]

    def fgsm(self, name, realness=False):
        images = self.batch(name)
        return images + EPS * self.gradient(name, images, realness).sign()

    def same(self, loss, expected):
        """Equal in value and in the gradient of every weight; and the first update did change the weights."""
        parameters = list(self.module.parameters())
        assert not torch.equal(parameters[0], self.before[0])
        torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12)
        for got, want in zip(
            torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters), strict=True
        ):
            torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-12)


HOSTS = pytest.mark.parametrize("host", [NonSaturating(), Hinge(), LeastSquares(), Wasserstein()], ids=repr)
CRAFTS = pytest.mark.parametrize("craft", ["host", "realness"])
TARGETS = pytest.mark.parametrize("target", ["real", "fake", "both"])


@HOSTS
@CRAFTS
@TARGETS
def test_second_update_is_the_hosts_loss_on_samples_attacked_before_the_first(host, craft, target):
    duel = Duel(host, craft=craft, target=target)
    (loss,) = duel.run()
    attacked = {name: duel.fgsm(name, craft == "realness") for name in duel.term.targets}
    assert len(attacked) == (2 if target == "both" else 1)
    duel.same(loss, sum(duel.on(name, duel.module, x).mean() for name, x in attacked.items()))
    assert len(duel.module.rows) == 2 * len(attacked)  # this check's passes, and one for each attacked side


@pytest.mark.parametrize("more", [{"r1": R1(weight=3)}, {"sdp": SDP(t=0, k=2, weight=5)}], ids=["r1", "sdp"])
@TARGETS
def test_the_gradient_is_the_hosts_alone_also_beside_other_readers(more, target):
    duel = Duel(more=more, target=target)
    (loss,) = duel.run()
    duel.same(loss, sum(duel.on(name, duel.module, duel.fgsm(name)).mean() for name in duel.term.targets))


def test_a_hosts_weight_does_not_change_the_attack():
    duel = Duel(NonSaturating(weight=0.25))
    (loss,) = duel.run()
    duel.same(loss, duel.on("real", duel.module, duel.fgsm("real")).mean())


def test_the_terms_weight_multiplies_its_update():
    duel = Duel(weight=0.5)
    (loss,) = duel.run()
    duel.same(loss, 0.5 * duel.on("real", duel.module, duel.fgsm("real")).mean())


def test_fgsm_moves_each_pixel_by_eps_where_there_is_a_gradient():
    gradient = torch.tensor([[2.0, -0.1], [0.0, 3.0]])
    images = torch.tensor([[0.5, -0.995], [0.5, 0.999]])
    seen = []

    def judge(images, labels):
        seen.append(images)
        return images.sum(1)

    sides = {"real": {"images": images, "gradient": gradient}}
    term = ASGAN(warmup=0, eps=0.01)
    term.second_update(round_of(**sides, host=NonSaturating(), judge=judge))
    torch.testing.assert_close(seen[-1], torch.tensor([[0.51, -1.005], [0.5, 1.009]]))
    term.model_copy(update={"clamp": True}).second_update(round_of(**sides, host=NonSaturating(), judge=judge))
    torch.testing.assert_close(seen[-1], torch.tensor([[0.51, -1.0], [0.5, 1.0]]))


def test_the_default_eps_is_one_over_255_of_the_range_from_minus_one_to_one():
    assert ASGAN().eps == pytest.approx(0.00392157, abs=1e-8)
    assert (ASGAN().warmup, ASGAN().warmup_scope, ASGAN().target, ASGAN().craft) == (300, "global", "real", "host")
    assert (ASGAN().attack, ASGAN().pgd_steps) == ("fgsm", 7)
    for field, value in (("eps", -0.1), ("warmup", -1), ("pgd_steps", 0)):
        with pytest.raises(ValidationError, match=field):
            ASGAN(**{field: value})
    with pytest.raises(ValidationError, match="pgd_step_size"):
        ASGAN(attack="pgd", pgd_step_size=0)


def test_the_attack_raises_the_loss_of_the_discriminator_it_was_crafted_on():
    duel = Duel()
    clean, attacked = (duel.on("real", duel.crafting, x) for x in (duel.real, duel.fgsm("real")))
    assert (attacked > clean).all()


@pytest.mark.parametrize("attack", [{}, {"attack": "pgd", "pgd_steps": 1, "pgd_step_size": EPS}], ids=["fgsm", "pgd"])
def test_hinge_attacks_nothing_beyond_its_margin_and_realness_does(attack):
    for craft, moves in (("host", False), ("realness", True)):
        duel = Duel(Hinge(), craft=craft, **attack)
        with torch.no_grad():
            for module in (duel.module, duel.crafting):
                module.layers[3].bias += 20
        seen = []
        duel.module.register_forward_pre_hook(lambda module, inputs, seen=seen: seen.append(inputs[0].detach()))
        duel.run()
        torch.testing.assert_close(seen[-1], duel.fgsm("real", realness=True) if moves else duel.real)


@CRAFTS
@pytest.mark.parametrize("steps", [2, 6])  # 2 small steps stay inside the box, 6 meet its walls
@pytest.mark.parametrize(("step_size", "alpha"), [(None, EPS / 4), (0.03, 0.03)])
def test_pgd_takes_steps_within_eps_at_the_weights_before_the_update(craft, steps, step_size, alpha):
    duel = Duel(attack="pgd", pgd_steps=steps, pgd_step_size=step_size, craft=craft)
    (loss,) = duel.run()
    x = duel.real
    for _ in range(steps):
        x = x + alpha * duel.gradient("real", x, craft == "realness").sign()
        x = torch.minimum(torch.maximum(x, duel.real - EPS), duel.real + EPS)
    assert (x - duel.real).abs().max() <= EPS + 1e-12
    duel.same(loss, duel.on("real", duel.module, x).mean())


def test_pgd_on_both_sides_attacks_fakes_towards_realness():
    duel = Duel(attack="pgd", pgd_steps=1, pgd_step_size=EPS, target="both")
    (loss,) = duel.run()
    duel.same(loss, sum(duel.on(name, duel.module, duel.fgsm(name)).mean() for name in ("real", "fake")))


def test_a_random_start_is_uniform_within_eps():
    duel = Duel(attack="pgd", pgd_steps=1, pgd_step_size=1e-12, random_start=True)
    seen = []
    duel.module.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    duel.run()
    u = torch.rand(5, 1, 2, 2, generator=generator_for(0, "discriminator", 0, False, "as_gan", 0)).double()
    torch.testing.assert_close((seen[-1] - duel.real) / EPS, 2 * u - 1, rtol=1e-6, atol=1e-6)


def test_crafting_by_realness_costs_no_pass_where_one_gradient_is_enough():
    for options, passes in (({"craft": "realness"}, [10]), ({"attack": "pgd", "pgd_steps": 3}, [10, 5, 5, 5])):
        duel = Duel(**options)
        D = duel.objective.attach(duel.module)
        duel.objective.discriminator(D, duel.real, duel.fake, step=0)
        assert duel.module.rows == passes


def test_gaussian_noise_has_the_attacks_size_and_no_direction():
    duel = Duel(attack="gaussian")
    seen = []
    duel.module.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    (loss,) = duel.run()
    noise = (seen[-1] - duel.real) / EPS
    torch.testing.assert_close(noise.abs(), torch.ones_like(noise))
    assert 4 < (noise > 0).sum() < 16
    assert not torch.allclose(seen[-1], duel.fgsm("real"))
    duel.same(loss, duel.on("real", duel.module, seen[-1]).mean())


@pytest.mark.parametrize(("target", "other"), [("real", "fake"), ("fake", "real")])
def test_with_fake_loss_adds_the_other_side_as_it_is(target, other):
    duel = Duel(target=target, with_fake_loss=True)
    (loss,) = duel.run()
    expected = duel.on(target, duel.module, duel.fgsm(target)).mean()
    duel.same(loss, expected + duel.on(other, duel.module, duel.batch(other)).mean())


def test_with_penalties_adds_those_of_this_update_at_the_new_weights():
    duel = Duel(Wasserstein(), more={"r1": R1(weight=2), "lazy": R1(weight=7, every=3)}, with_penalties=True)
    (loss,) = duel.run(update=4)  # in which the lazy one does not act

    def squared_norms(images):
        x = images.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(duel.module(x).sum(), x, create_graph=True)
        return gradient.flatten(1).square().sum(1)

    expected = -duel.module(duel.fgsm("real")).mean() + 2 * squared_norms(duel.real).mean()
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-12)
    parameters = list(duel.module.parameters())[:3]
    for got, want in zip(torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-8, atol=1e-12)


def test_a_gradient_penalty_beside_it_acts_in_the_second_update_too():
    plain, both = (
        Duel(Wasserstein(), more={"gp": GradientPenalty()}, with_penalties=flag).run()[0].item()
        for flag in (False, True)
    )
    assert both != pytest.approx(plain)


# --- warm-up ---
@pytest.mark.parametrize("attack", ["fgsm", "pgd", "gaussian"])
@pytest.mark.parametrize("update", [0, 4, 5])
def test_during_the_warm_up_the_second_update_is_on_clean_samples(attack, update):
    duel = Duel(warmup=5, attack=attack)
    (loss,) = duel.run(update=update)
    clean = duel.on("real", duel.module, duel.real).mean()
    if update < 5:
        duel.same(loss, clean)
    else:
        assert not torch.allclose(loss, clean)


def test_eps_zero_is_a_second_update_on_clean_samples():
    duel = Duel(eps=0.0)
    (loss,) = duel.run()
    duel.same(loss, duel.on("real", duel.module, duel.real).mean())


def test_a_warm_up_per_epoch_restarts():
    term = ASGAN(warmup=3, warmup_scope="epoch")
    sides = {"real": {"images": torch.zeros(1, 1)}}
    found = [term.eps_at(round_of(**sides, update=u, updates_per_epoch=5)) > 0 for u in range(12)]
    assert found == [False] * 3 + [True] * 2 + [False] * 3 + [True] * 2 + [False] * 2
    found = [ASGAN(warmup=3).eps_at(round_of(**sides, update=u, updates_per_epoch=5)) > 0 for u in range(7)]
    assert found == [False] * 3 + [True] * 4
    with pytest.raises(SparringError, match="no epochs to count"):
        term.eps_at(round_of(**sides))


def test_scaled_runs_scale_the_warm_up_of_the_run_not_of_an_epoch():
    assert ASGAN().scaled(0.01).warmup == 3
    assert ASGAN(warmup_scope="epoch").scaled(0.01).warmup == 300


def test_a_warm_up_longer_than_the_run_or_its_epoch_is_refused():
    ASGAN().check(Build(steps=151, d_steps=2))
    with pytest.raises(SparringError, match="300 discriminator updates and the run has 300"):
        ASGAN().check(Build(steps=150, d_steps=2))
    epoch = ASGAN(warmup_scope="epoch")
    epoch.check(Build(steps=10_000, updates_per_epoch=301))
    with pytest.raises(SparringError, match="300 discriminator updates and an epoch has 300"):
        epoch.check(Build(steps=10_000, updates_per_epoch=300))
    with pytest.raises(SparringError, match="an epoch has 200"):
        epoch.check(Build(steps=200, updates_per_epoch=1000))
    with pytest.raises(SparringError, match="no epochs to count"):
        epoch.check(Build(steps=10_000))


# --- what it asks for and refuses ---
def test_needs():
    def needs(update=300, **options):
        return ASGAN(**options).needs("discriminator", update)

    assert needs() == {"real.images", "real.gradient"}
    assert needs(299) == {"real.images"}
    assert needs(0, warmup_scope="epoch") == {"real.images", "real.gradient"}
    assert needs(target="both") == {"real.images", "real.gradient", "fake.images", "fake.gradient"}
    assert needs(craft="realness", target="fake") == {"fake.images", "fake.differentiated"}
    assert needs(attack="pgd") == needs(attack="gaussian") == {"real.images"}
    assert needs(with_fake_loss=True) == {"real.images", "real.gradient", "fake.images"}
    assert needs(with_penalties=True) == {"real.images", "real.gradient", "penalties"}
    assert ASGAN().needs("generator", 300) == set()


def test_the_gradient_is_free_beside_a_plain_host():
    objective = Objective(host=NonSaturating(), gp=GradientPenalty(), as_gan=ASGAN(warmup=0))
    assert objective.gradient_sources(objective.active("discriminator", 0, 0)) == {"real": True}


def test_combinations_that_make_no_sense_are_refused():
    with pytest.raises(ValidationError, match="both attacks both sides"):
        ASGAN(target="both", with_fake_loss=True)
    with pytest.raises(ValidationError, match="options of attack: pgd, not of fgsm"):
        ASGAN(random_start=True)
    with pytest.raises(ValidationError, match="options of attack: pgd, not of gaussian"):
        ASGAN(attack="gaussian", pgd_step_size=0.1)
    pairing = Objective(host=RelativisticPairing(), as_gan=ASGAN())
    with pytest.raises(SparringError, match="pairs reals with fakes"):
        ASGAN().check(Build(steps=1000, objective=pairing))
    with pytest.raises(SparringError, match="no penalty to add"):
        ASGAN(with_penalties=True).check(Build(steps=1000, objective=Objective(host=Hinge())))
    ASGAN(with_penalties=True).check(Build(steps=1000, objective=Objective(host=Hinge(), r1=R1())))


def test_it_works_on_class_logits_too():
    """NAT-GAN attacked: the cross-entropy of the true class rises."""

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 3).double()
            self.layer.weight.data, self.layer.bias.data = draw(3, 2, seed=5), draw(3, seed=6)

        def forward(self, images):
            return {"class_logits": self.layer(images)}

    module, real, labels = Classifier(), draw(4, 2, seed=1), torch.tensor([2, 2, 0, 1])
    objective = Objective(host=NATGAN(), as_gan=ASGAN(eps=EPS, warmup=0))
    d = objective.discriminator(objective.attach(module), real, real, step=0, labels=labels)
    d.loss.backward()
    x = real.clone().requires_grad_()
    F.cross_entropy(module.layer(x), labels).backward()
    expected = F.cross_entropy(module.layer(real + EPS * x.grad.sign()), labels)
    (loss,) = d.second_updates()
    torch.testing.assert_close(loss, expected)
    assert expected > F.cross_entropy(module.layer(real), labels)
