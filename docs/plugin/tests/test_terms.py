import pytest
import torch
from sparring_example.terms import ScoreDrift

from sparring import Hinge
from sparring.testing import round_of


def test_a_value_and_a_gradient_worked_out_by_hand():
    score = torch.tensor([3.0, -1.0], requires_grad=True)
    value = ScoreDrift().discriminator_loss(round_of(real={"score": score}, host=Hinge()))
    value.backward()
    assert value.item() == pytest.approx((9 + 1) / 2)
    assert score.grad.tolist() == [3.0, -1.0]
