"""The terms' values: means between ticks, over micro-batches and ranks, and the first one that is not finite."""

import pytest
import torch

from sparring.errors import NonFiniteLossError
from sparring.terms.hinge import Hinge
from sparring.testing import round_of
from sparring.training.term_log import TermLog


def _round(value, score=1.0, player="discriminator"):
    r = round_of(
        real={"score": torch.tensor([score, 3.0])}, fake={"score": torch.tensor([-score])}, host=Hinge(), player=player
    )
    r.logs = {"hinge": torch.tensor(value)}
    return r


def test_values_are_means_over_updates_and_micro_batches():
    log = TermLog()
    log.note("discriminator", 0, [_round(1.0), _round(2.0)])
    log.note("discriminator", 1, [_round(4.0, 2.0)])
    log.note("generator", 1, [_round(-1.0, player="generator")])
    assert log.tick() == {
        "discriminator/hinge": (1.5 + 4) / 2,
        "discriminator/real_score": (2 + 2.5) / 2,
        "discriminator/fake_score": (-1 - 2) / 2,
        "generator/hinge": -1.0,
    }
    assert log.tick() == {}


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_the_first_bad_value_is_named_with_its_step(bad):
    log = TermLog()
    for step, value in enumerate([1.0, 2.0, bad, bad]):
        log.note("discriminator", step, [_round(value)])
    with pytest.raises(NonFiniteLossError, match=r"hinge became .* in the discriminator's loss at step 2"):
        log.check()


def test_it_goes_on_from_a_checkpoint_with_the_same_means():
    log, values = TermLog(), [0.1, 0.7, 1e-9, 3.3]
    for step, value in enumerate(values[:2]):
        log.note("generator", step, [_round(value, player="generator")])
    other = TermLog()
    other.load_state_dict(log.state_dict())
    for each in (log, other):
        for step, value in enumerate(values[2:], 2):
            each.note("generator", step, [_round(value, player="generator")])
    assert other.means() == log.means() == log.tick() == other.tick()


def test_values_are_averaged_over_ranks_once():
    class TwoRanks:
        calls = 0

        def average(self, values):
            TwoRanks.calls += 1
            return (values + 10) / 2  # the other rank's are all 10

    log = TermLog()
    log.note("generator", 0, [_round(2.0, player="generator")])
    log.check(TwoRanks())
    log.check(TwoRanks())
    state = log.state_dict()
    assert state["values"] == [6.0]
    assert log.means(TwoRanks()) == {"generator/hinge": 6.0} and TwoRanks.calls == 1
