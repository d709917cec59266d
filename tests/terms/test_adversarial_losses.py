"""Each adversarial loss against its formula in plain floats: values, gradients, numbers by hand, extremes."""

from math import exp, log

import pytest
import torch

from sparring.errors import SparringError
from sparring.terms.hinge import Hinge
from sparring.terms.least_squares import LeastSquares
from sparring.terms.minimax import Minimax
from sparring.terms.non_saturating import NonSaturating
from sparring.terms.relativistic_pairing import RelativisticPairing
from sparring.terms.wasserstein import Wasserstein
from sparring.testing import round_of

REAL, FAKE = [2.0, -0.5, 0.3, 1.7], [-1.5, 0.25, 3.0, -0.75, 0.6]


def sigmoid(d):
    return 1 / (1 + exp(-d))


def constant(value):
    return lambda d: value


# The loss of one sample and its derivative: on a real, on a fake, and for the generator.
FORMULAS = {
    NonSaturating(): (
        (lambda d: -log(sigmoid(d)), lambda d: sigmoid(d) - 1),
        (lambda d: -log(1 - sigmoid(d)), sigmoid),
        (lambda d: -log(sigmoid(d)), lambda d: sigmoid(d) - 1),
    ),
    Minimax(): (
        (lambda d: -log(sigmoid(d)), lambda d: sigmoid(d) - 1),
        (lambda d: -log(1 - sigmoid(d)), sigmoid),
        (lambda d: log(1 - sigmoid(d)), lambda d: -sigmoid(d)),
    ),
    LeastSquares(): (
        (lambda d: (d - 1) ** 2 / 2, lambda d: d - 1),
        (lambda d: d**2 / 2, lambda d: d),
        (lambda d: (d - 1) ** 2 / 2, lambda d: d - 1),
    ),
    LeastSquares(a=-1, b=2, c=0.5): (
        (lambda d: (d - 2) ** 2 / 2, lambda d: d - 2),
        (lambda d: (d + 1) ** 2 / 2, lambda d: d + 1),
        (lambda d: (d - 0.5) ** 2 / 2, lambda d: d - 0.5),
    ),
    Wasserstein(): ((lambda d: -d, constant(-1)), (lambda d: d, constant(1)), (lambda d: -d, constant(-1))),
    Hinge(): (
        (lambda d: max(0, 1 - d), lambda d: -1 if d < 1 else 0),
        (lambda d: max(0, 1 + d), lambda d: 1 if d > -1 else 0),
        (lambda d: -d, constant(-1)),
    ),
}
SEPARABLE = pytest.mark.parametrize("loss", FORMULAS, ids=repr)


def leaf(values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def close(tensor, numbers):
    torch.testing.assert_close(tensor, torch.tensor(numbers, dtype=torch.float64), rtol=1e-8, atol=1e-12)


@SEPARABLE
def test_discriminator_loss_and_gradient_equal_the_formula(loss):
    (on_real, slope_real), (on_fake, slope_fake), _ = FORMULAS[loss]
    real, fake = leaf(REAL), leaf(FAKE)
    value = loss.discriminator_loss(round_of(real={"score": real}, fake={"score": fake}))
    value.backward()
    expected = sum(on_real(d) for d in REAL) / len(REAL) + sum(on_fake(d) for d in FAKE) / len(FAKE)
    close(value.detach(), expected)
    close(real.grad, [slope_real(d) / len(REAL) for d in REAL])
    close(fake.grad, [slope_fake(d) / len(FAKE) for d in FAKE])


@SEPARABLE
def test_each_sample_has_its_own_loss(loss):
    (on_real, _), (on_fake, _), _ = FORMULAS[loss]
    r = round_of(real={"score": leaf(REAL)}, fake={"score": leaf(FAKE)})
    close(loss.on_real(r.real).detach(), [on_real(d) for d in REAL])
    close(loss.on_fake(r.fake).detach(), [on_fake(d) for d in FAKE])
    close(loss.realness(r.real).detach(), REAL)


@SEPARABLE
def test_generator_loss_and_gradient_equal_the_formula(loss):
    value_of, slope_of = FORMULAS[loss][2]
    fake = leaf(FAKE)
    value = loss.generator_loss(round_of(fake={"score": fake}, player="generator"))
    value.backward()
    close(value.detach(), sum(value_of(d) for d in FAKE) / len(FAKE))
    close(fake.grad, [slope_of(d) / len(FAKE) for d in FAKE])


@SEPARABLE
def test_the_generators_update_asks_for_nothing_but_fakes(loss):
    assert loss.needs("discriminator", 0) == {"real", "fake"}
    assert loss.needs("generator", 0) == {"fake"}
    assert loss.is_sum_of_sides


def test_relativistic_pairing_equals_the_formula():
    real, fake = leaf(REAL), leaf(FAKE[:4])
    gaps = [x - g for x, g in zip(REAL, FAKE[:4], strict=True)]
    value = RelativisticPairing().discriminator_loss(round_of(real={"score": real}, fake={"score": fake}))
    value.backward()
    close(value.detach(), sum(log(1 + exp(-gap)) for gap in gaps) / 4)
    close(real.grad, [(sigmoid(gap) - 1) / 4 for gap in gaps])
    close(fake.grad, [(1 - sigmoid(gap)) / 4 for gap in gaps])

    real, fake = leaf(REAL), leaf(FAKE[:4])
    r = round_of(real={"score": real}, fake={"score": fake}, player="generator")
    value = RelativisticPairing().generator_loss(r)
    value.backward()
    close(value.detach(), sum(log(1 + exp(gap)) for gap in gaps) / 4)
    close(fake.grad, [-sigmoid(gap) / 4 for gap in gaps])
    close(real.grad, [sigmoid(gap) / 4 for gap in gaps])
    close(RelativisticPairing().realness(r.real).detach(), REAL)


def test_relativistic_pairing_needs_the_reals_in_both_updates():
    assert RelativisticPairing().needs("generator", 0) == {"real", "fake"}
    assert RelativisticPairing().needs("discriminator", 0) == {"real", "fake"}
    assert not RelativisticPairing().is_sum_of_sides
    assert not RelativisticPairing().separable


def test_relativistic_pairing_has_no_loss_for_one_sample_alone():
    r = round_of(real={"score": leaf(REAL)}, fake={"score": leaf(FAKE)})
    with pytest.raises(SparringError, match="pairs reals with fakes"):
        RelativisticPairing().on_real(r.real)
    with pytest.raises(SparringError, match="pairs reals with fakes"):
        RelativisticPairing().on_fake(r.fake)


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_relativistic_pairing_refuses_batches_of_two_sizes(player):
    r = round_of(real={"score": leaf(REAL)}, fake={"score": leaf(FAKE)}, player=player)
    with pytest.raises(SparringError, match=r"batches of (4 and 5|5 and 4)"):
        getattr(RelativisticPairing(), f"{player}_loss")(r)


@pytest.mark.parametrize(
    ("loss", "discriminator", "generator"),
    [  # one real of score 0.5, one fake of score -3; log(1 + e^-0.5) = 0.474077, log(1 + e^-3) = 0.048587
        (NonSaturating(), 0.474077 + 0.048587, 3.048587),
        (Minimax(), 0.474077 + 0.048587, -0.048587),
        (LeastSquares(), 0.125 + 4.5, 8.0),
        (LeastSquares(a=-1, b=1, c=0), 0.125 + 2.0, 4.5),
        (Wasserstein(), -3.5, 3.0),
        (Hinge(), 0.5 + 0.0, 3.0),
        (RelativisticPairing(), 0.029750, 3.529750),  # log(1 + e^-3.5)
    ],
    ids=repr,
)
def test_values_by_hand(loss, discriminator, generator):
    sides = {"real": {"score": torch.tensor([0.5])}, "fake": {"score": torch.tensor([-3.0])}}
    assert loss.discriminator_loss(round_of(**sides)).item() == pytest.approx(discriminator, abs=2e-6)
    assert loss.generator_loss(round_of(**sides, player="generator")).item() == pytest.approx(generator, abs=2e-6)


@pytest.mark.parametrize("loss", [*FORMULAS, RelativisticPairing()], ids=repr)
@pytest.mark.parametrize("x", [1e4, -1e4])
@pytest.mark.parametrize("g", [1e4, -1e4])
def test_huge_logits_leave_values_and_gradients_finite(loss, x, g):
    for player in ("discriminator", "generator"):
        real, fake = torch.tensor([x, x], requires_grad=True), torch.tensor([g, g], requires_grad=True)
        value = getattr(loss, f"{player}_loss")(round_of(real={"score": real}, fake={"score": fake}, player=player))
        value.backward()
        gradients = [score.grad for score in (real, fake) if score.grad is not None]
        assert all(torch.isfinite(t).all() for t in [value, *gradients])
        if player == "discriminator" and not isinstance(loss, Wasserstein):
            assert value >= 0


@pytest.mark.parametrize("loss", [NonSaturating(), Minimax()], ids=repr)
def test_huge_wrong_logits_cost_their_distance(loss):
    real, fake = torch.tensor([-1e4]), torch.tensor([1e4])
    assert loss.discriminator_loss(round_of(real={"score": real}, fake={"score": fake})).item() == 2e4


def test_hinge_gives_no_gradient_at_and_beyond_its_margin():
    real, fake = leaf([1.0, 1.5]), leaf([-1.0, -9.0])
    Hinge().discriminator_loss(round_of(real={"score": real}, fake={"score": fake})).backward()
    close(real.grad, [0.0, 0.0])
    close(fake.grad, [0.0, 0.0])
