"""Precision, recall, density, coverage: a picture worked by hand, loops, torch-fidelity, closed balls, blocks."""

import pytest
import torch

from sparring.errors import SparringError
from sparring.metrics import PRDC, prdc, precision_recall_density_coverage


def points(*values):
    return torch.tensor([[float(value)] for value in values])


def features(n, d, seed, shift=0.0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def longhand(real, fake, k):
    def reach(x):
        return [sorted((x[i] - x[j]).norm().item() for j in range(len(x)) if j != i)[k - 1] for i in range(len(x))]

    r, f = reach(real), reach(fake)
    n, m = len(real), len(fake)
    near = [[(real[i] - fake[j]).norm().item() for j in range(m)] for i in range(n)]
    return PRDC(
        precision=sum(any(near[i][j] <= r[i] for i in range(n)) for j in range(m)) / m,
        recall=sum(any(near[i][j] <= f[j] for j in range(m)) for i in range(n)) / n,
        density=sum(near[i][j] <= r[i] for i in range(n) for j in range(m)) / (k * m),
        coverage=sum(any(near[i][j] <= r[i] for j in range(m)) for i in range(n)) / n,
    )


def test_points_on_a_line_by_hand():
    # Reals 0, 1, 3, 100 reach 1, 1, 2, 97; fakes 2.5, 4.5, -9 reach 2, 2, 11.5 (k = 1).
    # Fake 2.5 lies in the ball of 3; 4.5 in those of 3 and 100 (down to 3); -9 in none: precision 2/3, density 3/3.
    # Reals 0 (by -9), 1 (by 2.5), 3 (by both) lie in fakes' balls, 100 does not; balls of 3 and 100 hold fakes.
    found = precision_recall_density_coverage(points(0, 1, 3, 100), points(2.5, 4.5, -9), k=1)
    assert found == pytest.approx((2 / 3, 3 / 4, 1.0, 2 / 4))


@pytest.mark.parametrize("block", [4, 2048])
@pytest.mark.parametrize("k", [1, 3])
def test_equals_longhand_whatever_the_blocks(monkeypatch, block, k):
    monkeypatch.setattr(prdc, "BLOCK", block)
    real, fake = features(13, 2, 0), features(9, 2, 1, shift=1.0)
    want = longhand(real, fake, k)
    assert len({*want, 0.0, 1.0}) >= 5  # a case that tells them apart
    assert precision_recall_density_coverage(real, fake, k) == pytest.approx(want, abs=1e-12)


def test_agrees_with_torch_fidelity():
    reference = pytest.importorskip("torch_fidelity.metric_prc")
    real, fake = features(80, 4, 2), features(70, 4, 3, shift=0.7)
    want = reference.prc_features_to_metric(
        fake, real, prc_neighborhood=3, prc_batch_size=100, save_cpu_ram=False, verbose=False
    )
    found = precision_recall_density_coverage(real, fake, k=3)
    assert 0 < found.recall < 1 and 0 < found.precision < 1
    assert found[:2] == pytest.approx((want["precision"], want["recall"]), abs=1e-7)  # float32 means


@pytest.mark.parametrize("block", [3, 2048])
def test_a_set_against_itself_is_perfect_even_where_points_repeat(monkeypatch, block):
    monkeypatch.setattr(prdc, "BLOCK", block)
    x = features(20, 50, 4) * 100
    repeated = torch.cat([x, x, x])
    assert precision_recall_density_coverage(x, x, k=2)._replace(density=1) == (1, 1, 1, 1)
    assert precision_recall_density_coverage(repeated, repeated, k=2)._replace(density=1) == (1, 1, 1, 1)


def test_one_mode_made_perfectly_has_precision_without_recall():
    real = torch.cat([features(30, 2, 5), features(30, 2, 6, shift=50.0)])
    found = precision_recall_density_coverage(real, features(60, 2, 7), k=5)
    assert found.precision > 0.9 and found.recall < 0.6 and found.coverage <= 0.5


def test_a_mean_far_above_the_deviation_costs_no_digits():
    real, fake = features(50, 3, 8), features(50, 3, 9, shift=0.5)
    want = precision_recall_density_coverage(real, fake)
    assert precision_recall_density_coverage(real + 1e7, fake + 1e7) == pytest.approx(want, abs=1e-12)


def brute(real, fake, k):
    """All distances by differences, in float64: no digit is lost, and ties are ties."""

    def between(a, b):
        return (a.double()[:, None] - b.double()).square().sum(2)

    def reach(x):
        return between(x, x).fill_diagonal_(torch.inf).kthvalue(k, dim=1).values

    near = between(fake, real)
    inside = near <= reach(real)
    return PRDC(
        precision=inside.any(1).double().mean().item(),
        recall=(near <= reach(fake)[:, None]).any(0).double().mean().item(),
        density=inside.sum(1).double().mean().item() / k,
        coverage=inside.any(0).double().mean().item(),
    )


@pytest.mark.parametrize("block", [17, 2048])
@pytest.mark.parametrize(("d", "k"), [(1, 3), (2, 5), (5, 1), (8, 1), (8, 3)])
def test_equal_distances_of_whole_numbers_are_equal(monkeypatch, block, d, k):
    monkeypatch.setattr(prdc, "BLOCK", block)
    monkeypatch.setattr(prdc, "GATHERED", 50)
    generator = torch.Generator().manual_seed(d)
    for _ in range(5):
        real = torch.randint(0, 4, (60, d), generator=generator).float()
        fake = torch.randint(0, 4, (50, d), generator=generator).float()
        assert precision_recall_density_coverage(real, fake, k) == pytest.approx(brute(real, fake, k), abs=1e-12)


@pytest.mark.parametrize("away", [1e6, 1e7, 1e8])
def test_far_clusters_keep_their_inner_distances(away):
    real, fake = features(100, 8, 11), features(90, 8, 12)
    two = torch.tensor([away, -away], dtype=torch.float64)
    real, fake = real + two.repeat(50)[:, None], fake + two.repeat(45)[:, None]
    want = brute(real, fake, 3)
    assert precision_recall_density_coverage(real, fake, 3) == pytest.approx(want, abs=1e-12)
    assert 0.5 < want.coverage < 1
    outlier = real.clone()
    outlier[0] += 1e9
    assert precision_recall_density_coverage(outlier, fake, 3) == pytest.approx(brute(outlier, fake, 3), abs=1e-12)


def test_copies_of_a_few_rows_are_counted_like_others():
    real, modes = features(60, 8, 13), features(4, 8, 14).repeat(15, 1)
    again = torch.cat([real[:30], real[:30]])
    for a, b in ((real, modes), (real, modes[:1].repeat(60, 1)), (again, modes), (again, real), (real, again)):
        assert precision_recall_density_coverage(a, b, 3) == pytest.approx(brute(a, b, 3), abs=1e-12)


def test_users_mistakes_are_named():
    x = features(6, 3, 10)
    with pytest.raises(SparringError, match="k must be"):
        precision_recall_density_coverage(x, x, k=6)
    for k in (0, 1.5):
        with pytest.raises(SparringError, match=f"k must be a whole number of at least 1, got {k}"):
            precision_recall_density_coverage(x, x, k=k)
    with pytest.raises(SparringError, match="got 3 and 1"):
        precision_recall_density_coverage(x, x[:, :1])
    with pytest.raises(SparringError, match="finite"):
        precision_recall_density_coverage(x, x * float("inf"))
