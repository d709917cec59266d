"""Frechet distance: closed forms, 50-digit arithmetic, invariances, and self-distances that are computed."""

import json
import math

import numpy as np
import pytest
import torch

from sparring.errors import SparringError
from sparring.metrics import frechet, moments
from sparring.metrics.frechet import frechet_distance, frechet_distance_of
from sparring.metrics.moments import GaussianStats


def features(n, d, seed, *, scale=1.0, shift=0.0):
    """Correlated, skewed features with a decaying spectrum."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(d, d, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    mix = mix * (torch.arange(1, d + 1) ** -0.75)[:, None]
    x = torch.randn(n, d, generator=generator, dtype=torch.float64) * scale + shift
    return (x @ mix.T).relu()


def stats_of(x, batch=37):
    stats = GaussianStats(x.shape[1])
    for rows in x.split(batch):
        stats.update(rows)
    return stats


def signed(x, y):
    """Both ways to the distance, before they are clipped at 0."""
    by_features = frechet._signed_distance(moments.fit(x), moments.fit(y))
    by_stats = frechet._signed_distance(stats_of(x).fitted(), stats_of(y).fitted())
    return by_features, by_stats


def in_fifty_digits(x, y):
    """The definition, by mpmath: eigenvalues of S_x S_y in 50 digits."""
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(50):

        def moments(values):
            m = mpmath.matrix(values.tolist())
            mean = [mpmath.fsum(m[i, j] for i in range(m.rows)) / m.rows for j in range(m.cols)]
            centred = mpmath.matrix(m.rows, m.cols)
            for i in range(m.rows):
                for j in range(m.cols):
                    centred[i, j] = m[i, j] - mean[j]
            return mean, centred.T * centred / (m.rows - 1)

        (mean_x, cov_x), (mean_y, cov_y) = moments(x), moments(y)
        roots = mpmath.fsum(
            mpmath.sqrt(max(mpmath.re(value), 0))
            for value in mpmath.eig(cov_x * cov_y, left=False, right=False)
            if abs(value) > mpmath.mpf(10) ** -30
        )
        away = mpmath.fsum((a - b) ** 2 for a, b in zip(mean_x, mean_y, strict=True))
        traces = mpmath.fsum(cov_x[i, i] + cov_y[i, i] for i in range(cov_x.rows))
        return float(away + traces - 2 * roots)


def test_one_dimension_by_hand():
    # means 1 and 4, unbiased variances 4 and 1: 3^2 + (2 - 1)^2 = 10
    x = torch.tensor([[-1.0], [1.0], [3.0]], dtype=torch.float64)
    y = torch.tensor([[3.0], [4.0], [5.0]], dtype=torch.float64)
    assert frechet_distance(x, y) == pytest.approx(10, abs=1e-12)
    assert frechet_distance_of(stats_of(x), stats_of(y)) == pytest.approx(10, abs=1e-12)


def test_diagonal_gaussians_have_a_closed_form():
    # +-sqrt(v) along each axis in turn has mean 0 and a diagonal scatter of 2 v, so variance 2 v / (2 d - 1)
    d = 5
    v, w = torch.tensor([1.0, 4, 9, 16, 25]).double(), torch.tensor([9.0, 9, 4, 1, 0.25]).double()

    def cross(variances):
        axes = variances.sqrt().diag()
        return torch.cat([axes, -axes])

    spread = 2 / (2 * d - 1)
    want = 3**2 + spread * (v.sqrt() - w.sqrt()).square().sum().item()
    shifted = cross(w) + torch.tensor([0.0, 3, 0, 0, 0])
    assert frechet_distance(cross(v), shifted) == pytest.approx(want, rel=1e-13)


@pytest.mark.parametrize(("n", "m"), [(40, 30), (40, 6), (5, 30), (5, 6), (2, 2), (8, 9), (9, 40)])
def test_agrees_with_fifty_digits(n, m):
    x, y = features(n, 8, 1), features(m, 8, 2, scale=1.5, shift=0.3)
    want = in_fifty_digits(x, y)
    for got in signed(x, y):
        assert got == pytest.approx(want, abs=2e-7 if min(n, m) <= 8 else 1e-11)
    assert frechet_distance(x, y) == pytest.approx(want, abs=1e-9)


@pytest.mark.parametrize(("n", "d"), [(300, 64), (64, 64), (65, 64), (20, 64), (2, 64)])
def test_self_distance_is_computed_to_be_zero(n, d):
    for value in signed(features(n, d, 3), features(n, d, 3)):
        assert abs(value) < 1e-9


def test_self_distance_with_dead_and_repeated_dimensions():
    x = features(300, 32, 4)
    x[:, :5] = 0
    x[:, 5] = x[:, 6]
    for value in signed(x, x):
        assert abs(value) < 1e-9


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("power", [3, 6])
def test_self_distance_where_the_spectrum_leaves_double_precision(power, relu):
    generator = torch.Generator().manual_seed(5)
    spectrum = torch.arange(1, 65, dtype=torch.float64) ** -power
    mix = torch.randn(64, 64, generator=generator, dtype=torch.float64) * spectrum[:, None] * 5
    x = torch.randn(200, 64, generator=generator, dtype=torch.float64) @ mix.T
    for value in signed(x.relu() if relu else x, x.relu() if relu else x):
        assert abs(value) < 1e-10


def test_variances_at_the_edge_of_rounding_cost_the_self_distance_nothing():
    d = 64
    deviations = torch.full((d,), (0.3 * d * moments.EPS) ** 0.5, dtype=torch.float64)
    deviations[0] = 1
    generator = torch.Generator().manual_seed(6)
    x = torch.randn(200, d, generator=generator, dtype=torch.float64) * deviations
    for value in signed(x, x):
        assert abs(value) < 3e-14  # what is left out of a factor must not be left in the trace


@pytest.mark.parametrize(("refine", "tolerance"), [(frechet.REFINE_ABOVE, 1e-8), (-1.0, 1e-13)])
def test_rounding_in_empty_directions_is_no_overlap(monkeypatch, refine, tolerance):
    monkeypatch.setattr(frechet, "REFINE_ABOVE", refine)
    generator = torch.Generator().manual_seed(7)
    rotation = torch.linalg.qr(torch.randn(40, 40, generator=generator, dtype=torch.float64)).Q
    x = torch.randn(90, 20, generator=generator, dtype=torch.float64) @ rotation[:20]
    y = torch.randn(90, 20, generator=generator, dtype=torch.float64) @ rotation[20:]
    want = (x.mean(0) - y.mean(0)).square().sum() + x.var(0).sum() + y.var(0).sum()  # orthogonal: no root to take off
    for value in signed(x, y):
        assert value == pytest.approx(want.item(), rel=tolerance)


def test_few_samples_of_many_dimensions_need_no_matrix_of_these(monkeypatch):
    x, y = torch.eye(3, 30_000), 2 * torch.eye(3, 30_000)  # a covariance of 30,000 dimensions has 7 GB
    monkeypatch.setattr(torch.linalg, "cholesky_ex", None)
    # In the plane of three axes: means differ by |(1/3, 1/3, 1/3)|^2; covariances C and 4 C, with C's trace 1
    assert frechet_distance(x, y) == pytest.approx(1 / 3 + 1 + 4 - 2 * 2, rel=1e-12)


def test_both_rounds_of_the_computation_agree(monkeypatch):
    x, y = features(500, 48, 5), features(30, 48, 6, scale=1.2)
    fast = frechet_distance(x, y)
    monkeypatch.setattr(frechet, "REFINE_ABOVE", -1.0)
    refined = frechet_distance(x, y)
    assert refined == pytest.approx(fast, rel=1e-9)
    monkeypatch.setattr(torch.linalg, "svdvals", None)
    with pytest.raises(TypeError):
        frechet_distance(x, y)


@pytest.mark.parametrize("n", [127, 128, 129])
def test_about_as_many_samples_as_dimensions_are_measured_fast_and_well(monkeypatch, n):
    spectrum = torch.arange(1, 129) ** -0.4  # a network's features: no direction is empty, none is far from it
    x, y = features(n, 128, 7) * spectrum, features(n, 128, 8) * spectrum
    with monkeypatch.context() as fast:
        fast.setattr(torch.linalg, "svdvals", None)  # the slow form is not for these
        found = frechet_distance(x, y)
    monkeypatch.setattr(frechet, "REFINE_ABOVE", -1.0)
    assert found == pytest.approx(frechet_distance(x, y), rel=1e-7)


def test_a_mean_far_above_the_deviation_costs_no_digits():
    x, y = features(400, 16, 7).float(), features(400, 16, 8, scale=1.3).float()
    far_x, far_y = x + 8192, y + 8192
    want = frechet_distance(far_x.double() - 8192, far_y.double() - 8192)
    assert frechet_distance(far_x, far_y) == pytest.approx(want, rel=1e-9)
    assert frechet_distance_of(stats_of(far_x), stats_of(far_y)) == pytest.approx(want, rel=1e-9)


def test_invariant_to_order_rotation_and_batches_symmetric_and_quadratic_in_scale():
    x, y = features(90, 12, 9), features(70, 12, 10, shift=0.2)
    value = frechet_distance(x, y)
    order = torch.randperm(90, generator=torch.Generator().manual_seed(0))
    rotation = torch.linalg.qr(torch.randn(12, 12, dtype=torch.float64)).Q
    assert value > 0.01
    assert frechet_distance(x[order], y) == pytest.approx(value, rel=1e-11)
    assert frechet_distance(x @ rotation, y @ rotation) == pytest.approx(value, rel=1e-11)
    assert frechet_distance(y, x) == pytest.approx(value, rel=1e-11)
    assert frechet_distance(3 * x, 3 * y) == pytest.approx(9 * value, rel=1e-11)
    for batch in (1, 7, 90):
        assert frechet_distance_of(stats_of(x, batch), stats_of(y, 70)) == pytest.approx(value, rel=1e-11)


def test_streamed_moments_are_the_moments():
    x = features(101, 6, 11) + 1000
    stats = stats_of(x, 10)
    assert stats.n == 101
    torch.testing.assert_close(stats.mean, x.mean(0), rtol=1e-14, atol=0)
    torch.testing.assert_close(stats.covariance, x.T.cov(), rtol=1e-10, atol=1e-12)


def test_merging_and_summing_over_ranks_is_streaming():
    x = features(60, 6, 12) + 100
    whole = stats_of(x)
    parts = [stats_of(x[:7]), stats_of(x[7:50]), GaussianStats(6), stats_of(x[50:])]
    merged = GaussianStats(6)
    for part in reversed(parts):
        merged.merge(part)
    shift = x[0]
    summed = GaussianStats.from_sums(sum(part.to_sums(shift) for part in parts), shift)
    for other in (merged, summed):
        assert other.n == 60
        torch.testing.assert_close(other.mean, whole.mean, rtol=1e-14, atol=0)
        torch.testing.assert_close(other.covariance, whole.covariance, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("n", "m"), [(300, 200), (300, 20)])
def test_agrees_with_torch_fidelity(n, m):
    reference = pytest.importorskip("torch_fidelity.metric_fid")
    x, y = features(n, 48, 13), features(m, 48, 14, scale=1.1)
    statistics = [reference.fid_features_to_statistics(each) for each in (x, y)]
    want = reference.fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"]
    # Theirs takes eigenvalues of a singular, non-symmetric product where samples are fewer than dimensions.
    assert frechet_distance(x, y) == pytest.approx(want, rel=1e-9 if m > 48 else 1e-5)


def test_saved_statistics_come_back_and_read_like_pytorch_fids(tmp_path):
    x, y = features(50, 6, 15), features(40, 6, 16)
    path = tmp_path / "new folder" / "x.npz"
    stats_of(x).save(path, extractor="fashion", split="test")
    with np.load(path, allow_pickle=False) as file:
        np.testing.assert_allclose(file["mu"], x.mean(0), rtol=1e-14)
        np.testing.assert_allclose(file["sigma"], np.cov(x.numpy(), rowvar=False), rtol=1e-10, atol=1e-14)
        assert file["mu"].dtype == file["sigma"].dtype == np.float64
    loaded = GaussianStats.load(path)
    assert loaded.n == 50
    assert loaded.provenance == {"extractor": "fashion", "split": "test"}
    assert frechet_distance_of(loaded, stats_of(y)) == pytest.approx(frechet_distance(x, y), rel=1e-11)
    loaded.update(y)
    assert frechet_distance_of(loaded, stats_of(torch.cat([x, y]))) < 1e-9
    assert [each.name for each in path.parent.iterdir()] == ["x.npz"]


def test_statistics_of_other_programs_are_read_but_not_added_to(tmp_path):
    x, y = features(50, 6, 15), features(40, 6, 16)
    path = tmp_path / "theirs.npz"
    np.savez(path, mu=x.mean(0).numpy(), sigma=np.cov(x.numpy(), rowvar=False))
    theirs = GaussianStats.load(path)
    assert theirs.n is None
    assert frechet_distance_of(theirs, stats_of(y)) == pytest.approx(frechet_distance(x, y), rel=1e-11)
    with pytest.raises(SparringError, match="unknown number of samples"):
        theirs.update(y)
    with pytest.raises(SparringError, match="unknown number of samples"):
        stats_of(y).merge(theirs)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.npz"
    stats_of(features(50, 6, 15)).save(path)
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(
        SparringError, match=r"cannot write statistics to '.*x\.npz': No space left on device; give another"
    ):
        stats_of(features(60, 6, 16)).save(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["x.npz"]


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04broken"])
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "broken.npz"
    path.write_bytes(content)
    with pytest.raises(SparringError, match=r"broken\.npz is not an \.npz"):
        GaussianStats.load(path)


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_is_refused_and_wrong_shapes_are_named(tmp_path):
    pickled, shapes = tmp_path / "pickled.npz", tmp_path / "shapes.npz"
    np.savez(pickled, mu=np.array([Trap(tmp_path / "sprung")], dtype=object), sigma=np.eye(1))
    np.savez(shapes, mu=np.zeros(3), sigma=np.eye(2))
    with pytest.raises(SparringError, match="not an"):
        GaussianStats.load(pickled)
    assert not (tmp_path / "sprung").exists()
    with pytest.raises(SparringError, match=r"\[3\] and \[2, 2\]"):
        GaussianStats.load(shapes)
    with pytest.raises(SparringError, match="there is no file of statistics"):
        GaussianStats.load(tmp_path / "absent.npz")


@pytest.mark.parametrize(
    ("mu", "sigma", "wrong"),
    [
        (math.nan, np.eye(3), "NaN or infinity"),
        (0.0, np.full((3, 3), math.nan), "NaN or infinity"),
        (0.0, -np.eye(3), "negative variance"),
        (0.0, np.eye(3) + np.eye(3, k=1) / 2, "not symmetric"),
    ],
)
def test_moments_that_are_none_are_refused(tmp_path, mu, sigma, wrong):
    np.savez(tmp_path / "x.npz", mu=np.full(3, mu), sigma=sigma)
    with pytest.raises(SparringError, match=rf"x\.npz does not hold statistics of features: .*{wrong}"):
        GaussianStats.load(tmp_path / "x.npz")


def test_a_covariance_rounded_to_float32_is_read(tmp_path):
    x, y = features(50, 6, 15), features(40, 6, 16)
    sigma = np.cov(x.numpy(), rowvar=False)
    upper = np.triu(sigma) + np.tril(sigma, -1) * (1 + 1e-6)
    np.savez(tmp_path / "x.npz", mu=x.mean(0).numpy(), sigma=upper.astype(np.float32))
    found = frechet_distance_of(GaussianStats.load(tmp_path / "x.npz"), stats_of(y))
    assert found == pytest.approx(frechet_distance(x, y), rel=1e-4)


def test_a_distance_that_is_no_number_is_refused():
    x = features(10, 4, 1)
    for scale in (1e200, 1e120):
        with pytest.raises(SparringError, match="is not finite"):
            frechet_distance(x * scale, x[:, [1, 0, 2, 3]] * scale)
    for change in (lambda stats: stats.mean.fill_(math.nan), lambda stats: stats.scatter.fill_(math.nan)):
        broken = stats_of(x)
        change(broken)
        with pytest.raises(SparringError, match="is not finite"):
            frechet_distance_of(stats_of(x), broken)


def test_differently_measured_statistics_are_refused():
    a, b = stats_of(features(50, 6, 1)), stats_of(features(50, 6, 2))
    a.provenance = {"extractor": "fashion", "resize": "none", "split": "train"}
    b.provenance = {"extractor": "fashion", "resize": "bilinear", "split": "test"}
    with pytest.raises(SparringError, match=r"resize 'none' against 'bilinear'$"):
        frechet_distance_of(a, b)


@pytest.mark.parametrize("dimensions", [-1, 0, 2.5, True, "4"])
def test_statistics_have_a_whole_number_of_dimensions(dimensions):
    with pytest.raises(SparringError, match="the dimensions of statistics must be a whole number of at least 1, got"):
        GaussianStats(dimensions)


def test_users_mistakes_are_named():
    x = features(10, 4, 1)
    with pytest.raises(SparringError, match="got 4 and 3"):
        frechet_distance(x, x[:, :3])
    with pytest.raises(SparringError, match="at least 2 samples"):
        frechet_distance(x, x[:1])
    with pytest.raises(SparringError, match="float tensor"):
        frechet_distance(x, x.long())
    with pytest.raises(SparringError, match="at least 2 samples, got 1"):
        frechet_distance_of(stats_of(x), stats_of(x[:1]))
    for bad in (math.nan, math.inf):
        broken = x.clone()
        broken[6, 2] = bad
        with pytest.raises(SparringError, match="row 6"):
            frechet_distance(x, broken)


def test_provenance_is_plain_json(tmp_path):
    stats_of(features(10, 2, 1)).save(tmp_path / "x.npz", resize='a "quoted" name', n_classes=3)
    with np.load(tmp_path / "x.npz", allow_pickle=False) as file:
        assert json.loads(str(file["provenance"])) == {"resize": 'a "quoted" name', "n_classes": 3}


@pytest.mark.parametrize("d", [3, 600, 1100])  # one block, two and three
def test_half_products_by_blocks_are_the_whole_products(d):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(40, d, generator=generator, dtype=torch.float64)
    lower = torch.randn(d, d, generator=generator, dtype=torch.float64).tril()
    torch.testing.assert_close(moments.gram(rows), rows.T @ rows, rtol=1e-12, atol=1e-10)
    symmetric = rows.T @ rows
    found, whole = moments.congruence(lower, symmetric).tril(), (lower.T @ symmetric @ lower).tril()
    torch.testing.assert_close(found, whole, rtol=1e-11, atol=1e-11 * whole.abs().max().item())


def test_features_too_large_to_be_added_are_refused():
    with pytest.raises(SparringError, match="row 1 is not"):
        frechet_distance(torch.tensor([[0.0], [1e308], [1e308]], dtype=torch.float64), torch.zeros(3, 1))
