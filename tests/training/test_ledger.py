"""The terms' values: means between ticks, over micro-batches and ranks, and the first one that is not finite."""

import pytest
import torch

from sparring.errors import NonFiniteLossError
from sparring.terms.hinge import Hinge
from sparring.testing import round_of
from sparring.training.ledger import Ledger


def _round(value, score=1.0, player="discriminator"):
    r = round_of(
        real={"score": torch.tensor([score, 3.0])}, fake={"score": torch.tensor([-score])}, host=Hinge(), player=player
    )
    r.logs = {"hinge": torch.tensor(value)}
    return r


def test_values_are_means_over_updates_and_micro_batches():
    ledger = Ledger()
    ledger.note("discriminator", 0, [_round(1.0), _round(2.0)])
    ledger.note("discriminator", 1, [_round(4.0, 2.0)])
    ledger.note("generator", 1, [_round(-1.0, player="generator")])
    assert ledger.tick() == {
        "discriminator/hinge": (1.5 + 4) / 2,
        "discriminator/real_score": (2 + 2.5) / 2,
        "discriminator/fake_score": (-1 - 2) / 2,
        "generator/hinge": -1.0,
    }
    assert ledger.tick() == {}


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_the_first_bad_value_is_named_with_its_step(bad):
    ledger = Ledger()
    for step, value in enumerate([1.0, 2.0, bad, bad]):
        ledger.note("discriminator", step, [_round(value)])
    with pytest.raises(NonFiniteLossError, match=r"hinge became .* in the discriminator's loss at step 2"):
        ledger.check()


def test_it_goes_on_from_a_checkpoint_with_the_same_means():
    ledger, values = Ledger(), [0.1, 0.7, 1e-9, 3.3]
    for step, value in enumerate(values[:2]):
        ledger.note("generator", step, [_round(value, player="generator")])
    other = Ledger()
    other.load_state_dict(ledger.state_dict())
    for each in (ledger, other):
        for step, value in enumerate(values[2:], 2):
            each.note("generator", step, [_round(value, player="generator")])
    assert other.means() == ledger.means() == ledger.tick() == other.tick()


def test_values_are_averaged_over_ranks_once():
    class TwoRanks:
        calls = 0

        def average(self, values):
            TwoRanks.calls += 1
            return (values + 10) / 2  # the other rank's are all 10

    ledger = Ledger()
    ledger.note("generator", 0, [_round(2.0, player="generator")])
    ledger.check(TwoRanks())
    ledger.check(TwoRanks())
    state = ledger.state_dict()
    assert state["values"] == [6.0]
    assert ledger.means(TwoRanks()) == {"generator/hinge": 6.0} and TwoRanks.calls == 1
