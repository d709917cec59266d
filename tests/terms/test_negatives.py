"""Negatives on the fake side: Eq. 9's joint mean for every host, however the batch is split."""

from math import log

import pytest
import torch
from pydantic import ValidationError

from sparring.errors import SparringError
from sparring.objective.context import StepContext
from sparring.objective.objective import Objective
from sparring.objective.term import Build
from sparring.terms.am_gan import AMGAN
from sparring.terms.cat_gan import CatGAN, entropy, marginal_entropy
from sparring.terms.hinge import Hinge
from sparring.terms.nat_gan import NATGAN
from sparring.terms.negatives import Negatives
from sparring.terms.non_saturating import NonSaturating
from sparring.terms.relativistic_pairing import RelativisticPairing
from sparring.testing import round_of

C = 3
HOSTS = [NATGAN(), CatGAN(), AMGAN(), NonSaturating(), Hinge()]


def draw(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, requires_grad=True)


def sides_for(host, n_fake, n_negative):
    """Leaves for real, fake and negative judgements of a host, and the sides made of them."""
    head, width = ("class_logits", (C + getattr(host, "extra", 0),)) if host.categorical else ("score", ())
    leaves = [draw(n, *width, seed=seed) for seed, n in enumerate((4, n_fake, n_negative))]
    sides = {name: {head: leaf} for name, leaf in zip(("real", "fake", "negative"), leaves, strict=True)}
    sides["real"]["labels"] = torch.tensor([2, 2, 0, 1])
    return leaves, sides


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: type(host).__name__)
@pytest.mark.parametrize("n_negative", [1, 3, 7])
def test_with_weight_one_every_fake_and_negative_weighs_the_same(host, n_negative):
    leaves, sides = sides_for(host, 5, n_negative)
    r = round_of(**sides, host=host)
    total = host.discriminator_loss(r) + Negatives(per_batch=n_negative).discriminator_loss(r)
    losses = [host.on_fake(r.fake)[i] for i in range(5)] + [host.on_fake(r.negative)[i] for i in range(n_negative)]
    joint = sum(losses) / (5 + n_negative)
    expected = host.on_real(r.real).mean() + joint
    if isinstance(host, CatGAN):
        expected = expected - marginal_entropy(r.real.class_logits)
    torch.testing.assert_close(total, expected, rtol=1e-12, atol=1e-12)
    for got, want in zip(torch.autograd.grad(total, leaves), torch.autograd.grad(expected, leaves), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)


def test_cat_gan_with_negatives_maximises_their_entropy():
    (_, fake, negative), sides = sides_for(CatGAN(), 2, 2)
    r = round_of(**sides, host=CatGAN())
    value = Negatives().discriminator_loss(r)
    torch.testing.assert_close(value, (entropy(fake).mean() - entropy(negative).mean()) / 2)


def test_by_hand():
    # hinge: on_fake(1) = 2 for 3 fakes, on_fake(-0.5) = 0.5 for 1 negative: 1/4 (0.5 - 2)
    sides = {"fake": {"score": torch.ones(3)}, "negative": {"score": torch.tensor([-0.5])}}
    assert Negatives().discriminator_loss(round_of(**sides, host=Hinge())).item() == pytest.approx(-0.375)
    # one sure negative of two classes: KL(u||p) at p = (3/4, 1/4), a fake at the uniform answer costs 0
    logits = {
        "fake": {"class_logits": torch.zeros(1, 2)},
        "negative": {"class_logits": torch.tensor([[log(3.0), 0.0]])},
    }
    assert Negatives().discriminator_loss(round_of(**logits, host=NATGAN())).item() == pytest.approx(
        0.0719205, abs=1e-6
    )


def test_no_negatives_in_a_batch_add_nothing():
    fake = torch.ones(3, requires_grad=True)
    sides = {"fake": {"score": fake}, "negative": {"score": torch.zeros(0)}}
    value = Negatives().discriminator_loss(round_of(**sides, host=Hinge()))
    value.backward()
    assert value.item() == 0
    assert fake.grad.tolist() == [0, 0, 0]


def test_no_fakes_in_a_batch_stay_finite():
    sides = {"fake": {"score": torch.zeros(0)}, "negative": {"score": torch.tensor([1.0, 0.0])}}
    assert Negatives(weight=1).discriminator_loss(round_of(**sides, host=Hinge())).item() == 1.5
    sides["negative"] = {"score": torch.tensor([1.0])}
    assert Negatives(weight=1).discriminator_loss(round_of(**sides, host=Hinge())).item() == 2


@pytest.mark.parametrize("n_negative", [1, 2, 3, 5])
def test_shares_of_an_uneven_split_average_to_the_whole(n_negative):
    """Two micro-batches: fakes split 3 + 3, negatives as even as can be, one share possibly without any."""
    fake, negative = draw(6, seed=0), draw(n_negative, seed=1)
    whole = Negatives().discriminator_loss(
        round_of(fake={"score": fake}, negative={"score": negative}, host=NonSaturating())
    )
    cut = (n_negative + 1) // 2
    shares = []
    for part, rows in enumerate([slice(0, cut), slice(cut, None)]):
        r = round_of(
            fake={"score": fake[3 * part : 3 * part + 3], "total": 6},
            negative={"score": negative[rows], "total": n_negative},
            host=NonSaturating(),
        )
        r.context = StepContext("discriminator", 0, 0, part=part, parts=2)
        shares.append(Negatives().discriminator_loss(r))
    mean = sum(shares) / 2
    torch.testing.assert_close(mean, whole, rtol=1e-12, atol=1e-12)
    for got, want in zip(
        torch.autograd.grad(mean, [fake, negative]), torch.autograd.grad(whole, [fake, negative]), strict=True
    ):
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)


def test_join_every_and_rows():
    term = Negatives(per_batch=10, join_every=3)
    assert term.rows() == {"negative": 10}
    assert [bool(term.needs("discriminator", update)) for update in range(5)] == [True, False, False, True, False]
    assert term.needs("discriminator", 0) == {"fake", "negative"}
    assert term.needs("generator", 0) == set()
    assert Negatives().rows() == {"negative": 3}
    assert Negatives(per_batch=1, join_every=1).needs("discriminator", 7)
    for field in ("per_batch", "join_every"):
        with pytest.raises(ValidationError, match=field):
            Negatives(**{field: 0})


def test_in_a_loop_negatives_join_only_their_updates_and_leave_the_generator_alone():
    module = torch.nn.Linear(2, 1)
    objective = Objective(host=NonSaturating(), negatives=Negatives(join_every=2, weight=0.5))
    alone = Objective(host=NonSaturating())
    real, fake, negative = torch.randn(4, 2), torch.randn(4, 2), torch.randn(3, 2)
    D = objective.attach(module)

    def loss(which, update):
        return which.discriminator(D, real, fake, step=0, update=update, negative=negative).loss

    scores = {name: {"score": module(x)[:, 0]} for name, x in (("real", real), ("fake", fake), ("negative", negative))}
    r = round_of(**scores, host=NonSaturating())
    softplus = torch.nn.functional.softplus
    share = 0.5 * 3 / 7 * (softplus(r.negative.score).mean() - softplus(r.fake.score).mean())
    torch.testing.assert_close(loss(objective, 0), loss(alone, 0) + share)
    assert torch.equal(loss(objective, 1), loss(alone, 1))
    assert not torch.allclose(loss(objective, 2), loss(alone, 2))
    generators = [which.generator(D, real, fake, step=0).loss for which in (objective, alone)]
    assert torch.equal(*generators)


def test_a_weight_that_would_turn_the_fakes_around_is_refused():
    sides = {"fake": {"score": torch.zeros(6)}, "negative": {"score": torch.zeros(2)}}
    Negatives(weight=4).discriminator_loss(round_of(**sides, host=Hinge()))
    with pytest.raises(SparringError, match="at most 4"):
        Negatives(weight=4.1).discriminator_loss(round_of(**sides, host=Hinge()))


def test_negatives_say_what_they_do_not_fit():
    sides = frozenset({"real", "fake", "negative"})
    Negatives().check(Build(steps=10, sides=sides, objective=Objective(h=Hinge(), n=Negatives())))
    with pytest.raises(SparringError, match=r"negatives\.source"):
        Negatives().check(Build(steps=10))
    with pytest.raises(SparringError, match="pairs reals with fakes"):
        Negatives().check(Build(steps=10, sides=sides, objective=Objective(h=RelativisticPairing(), n=Negatives())))


def test_a_round_without_negatives_names_the_cure():
    objective = Objective(host=Hinge(), negatives=Negatives())
    with pytest.raises(SparringError, match=r"negatives\.source"):
        objective.discriminator(objective.attach(torch.nn.Linear(2, 1)), torch.zeros(2, 2), torch.zeros(2, 2), step=0)


def test_fakes_and_negatives_share_a_pass_where_d_has_batch_norm():
    class Counting(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.rows = torch.nn.BatchNorm1d(2), []

        def forward(self, images):
            self.rows.append(len(images))
            return self.norm(images).sum(1)

    module = Counting()
    objective = Objective(host=Hinge(), negatives=Negatives())
    images = torch.randn(4, 2)
    objective.discriminator(objective.attach(module), images, images, step=0, negative=images[:3])
    assert module.rows == [4, 7]
