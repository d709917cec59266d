"""Each number of a diagnosis against a closed form: linear discriminators, known spectra, points with plain neighbours."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from sparring.data.packed import to_float, to_uint8
from sparring.metrics.discriminator_accuracy import discriminator_accuracies
from sparring.microscope.gradients import common_reach, histogram, l1_norms, maps, sparsity, structure, summary
from sparring.microscope.neighbours import copies, mean_distance, nearest
from sparring.microscope.opened import Batch
from sparring.microscope.realistic import realistic_pairs
from sparring.microscope.robustness import LEVELS, accuracy_under_attack, attack
from sparring.microscope.sections.diversity import _ratios
from sparring.microscope.sections.memorisation import CAPTION
from sparring.microscope.spectrum import describe, spectra
from sparring.microscope.subject import Subject
from sparring.networks.discriminator import Discriminator
from sparring.networks.spectral import spectral_norm
from sparring.objective.term import AdversarialLoss
from sparring.terms.hinge import Hinge
from sparring.terms.least_squares import LeastSquares
from sparring.terms.minimax import Minimax
from sparring.terms.non_saturating import NonSaturating
from sparring.terms.relativistic_pairing import RelativisticPairing
from sparring.terms.sdp import SDP
from sparring.terms.wasserstein import Wasserstein
from sparring.testing import round_of

SHAPE = (2, 3, 3)
N = math.prod(SHAPE)
W = torch.linspace(-1, 1, N)
BIAS = 0.3


class Flat(nn.Module):
    """Pixels as features, and as the only block."""

    channels = N

    def forward(self, images, labels=None):
        return images.flatten(1), [images]


def linear(host: AdversarialLoss | None = None, rows: int = 4) -> Subject:
    """D(x) = <W, x> + BIAS."""
    host = host or Hinge()
    judge = Discriminator(Flat(), {head.name: head for head in host.heads()})
    with torch.no_grad():
        judge.heads["score"].weight.copy_(W)
        judge.heads["score"].bias.fill_(BIAS)
    return Subject(judge, host, rows=rows)


def pictures(count: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def scores(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(1) @ W + BIAS


# --- gradients ---
def test_a_linear_discriminators_gradient_is_its_weight_at_every_image():
    gradients = linear().gradients(pictures(6), None)
    torch.testing.assert_close(gradients, W.view(SHAPE).expand(6, *SHAPE))
    assert l1_norms(gradients) == pytest.approx([float(W.abs().sum())] * 6)


def test_the_gradient_of_the_hosts_loss_is_each_images_own():
    x = pictures(6)
    gradients = linear(NonSaturating()).gradients(x, None, of="host")
    expected = torch.stack([-torch.sigmoid(-score) * W.view(SHAPE) for score in scores(x)])
    torch.testing.assert_close(gradients, expected)
    flat = linear(Hinge()).gradients(x, None, of="host")
    assert torch.equal(flat.flatten(1).abs().sum(1) > 0, scores(x) < 1)


def test_sparsity_is_0_for_equal_entries_and_1_for_a_lone_one():
    lone = torch.zeros(9).index_fill_(0, torch.tensor([4]), -3.0)
    two = torch.tensor([1.0, 1.0] + [0.0] * 7)
    found = sparsity(torch.stack([torch.full((9,), -2.0), lone, two, torch.zeros(9)]))
    assert found.tolist() == pytest.approx([0, 1, (3 - math.sqrt(2)) / 2, 0], abs=1e-6)
    assert summary(torch.stack([lone, two]))["l1"] == pytest.approx(2.5)
    assert summary(torch.stack([lone, two]))["l2"] == pytest.approx((3 + math.sqrt(2)) / 2)


def test_a_tiny_gradient_has_the_shape_of_a_large_one():
    gradient = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    tiny = gradient.double() * 1e-35
    assert sparsity(tiny.float()).tolist() == pytest.approx(sparsity(gradient).tolist(), rel=1e-5)
    assert summary(tiny.float())["l2"] == pytest.approx(1e-35 * summary(gradient)["l2"], rel=1e-5)
    torch.testing.assert_close(maps(tiny.float()), maps(gradient), atol=1e-5, rtol=0)


def test_a_map_clips_at_three_deviations_and_averages_the_channels():
    g = torch.zeros(1, 2, 8, 8)
    g[0, 0, 0, 0], g[0, 1, 2, 3] = 100.0, -4.0
    mean, spread = float(g.mean()), float(g.std(correction=0))
    first, second = (mean + 3 * spread) / 2, 4 / 2
    shown = maps(g)
    assert shown.shape == (1, 8, 8) and float(shown[0, 0, 0]) == 1
    assert float(shown[0, 2, 3]) == pytest.approx(second / first, rel=1e-5)


def test_structure_tells_noise_from_shapes():
    noise = torch.randn(4, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    y, x = torch.meshgrid(torch.linspace(0, 2, 48), torch.linspace(0, 2, 48), indexing="ij")
    shapes = (torch.sin(3 * x) + torch.cos(2 * y)).expand(1, 1, 48, 48)
    assert float(structure(noise).mean()) == pytest.approx(1 / 9, abs=0.02)
    assert float(structure(shapes)) > 0.95


def test_a_histogram_gives_shares_of_all_entries():
    centres, shares = histogram(torch.tensor([-9.0, -1.0, -0.9, 0.0, 0.1, 1.0, 5.0, 5.0]), bins=3, reach=1.5)
    assert centres == pytest.approx([-1, 0, 1]) and shares == pytest.approx([2 / 8, 2 / 8, 1 / 8])


def test_histograms_beside_one_another_reach_as_far_as_the_widest():
    narrow, wide = torch.tensor([-1.0, 1.0]), torch.tensor([-3.0, 3.0])
    assert common_reach([narrow, wide]) == common_reach([wide, narrow]) == pytest.approx(12)


# --- robustness ---
@pytest.mark.parametrize("kind", ["fgsm", "pgd"])
def test_an_attack_lowers_a_linear_score_by_eps_times_the_weights_l1_norm(kind):
    x, eps = pictures(5), 2 / 255
    attacked = attack(linear(), x, None, eps, kind)
    assert (scores(x) - scores(attacked)).tolist() == pytest.approx([eps * float(W.abs().sum())] * 5, rel=1e-4)
    assert float((attacked - x).abs().max()) <= eps * 1.0001


def test_pgd_follows_a_curve_that_one_step_misses():
    class Ridge(Flat):
        def forward(self, images, labels=None):  # D(x) = -|x_0 - 0.01|: the gradient turns round within eps
            return -(images.flatten(1)[:, :1] - 0.01).abs().expand(-1, N) / N, []

    subject = Subject(Discriminator(Ridge(), {"score": Hinge().heads()[0]}), Hinge())
    nn.init.ones_(subject.judge.heads["score"].weight)
    x = torch.zeros(1, *SHAPE)
    assert float(attack(subject, x, None, 0.04, "pgd").flatten()[0]) == pytest.approx(-0.04)


def test_accuracy_under_attack_counts_the_scores_that_stay_above_0():
    x = pictures(200)
    fall = float(W.abs().sum()) / 255
    for row in accuracy_under_attack(linear(), x, None):
        after = scores(x) - row["eps_255"] * fall
        assert row["accuracy"] == pytest.approx(float((after > 0).float().mean()), abs=0.006), row
        assert row["score"] == pytest.approx(float(after.mean()), abs=1e-4)
        assert row["confidence"] == pytest.approx(float(after.sigmoid().mean()), abs=1e-4)
    assert {row["eps_255"] for row in accuracy_under_attack(linear(), x[:2], None)} == {0.0, *LEVELS}


def test_what_is_called_real_depends_on_the_losses_own_boundary():
    x = pictures(60)
    assert torch.equal(linear(Hinge()).called_real(x, None), scores(x) > 0)
    assert torch.equal(linear(LeastSquares()).called_real(x, None), scores(x) > 0.5)
    for host in (Hinge(), NonSaturating(), Minimax(), LeastSquares(), LeastSquares(a=-1.0, b=0.5)):
        assert host.boundary is not None
        assert torch.equal(linear(host).called_real(x, None), scores(x) > host.boundary)
        share = discriminator_accuracies(linear(host).judge, to_uint8(x), None, boundary=host.boundary)["real"]
        assert share == float((scores(to_float(to_uint8(x))) > host.boundary).double().mean())
    assert Wasserstein().boundary is RelativisticPairing().boundary is LeastSquares(a=1.0, b=0.0).boundary is None
    assert discriminator_accuracies(linear().judge, to_uint8(x), None, boundary=None) == {}
    fakes = pictures(60, seed=1) - 0.4
    assert linear(Hinge()).boundary_between(x, None, fakes, None) is None
    middle = linear(Wasserstein()).boundary_between(x, None, fakes, None)
    assert middle == pytest.approx(float((scores(x).mean() + scores(fakes).mean()) / 2), abs=1e-5)
    assert torch.equal(linear(Wasserstein()).called_real(x, None, middle), scores(x) > middle)


# --- spectra ---
def test_a_known_spectrum_and_its_ranks():
    judge = linear().judge
    judge.backbone.layer = nn.Linear(3, 4, bias=False)
    rotation = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(0)))[0][:, :3]
    judge.backbone.layer.weight = nn.Parameter(rotation @ torch.diag(torch.tensor([4.0, 2.0, 1.0])))
    found = spectra(judge)["backbone.layer"]
    assert found["singular_values"] == pytest.approx([4, 2, 1], rel=1e-5) and not found["normalised"]
    assert found["stable_rank"] == pytest.approx(21 / 16, rel=1e-5)
    shares = [4 / 7, 2 / 7, 1 / 7]
    assert found["effective_rank"] == pytest.approx(math.exp(-sum(s * math.log(s) for s in shares)), rel=1e-5)
    assert describe(torch.ones(5))["effective_rank"] == pytest.approx(5)


def test_a_zero_matrix_has_rank_0_and_a_tiny_one_its_own():
    for dtype in (torch.float32, torch.float64):
        zero, tiny = describe(torch.zeros(3, dtype=dtype)), describe(torch.full((3,), 1e-38, dtype=dtype))
        assert zero["effective_rank"] == zero["stable_rank"] == 0
        assert tiny["effective_rank"] == pytest.approx(3) and tiny["stable_rank"] == pytest.approx(3)


def test_a_normalised_weights_spectrum_is_that_of_the_weight_in_use():
    judge = linear().judge
    layer = nn.Conv2d(2, 3, 2, bias=False)
    layer.weight = nn.Parameter(
        torch.diag(torch.tensor([5.0, 2.5, 1.0])).repeat_interleave(3, 1)[:, :8].view(3, 2, 2, 2)
    )
    raw = torch.linalg.svdvals(layer.weight.detach().flatten(1))
    judge.backbone.layer = spectral_norm(layer, "exact")
    judge.train()
    vectors = {name: buffer.clone() for name, buffer in judge.named_buffers()}
    found = spectra(judge)["backbone.layer"]
    assert found["normalised"] and found["singular_values"] == pytest.approx((raw / raw[0]).tolist(), rel=1e-3)
    assert judge.training and all(torch.equal(vectors[name], buffer) for name, buffer in judge.named_buffers())
    assert set(spectra(judge)) == {"backbone.layer", "heads.score"}


# --- neighbours ---
def test_nearest_neighbours_of_a_hand_made_set():
    points = torch.tensor([[0.0, 0.0], [3.0, 4.0], [10.0, 0.0]])
    found = nearest(torch.tensor([[0.0, 1.0], [9.0, 1.0]]), points)
    assert found.index.tolist() == [0, 2]
    assert found.distance.tolist() == pytest.approx([1 / math.sqrt(2), 1.0])
    others = nearest(points, points, themselves=True)
    assert others.index.tolist() == [1, 0, 1]
    assert others.distance.tolist() == pytest.approx([5 / math.sqrt(2), 5 / math.sqrt(2), math.sqrt(65 / 2)])


def test_nearest_neighbours_are_exact_in_chunks_and_for_copies():
    train = torch.randn(900, 48, generator=torch.Generator().manual_seed(1))
    found = nearest(train[100:700], train)
    assert found.index.tolist() == list(range(100, 700)) and float(found.distance.max()) == 0
    themselves = nearest(train, train, themselves=True)
    distances = torch.cdist(train.double(), train.double()).fill_diagonal_(torch.inf)
    assert torch.equal(themselves.index, distances.argmin(1))


def test_a_generator_that_copies_is_seen():
    real = torch.linspace(1, 2, 101)
    fair, copied = copies(torch.linspace(1, 2, 101), real), copies(torch.zeros(10), real)
    assert fair["share_closer"] == pytest.approx(1 / 101) and copied["share_closer"] == 1
    assert (copied["median_sample"], copied["median_real"], copied["smallest_real"]) == (0, 1.5, 1)


def test_samples_that_resemble_the_mean_are_closer_without_being_copies():
    g = torch.Generator().manual_seed(0)
    train, held = torch.randn(200, 48, generator=g), torch.randn(100, 48, generator=g)
    collapsed = 0.01 * torch.randn(100, 48, generator=g)
    found = copies(nearest(collapsed, train).distance, nearest(held, train).distance)
    assert found["share_closer"] == 1 and found["smallest_sample"] > 0.5
    assert mean_distance(collapsed) / mean_distance(held) < 0.02  # what tells it from a generator that copies
    assert "collapsed" in CAPTION


def test_the_mean_distance_between_samples_counts_pairs_and_classes():
    x = torch.tensor([[0.0], [1.0], [3.0], [10.0]])
    assert mean_distance(x) == pytest.approx((1 + 3 + 10 + 2 + 9 + 7) / 6)
    assert mean_distance(x, torch.tensor([0, 0, 1, 1])) == pytest.approx((1 + 7) / 2)
    assert mean_distance(x, torch.tensor([0, 0, 0, 5])) == pytest.approx(2)
    assert mean_distance(torch.ones(4, 2)) == 0
    assert mean_distance(x[:1]) is None and mean_distance(x, torch.arange(4)) is None


def test_shares_of_diversity_are_none_where_nothing_can_be_compared():
    def side(*shades: float, labels: list[int]) -> Batch:
        return Batch(torch.tensor(shades).float().view(-1, 1, 1, 1), torch.tensor(labels))

    real, fake = side(-1, 0, 1, 1, labels=[0, 0, 1, 1]), side(-1, -1, 1, 1, labels=[0, 1, 0, 1])
    found = _ratios(to_float, (real, fake), (real, fake))
    assert found["overall"] == pytest.approx((4 * 2 / 6) / ((1 + 2 + 2 + 1 + 1) / 6), abs=0.01)
    assert found["within_class"] == pytest.approx(2 / 0.5, abs=0.05)
    lone = side(-1, 0, labels=[0, 1])
    assert _ratios(to_float, (real, lone), (real, lone))["within_class"] is None
    assert _ratios(to_float, (lone, fake), (lone, fake))["within_class"] is None
    alike = side(0, 0, labels=[0, 0])
    assert _ratios(to_float, (alike, fake), None) == {"overall": None}


# --- realistic pairs ---
def test_equation_11_on_a_linear_discriminator():
    real, fake = pictures(7), pictures(5, seed=2)
    pairs = realistic_pairs(linear(), real, None, fake, None, k=3)
    order = sorted(range(5), key=lambda i: -float(scores(fake)[i]))[:3]
    assert pairs.fake.tolist() == order
    for row, i in enumerate(order):
        distances = [float((fake[i] - x).norm()) for x in real]
        j = min(range(7), key=distances.__getitem__)
        way = (real[j] - fake[i]).flatten()
        assert int(pairs.real[row]) == j and float(pairs.distance[row]) == pytest.approx(distances[j], rel=1e-5)
        slope = abs(float(way @ W)) / float(way.norm())
        assert float(pairs.slope[row]) == pytest.approx(slope, rel=1e-4)
        assert float(pairs.derivative[row]) == pytest.approx(slope, rel=1e-4)
        assert float(pairs.gradient[row]) == pytest.approx(float(W.norm()), rel=1e-5)


@pytest.mark.parametrize("own", [{}, {"aggregate": "average"}, {"squared_norm": True}])
def test_gaps_are_those_that_the_term_itself_penalises(own):
    real, fake, term = pictures(6), pictures(6, seed=2), SDP(t=0, k=2, **own)
    pairs = realistic_pairs(linear(), real, None, fake, None, k=2, features=term.features if own else None)
    sides = {
        name: {"images": x, "score": scores(x), "blocks": [x]} for name, x in (("real", real), ("fake", fake))
    }  # fmt: skip
    r = round_of(**sides, host=Hinge())
    term.discriminator_loss(r)
    assert pairs.means()["score_gap"] == pytest.approx(float(r.logs["term/score_gap"]), rel=1e-5)
    assert pairs.means()["feature_gap"] == pytest.approx(float(r.logs["term/feature_gap"]), rel=1e-5)


# --- looking changes nothing ---
def test_a_look_leaves_a_batch_normalised_discriminator_as_it_was():
    class Normed(Flat):
        def __init__(self):
            super().__init__()
            self.norm, self.drop = nn.BatchNorm2d(2), nn.Dropout(0.5)

        def forward(self, images, labels=None):
            return self.drop(self.norm(images)).flatten(1), []

    subject = Subject(Discriminator(Normed(), {"score": Hinge().heads()[0]}), Hinge(), rows=4)
    before = {name: value.clone() for name, value in subject.judge.state_dict().items()}
    drawn = torch.random.get_rng_state()
    x = pictures(8)
    first, again = subject.realness(x), subject.realness(x)
    subject.gradients(x)
    assert torch.equal(first, again) and torch.equal(torch.random.get_rng_state(), drawn)
    assert all(torch.equal(before[name], value) for name, value in subject.judge.state_dict().items())
    assert subject.judge.training and subject.judge.backbone.drop.training
    assert all(p.requires_grad and p.grad is None for p in subject.judge.parameters())
    by_hand = nn.functional.batch_norm(x[:4], None, None, training=True)  # the statistics of its batch, no dropout
    expected = by_hand.flatten(1) @ subject.judge.heads["score"].weight[0] + subject.judge.heads["score"].bias
    torch.testing.assert_close(first[:4], expected.detach())
