"""SDP against Algorithm 1 in loops: which pairs, their number over time, the value, and who gets gradients."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from sparring.errors import SparringError
from sparring.objective.objective import Objective
from sparring.objective.term import Build
from sparring.terms.am_gan import AMGAN
from sparring.terms.features import pooled_unit_features
from sparring.terms.hinge import Hinge
from sparring.terms.nat_gan import NATGAN
from sparring.terms.sdp import SDP, nearest_real
from sparring.testing import round_of

OPTIONS = [{}, {"aggregate": "average"}, {"squared_norm": True}, {"aggregate": "average", "squared_norm": True}]


def draw(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def side(rows, seed):
    """Leaves for images, score and two blocks, and the side that holds them."""
    images = draw(rows, 2, 3, 3, seed=seed)
    leaves = [draw(rows, seed=seed + 1), draw(rows, 3, 2, 2, seed=seed + 2), draw(rows, 4, seed=seed + 3)]
    for leaf in leaves:
        leaf.requires_grad_()
    return leaves, {"images": images, "score": leaves[0], "blocks": leaves[1:]}


def longhand(fake, real, k, aggregate="max", squared_norm=False, constant_real=False):
    """1/k L_SDP by Algorithm 1, sample by sample."""

    def seen(block):
        if block.ndim == 1:
            pooled = list(block)
        elif aggregate == "max":
            pooled = [max(channel.flatten(), key=lambda v: v.item()) for channel in block]
        else:
            pooled = [sum(channel.flatten()) / channel.numel() for channel in block]
        squares = sum(v * v for v in pooled)
        return [v / (squares if squared_norm else squares.sqrt()) for v in pooled]

    def const(value):
        return value.detach() if constant_real else value

    ranked = sorted(range(len(fake["score"])), key=lambda i: -fake["score"][i].item())
    total = 0
    for i in ranked[: min(k, len(ranked))]:
        distances = [((fake["images"][i] - x) ** 2).sum().item() for x in real["images"]]
        j = distances.index(min(distances))
        total = total + (fake["score"][i] - const(real["score"][j])) ** 2
        for f_block, r_block in zip(fake["blocks"], real["blocks"], strict=True):
            for a, b in zip(seen(f_block[i]), seen(r_block[j]), strict=True):
                total = total + (a - const(b)) ** 2
    return total / min(k, len(ranked))


@pytest.mark.parametrize("k", [1, 3, 5, 9])  # 9: more than the batch
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_value_and_gradients_equal_algorithm_1(k, options, player):
    fake_leaves, fake = side(5, seed=0)
    real_leaves, real = side(4, seed=10)
    value = getattr(SDP(k=k, t=0, **options), f"{player}_loss")(
        round_of(real=real, fake=fake, host=Hinge(), player=player)
    )
    expected = longhand(fake, real, k, **options, constant_real=player == "generator")
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
    leaves = fake_leaves + real_leaves
    got, want = (torch.autograd.grad(v, leaves, allow_unused=True) for v in (value, expected))
    for g, w in zip(got, want, strict=True):
        assert (g is None) == (w is None)
        if w is not None:
            torch.testing.assert_close(g, w, rtol=1e-9, atol=1e-12)
    reached = [g is not None for g in got]
    assert reached == [True] * 3 + [player == "discriminator"] * 3


def test_by_hand():
    # top fake: score 2 at pixel 0; its nearest real is at pixel 1, score 0.5. Features (3, 4) and (1, 0):
    # normalised (0.6, 0.8) and (1, 0), 0.16 + 0.64; as printed (0.12, 0.16) and (1, 0), 0.7744 + 0.0256
    fake = {"images": torch.tensor([[9.0], [0.0]]), "score": torch.tensor([1.0, 2.0])}
    real = {"images": torch.tensor([[-4.0], [1.0]]), "score": torch.tensor([7.0, 0.5])}
    fake["blocks"] = [torch.tensor([[[[5.0]], [[5.0]]], [[[3.0]], [[4.0]]]])]
    real["blocks"] = [torch.tensor([[[[5.0]], [[5.0]]], [[[1.0]], [[0.0]]]])]
    r = round_of(real=real, fake=fake, host=Hinge())
    assert SDP(t=0, k=1).discriminator_loss(r).item() == pytest.approx(2.25 + 0.8)
    assert r.logs["term/score_gap"].item() == pytest.approx(2.25)
    assert r.logs["term/feature_gap"].item() == pytest.approx(0.8)
    assert r.logs["term/k"].item() == 1
    r = round_of(real=real, fake=fake, host=Hinge())
    assert SDP(t=0, k=1, squared_norm=True).discriminator_loss(r).item() == pytest.approx(2.25 + 0.8)


def test_identical_pairs_cost_nothing():
    _, real = side(4, seed=0)
    order = [2, 0, 3, 1]
    fake = {"images": real["images"][order], "score": real["score"][order]}
    fake["blocks"] = [block[order] for block in real["blocks"]]
    assert SDP(t=0, k=4).discriminator_loss(round_of(real=real, fake=fake, host=Hinge())).item() == 0


def test_partners_repeat_and_ties_take_the_first():
    reals = torch.tensor([[0.0, 0.0], [5.0, 5.0], [0.0, 0.0]])
    assert nearest_real(torch.tensor([[0.1, 0.0], [0.2, 0.0], [4.0, 9.0]]), reals).tolist() == [0, 0, 1]
    # a real at distance 3 beside one at 2 + 2 in two pixels: Euclidean, not city-block
    assert nearest_real(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 0.0], [2.0, 2.0]])).tolist() == [1]


def test_equal_scores_still_give_k_pairs():
    fake = {"images": torch.zeros(4, 1), "score": torch.ones(4), "blocks": [torch.ones(4, 2)]}
    real = {"images": torch.zeros(4, 1), "score": torch.zeros(4), "blocks": [torch.ones(4, 2)]}
    assert SDP(t=0, k=3).discriminator_loss(round_of(real=real, fake=fake, host=Hinge())).item() == 1


def test_k_grows_every_I_p_steps_from_the_start_of_training():
    term = SDP()
    assert [term.k_at(step) for step in (0, 3000, 4999, 5000, 9999, 10_000, 99_999, 100_000)] == [
        5, 5, 5, 6, 6, 7, 24, 25,
    ]  # fmt: skip
    assert (term.weight, term.t, term.k, term.I_p) == (0.01, 3000, 5, 5000)


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_the_number_of_pairs_follows_the_step(player):
    _, fake = side(5, seed=0)
    _, real = side(4, seed=10)
    term = SDP(t=4, k=1, I_p=3)
    for step, k in ((4, 2), (5, 2), (6, 3), (11, 4), (12, 5), (30, 5)):
        r = round_of(real=real, fake=fake, host=Hinge(), player=player, step=step)
        value = getattr(term, f"{player}_loss")(r)
        torch.testing.assert_close(value.detach(), longhand(fake, real, k).detach())
        assert r.logs["term/k"].item() == k


def test_before_t_it_does_not_act():
    _, fake = side(5, seed=0)
    _, real = side(4, seed=10)
    term = SDP(t=3)
    assert term.discriminator_loss(round_of(real=real, fake=fake, host=Hinge(), step=2)) is None
    assert term.generator_loss(round_of(real=real, fake=fake, host=Hinge(), player="generator", step=2)) is None
    assert term.discriminator_loss(round_of(real=real, fake=fake, host=Hinge(), step=3)) is not None
    assert term.needs("generator", 2) == set()
    assert term.needs("generator", 3) == {"real.images", "fake", "blocks"}
    assert term.needs("discriminator", 0) == {"real", "fake", "blocks"}


def test_blocks_may_have_any_number_of_dimensions():
    block = draw(2, 3, 4, seed=0)  # [B, C, L]
    torch.testing.assert_close(pooled_unit_features(block), pooled_unit_features(block[..., None]))
    largest = block.max(2).values
    torch.testing.assert_close(pooled_unit_features(block, "max", False), pooled_unit_features(largest, "max", False))
    torch.testing.assert_close(pooled_unit_features(block), largest / largest.square().sum(1, keepdim=True).sqrt())


def test_normalised_features_are_bounded_and_zeros_stay_zero():
    block = draw(20, 6, 3, 3, seed=3)
    seen = pooled_unit_features(block, "max", False)
    torch.testing.assert_close(seen.square().sum(1), torch.ones(20, dtype=torch.float64))
    assert (seen[:10] - seen[10:]).square().sum(1).max() <= 4
    positive = pooled_unit_features(block.relu() + 1e-6, "max", False)
    assert (positive[:10] - positive[10:]).square().sum(1).max() <= 2
    dead = torch.zeros(2, 3, 2, 2, requires_grad=True)
    for squared_norm in (False, True):
        found = pooled_unit_features(dead, "max", squared_norm)
        found.sum().backward()
        assert found.abs().sum() == 0
        assert torch.isfinite(dead.grad).all()


@pytest.mark.parametrize("host", [NATGAN(), AMGAN()], ids=["nat_gan", "am_gan"])
def test_hosts_on_class_logits_rank_and_compare_by_their_realness(host):
    width = 3 + host.extra
    fake = {"images": draw(4, 2, seed=0), "class_logits": draw(4, width, seed=1), "blocks": [torch.ones(4, 1)]}
    real = {"images": draw(4, 2, seed=2), "class_logits": draw(4, width, seed=3), "blocks": [torch.ones(4, 1)]}
    value = SDP(t=0, k=2).discriminator_loss(round_of(real=real, fake=fake, host=host))
    for content in (real, fake):
        content["score"] = torch.tensor(
            [max(row[:3] - row.exp().sum().log()) for row in content["class_logits"]], dtype=torch.float64
        )
        content["blocks"] = [torch.ones(4, 1, dtype=torch.float64)]
    torch.testing.assert_close(value, longhand(fake, real, 2))


class Blocks(nn.Module):
    """A discriminator with one block and a linear score; it counts what it judges."""

    def __init__(self, norm=False):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1, dtype=torch.float64)
        self.norm = nn.BatchNorm2d(3, dtype=torch.float64) if norm else nn.Identity()
        self.stage, self.head = nn.Tanh(), nn.Linear(3, 1, dtype=torch.float64)
        self.rows = []

    def forward(self, images):
        self.rows.append(len(images))
        return self.head(self.stage(self.norm(self.conv(images))).mean((2, 3)))


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "batch_norm"])
def test_in_a_loop_both_players_add_the_weighted_penalty(norm):
    module = Blocks(norm)
    objective = Objective(host=Hinge(), sdp=SDP(t=5, k=2, weight=0.3))
    D = objective.attach(module, blocks=["stage"])
    real, fake = draw(6, 1, 4, 4, seed=0), draw(6, 1, 4, 4, seed=1).requires_grad_()

    def judged(images):
        block = module.stage(module.norm(module.conv(images)))
        return {"images": images, "score": module.head(block.mean((2, 3)))[:, 0], "blocks": [block]}

    sides = {"real": judged(real), "fake": judged(fake.detach())}
    d = objective.discriminator(D, real, fake, step=5)
    expected = Hinge().discriminator_loss(round_of(**sides)) + 0.3 * longhand(sides["fake"], sides["real"], 2)
    torch.testing.assert_close(d.loss, expected, rtol=1e-10, atol=1e-12)
    parameters = list(module.parameters())
    for got, want in zip(
        torch.autograd.grad(d.loss, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(got, want, rtol=1e-8, atol=1e-12)
    assert objective.discriminator(D, real, fake, step=4).logs.keys() == {"host"}

    sides = {"real": judged(real), "fake": judged(fake)}
    module.rows.clear()
    g = objective.generator(D, real, fake, step=5)
    assert module.rows == ([6, 6] if norm else [6, 2])  # without batch norm only the k reals of the pairs
    expected = -sides["fake"]["score"].mean() + 0.3 * longhand(sides["fake"], sides["real"], 2)
    torch.testing.assert_close(g.loss, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(*(torch.autograd.grad(loss, fake)[0] for loss in (g.loss, expected)))
    assert all(parameter.grad is None for parameter in parameters)
    module.rows.clear()
    objective.generator(D, real, fake, step=4)
    assert module.rows == [6]


def test_scaled_runs_scale_t_and_I_p():
    scaled = SDP().scaled(0.01)
    assert (scaled.t, scaled.I_p, scaled.k, scaled.weight) == (30, 50, 5, 0.01)
    assert SDP().scaled(1e-6).I_p == 1


def test_counts_have_a_least_value():
    assert SDP(t=0, k=1, I_p=1).k_at(4) == 5
    for field, value in (("t", -1), ("k", 0), ("I_p", 0)):
        with pytest.raises(ValidationError, match=field):
            SDP(**{field: value})


def test_a_run_too_short_or_without_blocks_is_refused():
    SDP().check(Build(steps=3001))
    with pytest.raises(SparringError, match=r"sdp\.t is 3000 steps and the run has 3000"):
        SDP().check(Build(steps=3000))
    with pytest.raises(SparringError, match="no blocks"):
        SDP().check(Build(steps=4000, has_blocks=False))
    assert SDP.couples_samples
