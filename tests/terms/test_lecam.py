"""LeCam: the penalty against its formula, and the memory over updates."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from sparring.errors import SparringError
from sparring.objective.objective import Objective
from sparring.objective.term import Build
from sparring.terms.hinge import Hinge
from sparring.terms.lecam import LeCam
from sparring.terms.nat_gan import NATGAN
from sparring.testing import round_of

REAL, FAKE = [2.0, -0.5, 0.3], [-1.5, 0.25, 3.0, -0.75]
A_R, A_F = 0.8, -0.2


def state(real=A_R, fake=A_F):
    return {"real": torch.tensor(real, dtype=torch.float64), "fake": torch.tensor(fake, dtype=torch.float64)}


def mean(values):
    values = list(values)
    return sum(values) / len(values)


@pytest.mark.parametrize("one_sided", [False, True])
def test_value_and_gradients_equal_the_formula(one_sided, equal, slopes, leaf):
    def square(gap):
        return max(0, gap) ** 2 if one_sided else gap**2

    def formula(real, fake):
        return mean(square(d - A_F) for d in real) + mean(square(A_R - d) for d in fake)

    real, fake = leaf(REAL), leaf(FAKE)
    r = round_of(real={"score": real}, fake={"score": fake}, host=Hinge(), state=state(), update=1000)
    gradients = [
        (real, slopes(lambda values: formula(values, FAKE), REAL)),
        (fake, slopes(lambda values: formula(REAL, values), FAKE)),
    ]
    equal(LeCam(one_sided=one_sided).discriminator_loss(r), formula(REAL, FAKE), gradients)
    assert r.proposed["term"]["real"].item() == pytest.approx(0.99 * A_R + 0.01 * mean(REAL))
    assert r.proposed["term"]["fake"].item() == pytest.approx(0.99 * A_F + 0.01 * mean(FAKE))


def test_before_the_start_the_averages_follow_the_batch():
    r = round_of(real={"score": torch.tensor(REAL)}, fake={"score": torch.tensor(FAKE)}, state=state(), update=999)
    assert LeCam().discriminator_loss(r) is None
    assert r.proposed["term"]["real"].item() == pytest.approx(mean(REAL))
    assert r.proposed["term"]["fake"].item() == pytest.approx(mean(FAKE))


def test_memory_over_updates_in_anyones_loop():
    module = nn.Linear(1, 1)
    with torch.no_grad():
        module.weight.fill_(1.0)
        module.bias.zero_()
    objective = Objective(host=Hinge(), lecam=LeCam(start=1, decay=0.75, weight=1))
    D = objective.attach(module)
    assert {name: value.item() for name, value in objective.memory["lecam"].items()} == {"real": 0, "fake": 0}
    losses = []
    for update, (x, z) in enumerate([(2.0, -1.0), (4.0, 1.0), (0.0, 0.0)]):
        d = objective.discriminator(D, torch.tensor([[x]]), torch.tensor([[z]]), step=update, update=update)
        losses.append(d.logs["lecam"].item() if "lecam" in d.logs else None)
    # averages after each update: (2, -1), (2.5, -0.5), (1.875, -0.375)
    assert losses == [None, (4 + 1) ** 2 + (2 - 1) ** 2, 0.5**2 + 2.5**2]
    assert {name: value.item() for name, value in objective.memory["lecam"].items()} == {"real": 1.875, "fake": -0.375}
    assert not any(value.requires_grad for value in objective.memory["lecam"].values())


def test_it_reads_the_hosts_realness():
    logits = torch.tensor([[0.0, 2.0], [1.0, 1.0]], dtype=torch.float64)
    r = round_of(
        real={"class_logits": logits}, fake={"class_logits": logits}, host=NATGAN(), state=state(0.0, 0.0), update=1000
    )
    best = logits.log_softmax(1).max(1).values
    torch.testing.assert_close(LeCam().discriminator_loss(r), 2 * best.square().mean())


def test_the_decay_is_less_than_one():
    assert LeCam(decay=0).decay == 0
    for decay in (1, -0.1):
        with pytest.raises(ValidationError, match="decay"):
            LeCam(decay=decay)


def test_huge_scores_stay_finite():
    score = torch.tensor([1e4, -1e4], requires_grad=True)
    r = round_of(real={"score": score}, fake={"score": score}, state=state(1e4, -1e4), update=1000)
    value = LeCam().discriminator_loss(r)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(score.grad).all()


def test_scaling_and_a_start_that_never_comes():
    assert LeCam().scaled(0.01).start == 10
    assert LeCam().scaled(1e-6).start == 1
    LeCam().check(Build(steps=501, d_steps=2))
    with pytest.raises(SparringError, match=r"lecam\.start is 1000"):
        LeCam().check(Build(steps=500, d_steps=2))
    assert LeCam().needs("discriminator", 0) == {"real", "fake"}
    assert LeCam().needs("generator", 0) == set()
    assert (LeCam().weight, LeCam().decay) == (0.3, 0.99)
