"""The terms in a user's own loop, with a user's own discriminator and optimisers: equal to the trainer's updates."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from longhand import BETAS, LR, Stages, a_run
from torch import Tensor, nn

import sparring
from sparring import ASGAN, R1, SDP, GradientPenalty, Hinge, LeCam, NonSaturating, Objective, Wasserstein
from sparring.errors import SparringError
from sparring.networks.discriminator import Discriminator
from sparring.training.step import train_step


class MyDiscriminator(nn.Module):
    """Anyone's: it returns a score [B, 1] and knows nothing of this library."""

    def __init__(self, stages: Stages, out: nn.Module):
        super().__init__()
        self.layer1, self.layer2, self.out = stages.layer1, stages.layer2, out

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.layer2(self.layer1(x)).mean((2, 3)))


CASES: dict[str, tuple[dict[str, Any], bool]] = {
    "hinge": ({"hinge": Hinge()}, False),
    "hinge, batch norm": ({"hinge": Hinge()}, True),
    "wgan-gp": ({"wasserstein": Wasserstein(), "gradient_penalty": GradientPenalty()}, False),
    "lazy r1, batch norm": ({"non_saturating": NonSaturating(), "r1": R1(every=2)}, True),
    "lecam": ({"hinge": Hinge(), "lecam": LeCam(decay=0.9, start=1)}, False),
    "as_gan": ({"non_saturating": NonSaturating(), "as_gan": ASGAN(warmup=1, eps=0.05)}, False),
    "hinge + sdp + as_gan": ({"hinge": Hinge(), "sdp": SDP(t=1, k=2), "as_gan": ASGAN(warmup=0)}, False),
    "all, batch norm": (
        {"hinge": Hinge(), "sdp": SDP(t=0, k=3), "as_gan": ASGAN(warmup=2, eps=0.02), "r1": R1(every=3)},
        True,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_five_lines_make_the_trainers_updates(case: str) -> None:
    terms, batch_norm = CASES[case]
    run = a_run(
        terms,
        discriminator__network={"kind": "longhand:Stages", "norm": batch_norm},
        generator__network__normalisation="none",
        steps=1000,
    )
    backbone = copy.deepcopy(run.discriminator.backbone)
    assert isinstance(backbone, Stages)
    my_discriminator = MyDiscriminator(backbone, copy.deepcopy(run.discriminator.heads["score"]))
    G = copy.deepcopy(run.generator)
    opt_d = torch.optim.Adam(my_discriminator.parameters(), LR, BETAS)
    opt_g = torch.optim.Adam(G.parameters(), LR, BETAS)
    before = copy.deepcopy(my_discriminator)

    objective = Objective(**terms)
    D = objective.attach(my_discriminator, blocks=["layer1", "layer2"])
    updates = 0
    for i in range(5):
        (b,) = run.feed.shares("discriminator", i, ("real",), {})
        real, fake = b.sides["real"][0], G(b.latents, b.fake_labels)
        opt_d.zero_grad()
        d = objective.discriminator(D, real, fake, step=i)
        d.loss.backward()
        opt_d.step()
        for again in d.second_updates():
            opt_d.zero_grad()
            again.backward()
            opt_d.step()
            updates += 1
        (b,) = run.feed.shares("generator", i, ("real",), {}, i)
        fake = G(b.latents, b.fake_labels)
        opt_g.zero_grad()
        g = objective.generator(D, b.sides["real"][0], fake, step=i)
        g.loss.backward()
        opt_g.step()
        train_step(run)
        if i == 3:  # every term has begun; r1 takes each second or third update
            assert set(d.logs) >= {
                name for name in terms if name != "as_gan" and (name != "r1" or i % terms[name].every == 0)
            }
    assert updates == (5 if "as_gan" in terms else 0)

    x = torch.randn(6, 1, 8, 8, dtype=torch.float64)
    z = torch.randn(6, 5, dtype=torch.float64)
    with torch.no_grad():
        assert (my_discriminator(x) - before(x)).abs().max() > 1e-3
        torch.testing.assert_close(my_discriminator(x)[:, 0], run.discriminator(x), rtol=0, atol=1e-9)
        torch.testing.assert_close(G(z, None), run.generator(z, None), rtol=0, atol=1e-9)
    for name, memory in objective.memory.items():
        for key, value in memory.items():
            assert value != 0
            torch.testing.assert_close(value, run.objective.memory[name][key].to(value), rtol=0, atol=1e-6)


def test_the_frozen_discriminator_takes_no_gradient_in_the_generators_call() -> None:
    my_d = MyDiscriminator(Stages(norm=True), nn.Linear(8, 1))
    objective = Objective(hinge=Hinge())
    D = objective.attach(my_d)
    fake = torch.randn(4, 1, 8, 8, requires_grad=True)
    statistics = my_d.layer2[1].running_mean.clone()
    objective.generator(D, torch.randn(4, 1, 8, 8), fake, step=0).loss.backward()
    assert fake.grad is not None and fake.grad.abs().sum() > 0
    assert all(p.grad is None and p.requires_grad for p in my_d.parameters())
    assert torch.equal(statistics, my_d.layer2[1].running_mean)


def test_heads_and_labels_of_a_users_module() -> None:
    class TwoHeads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.score, self.classes = nn.Flatten(), nn.Linear(64, 1), nn.Linear(64, 3)

        def forward(self, x: Tensor) -> Tensor:
            h = self.body(x)
            self.classes(h)
            return self.score(h)

    torch.manual_seed(0)
    module, labels = TwoHeads(), torch.tensor([0, 2, 1, 2])
    objective = Objective(hinge=Hinge(), auxiliary_classifier=sparring.AuxiliaryClassifier())
    D = objective.attach(module, heads={"class_logits": "classes"}, num_classes=3)
    real, fake = torch.randn(4, 1, 8, 8), torch.randn(4, 1, 8, 8)
    d = objective.discriminator(D, real, fake, step=0, labels=labels, fake_labels=labels)
    logits = module.classes(real.flatten(1))
    expected = nn.functional.cross_entropy(logits, labels)
    torch.testing.assert_close(d.logs["auxiliary_classifier"], expected.detach())


@pytest.mark.parametrize("own", [True, False])
def test_losses_are_float32_under_the_users_autocast(own: bool) -> None:
    torch.manual_seed(0)
    objective = Objective(hinge=Hinge(), sdp=SDP(t=0), feature_matching=sparring.FeatureMatching())
    stages = Stages().float()
    mine = MyDiscriminator(stages, nn.Linear(8, 1)) if own else Discriminator(stages, objective.heads())
    caught: dict[str, Any] = {"blocks": ["layer1"], "heads": {"features": "layer2"}} if own else {}
    D = objective.attach(mine.float(), **caught)
    real, fake = torch.randn(8, 1, 8, 8), torch.randn(8, 1, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        updates = [f(D, real, fake, step=0) for f in (objective.discriminator, objective.generator)]
    for update in updates:
        values = {"loss": update.loss.detach(), **update.logs}
        values.pop("sdp/k")
        for name, value in values.items():
            assert value.dtype == torch.float32, name
            assert own or value != value.bfloat16().float(), name  # a user's own head has rounded by itself


def test_mistakes_say_what_to_do() -> None:
    module = MyDiscriminator(Stages(), nn.Linear(8, 1))
    with pytest.raises(SparringError, match="no submodule 'layer_1': did you mean 'layer1'"):
        Objective(hinge=Hinge()).attach(module, blocks=["layer_1"])
    real = fake = torch.randn(4, 1, 8, 8)
    objective = Objective(hinge=Hinge(), sdp=SDP(t=0))
    with pytest.raises(SparringError, match="blocks=\\["):
        objective.discriminator(objective.attach(module), real, fake, step=0)
    objective = Objective(hinge=Hinge(), mh=sparring.MultiHinge())
    with pytest.raises(SparringError, match="heads="):
        objective.discriminator(objective.attach(module), real, fake, step=0, labels=torch.zeros(4, dtype=torch.int64))
    objective = Objective(hinge=Hinge(), feature_matching=sparring.FeatureMatching())
    with pytest.raises(SparringError, match=r"heads=\{'features'"):
        objective.generator(objective.attach(module), real, fake, step=0)
    D = objective.attach(module, heads={"features": "layer2"})
    objective.generator(D, real, fake, step=0)
    wrong = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    with pytest.raises(SparringError, match="one number per image"):
        objective = Objective(hinge=Hinge())
        objective.discriminator(objective.attach(wrong), real, fake, step=0)
    with pytest.raises(SparringError, match="exactly one adversarial loss"):
        Objective(hinge=Hinge(), wasserstein=Wasserstein())
    with pytest.raises(SparringError, match="exactly one adversarial loss"):
        Objective(r1=R1())


def test_the_librarys_own_discriminator_with_spectral_norm_in_a_users_loop() -> None:
    """The trainer's networks, lent to a foreign loop: the same bits of D as the trainer's own update."""
    changes = {"discriminator__network__spectral_norm": "exact", "generator__network__normalisation": "none"}
    terms = {"wasserstein": {}, "gradient_penalty": {}}
    ours, lent = a_run(terms, **changes), a_run(terms, **changes)
    objective = Objective(wasserstein=Wasserstein(), gradient_penalty=GradientPenalty())
    D = objective.attach(lent.discriminator)
    opt_d = torch.optim.Adam(D.parameters(), LR, BETAS)
    opt_g = torch.optim.Adam(lent.generator.parameters(), LR, BETAS)
    for i in range(3):
        train_step(ours)
        (b,) = lent.feed.shares("discriminator", i, ("real",), {})
        opt_d.zero_grad()
        d = objective.discriminator(D, b.sides["real"][0], lent.generator(b.latents, None), step=i)
        d.loss.backward()
        opt_d.step()
        (b,) = lent.feed.shares("generator", i, (), {})
        opt_g.zero_grad()
        objective.generator(D, b.latents, lent.generator(b.latents, None), step=i).loss.backward()
        opt_g.step()
    x = torch.randn(5, 1, 8, 8, dtype=torch.float64)
    ours.discriminator.eval(), lent.discriminator.eval()
    torch.testing.assert_close(ours.discriminator(x), lent.discriminator(x), rtol=0, atol=1e-10)


def test_an_error_in_an_augmentation_names_it() -> None:
    class Broken:
        def __call__(self, images: Tensor, draw: Any) -> Tensor:
            raise RuntimeError("no such policy")

    D = (objective := Objective(hinge=Hinge())).attach(nn.Sequential(nn.Flatten(), nn.Linear(4, 1)))
    images = torch.zeros(3, 1, 2, 2)
    with pytest.raises(SparringError, match=r"^augment \S+:\S*Broken failed: no such policy$"):
        objective.discriminator(D, images, images, step=0, augment=Broken())
