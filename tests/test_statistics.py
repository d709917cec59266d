"""Against values worked by hand, against scipy, and over thousands of simulated studies."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from sparring import statistics as s
from sparring.errors import SparringError

OURS, THEIRS = [8.0, 9.0, 10.0, 11.0, 12.0], [10.0, 12.0, 14.0, 16.0, 18.0]
RNG = np.random.default_rng(7)


def two_sided(found):
    return min(s.lies(found, "lower", tails=2))


def test_a_rows_spread_by_hand():
    found = s.spread(OURS)
    assert (found.n, found.mean, found.median) == (5, 10, 10)
    assert found.sd == pytest.approx(math.sqrt(2.5))
    assert (found.low, found.high) == pytest.approx((10 - 2.7764451 * math.sqrt(0.5), 10 + 2.7764451 * math.sqrt(0.5)))
    alone = s.spread([3.0])
    assert (alone.n, alone.mean, alone.sd, alone.low, alone.high) == (1, 3, None, None, None)


def test_welchs_difference_by_hand():
    found = s.difference(OURS, THEIRS)
    assert found.mean == -4 and found.sd == pytest.approx(2.5)  # variances 2.5 and 10
    assert found.error == pytest.approx(math.sqrt(0.5 + 2))
    assert found.df == pytest.approx(2.5**2 / (0.5**2 / 4 + 2**2 / 4))  # 100 / 17
    paired = s.difference(OURS, THEIRS, paired=True)  # -2, -3, -4, -5, -6
    assert (paired.mean, paired.df) == (-4, 4) and paired.error == pytest.approx(math.sqrt(0.5))
    assert s.difference([1.0], THEIRS) is None


@pytest.mark.parametrize("sizes", [(5, 5), (5, 9), (3, 20)])
def test_agrees_with_scipy(sizes):
    from scipy import stats

    a, b = RNG.normal(0, 1, sizes[0]).tolist(), RNG.normal(1, 3, sizes[1]).tolist()
    found, theirs = s.difference(a, b), stats.ttest_ind(a, b, equal_var=False)
    assert (two_sided(found), found.df) == pytest.approx((theirs.pvalue, theirs.df))
    assert found.interval(0.9) == pytest.approx(tuple(theirs.confidence_interval(0.9)))
    for side, p in (("less", found.p("lower")), ("greater", found.p("higher"))):
        assert p == pytest.approx(stats.ttest_ind(a, b, equal_var=False, alternative=side).pvalue)
    n = min(sizes)
    pairs, theirs = s.difference(a[:n], b[:n], paired=True), stats.ttest_rel(a[:n], b[:n])
    assert two_sided(pairs) == pytest.approx(theirs.pvalue)
    assert pairs.interval() == pytest.approx(tuple(theirs.confidence_interval()))


def test_failures_by_fishers_exact_test():
    p = pytest.approx(2 / 252)  # the p = 0.008 of the design
    assert s.failing(0, 5, 5, 5, claimed="less") == (p, 1.0) and s.failing(0, 5, 5, 5, claimed="more") == (1.0, p)
    assert s.failing(5, 5, 0, 5, claimed="more") == (p, 1.0) and s.failing(5, 5, 0, 5, claimed="alike") == (1.0, p)
    assert s.failing(3, 5, 0, 5, claimed="more") == (pytest.approx(20 / 120), 1.0)
    assert s.failing(2, 9, 4, 5, claimed="more") == (1.0, pytest.approx(273 / 3003))
    for claimed in ("more", "less", "alike"):
        assert s.failing(5, 5, 5, 5, claimed=claimed) == s.failing(0, 5, 0, 9, claimed=claimed) == s.UNDECIDED


def test_holm_by_hand():
    adjusted = [p for _, p in s.settle([s.Test(0.01, 1), s.Test(1, 0.04), s.Test(0.03, 1), s.Test(0.5, 1)])]
    assert adjusted == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert [p for _, p in s.settle([s.Test(0.6, 1), s.Test(0.7, 1)])] == [1.0, 1.0] and s.settle([]) == []
    tests = [s.Test(0.01, 1), s.Test(1, 0.04), s.UNDECIDED]
    assert [said for said, _ in s.settle(tests)] == ["agrees", "cannot tell", "cannot tell"]
    assert [said for said, _ in s.settle(tests[:2])] == ["agrees", "disagrees"]
    assert s.settle([s.Test(0.05, 1)]) == [("agrees", 0.05)]


def test_margins_by_hand():
    """TOST at 10% of a mean of 14: 12.6 and 15.4, whose own noise counts."""
    low, high = (s.difference(OURS, THEIRS, margin=share) for share in (-0.1, 0.1))
    assert low.mean == pytest.approx(-2.6) and low.error == pytest.approx(math.sqrt(0.5 + 2 * 0.81))
    assert high.mean == pytest.approx(-5.4) and high.error == pytest.approx(math.sqrt(0.5 + 2 * 1.21))
    assert s.lies(low, "higher") == (low.p("higher"), low.p("lower"))
    assert s.lies(high, "lower") == (high.p("lower"), high.p("higher"))
    # against it exactly where the 90% interval lies wholly beyond the margin
    assert (s.lies(low, "higher").p_disagrees <= 0.05) == (low.interval(0.9)[1] < 0)
    below = [-4.0, -6.0]  # moved up, whatever the sign: to -3.6 and -5.4
    assert s.difference([0.0, 0.0], below, margin=0.1).mean == pytest.approx(4.5)
    assert s.difference([0.0, 0.0], below, margin=-0.1).mean == pytest.approx(5.5)


def test_rows_without_any_spread():
    same = s.difference([1.1] * 5, [1.1] * 5)
    assert (same.mean, same.error, same.sd, two_sided(same), same.interval()) == (0, 0, 0, 1, (0, 0))
    apart = s.difference([8.0] * 5, [1.0] * 5)
    # no t, but a permutation test has one
    assert apart.interval() == (7, 7) and two_sided(apart) == pytest.approx(2 / 252)
    assert s.lies(apart, "higher", tails=2) == (two_sided(apart), 1.0) and s.lies(apart, "lower", tails=2) == (
        1.0,
        two_sided(apart),
    )
    assert two_sided(s.difference([8.0] * 5, [1.0] * 5, paired=True)) == pytest.approx(2 / 32)
    one = s.difference([8.0] * 5, THEIRS)  # one row's spread is enough for a t, with its own degrees of freedom
    assert one.df == pytest.approx(4) and 0 < two_sided(one) < 0.05
    huge = s.difference([1e200, 2e200, 3e200], [1e190, 2e190, 3e190])
    assert math.isfinite(huge.df) and 0 < two_sided(huge) < 1


@pytest.mark.parametrize(("claims", "sds"), [(1, 2.02), (6, 2.83)])
def test_the_smallest_visible_difference_is_seen_in_four_of_five_studies(claims, sds):
    from scipy import special

    # two rows of five, each of deviation 1
    root = s.Difference(0.0, -1.0, 1.0, error=math.sqrt(2 / 5), df=8, sd=1.0, exact=1 / 252)
    alpha = 0.05 / claims
    assert root.visible(alpha) == pytest.approx(sds, abs=0.01)
    a, b = RNG.normal(0, 1, (4000, 5)), RNG.normal(root.visible(alpha), 1, (4000, 5))
    t = (b.mean(1) - a.mean(1)) / np.sqrt((a.var(1, ddof=1) + b.var(1, ddof=1)) / 5)
    assert (special.stdtr(8, -np.abs(t)) * 2 <= alpha).mean() == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("claims", [1, 4, 6])
def test_simulated_studies_of_five_seeds(claims, paired):
    """Intervals cover in 95 of 100; no true difference, no verdict in 94 of 100. Rows of a study share their baseline."""
    covered = wrong = 0
    for seed_noise, noise in zip(RNG.normal(0, 1, (2000, 5)), RNG.normal(0, 1, (2000, claims + 1, 5)), strict=True):
        base, *rows = (noise + seed_noise * paired).tolist()
        found = [s.difference(row, base, paired=paired) for row in rows]
        covered += sum(d.interval()[0] <= 0 <= d.interval()[1] for d in found)
        wrong += any(said != "cannot tell" for said, _ in s.settle([s.lies(d, "lower", tails=2) for d in found]))
    assert 0.93 <= covered / (2000 * claims) <= 0.97
    assert wrong / 2000 <= 0.06


@pytest.mark.parametrize("true", [0.9, 1.1])
def test_a_margin_is_found_crossed_as_seldom_as_it_says(true):
    """At the margin itself, either verdict of a single claim is one in twenty; six claims have it together."""
    share = true - 1
    for claims, most in ((1, 0.065), (6, 0.06)):
        counts = np.zeros(2)
        for noise in RNG.normal(0, 2, (1500, claims + 1, 5)):
            base, *rows = (noise + 10 * np.array([1.0] + [true] * claims)[:, None]).tolist()
            side = "higher" if true < 1 else "lower"
            tests = [s.lies(s.difference(row, base, margin=share), side) for row in rows]
            said = {verdict for verdict, _ in s.settle(tests)}
            counts += ["agrees" in said, "disagrees" in said]
        assert (counts / 1500 <= most).all(), counts / 1500


def test_two_humps():
    assert s.two_groups([0.33, 0.91, 0.21, 1.00, 0.98]) == ([0.21, 0.33], [0.91, 0.98, 1.00])
    assert s.spread([0.33, 0.91, 0.21, 1.00, 0.98]).two_humped and not s.spread(OURS).two_humped
    assert not s.two_groups([0.1, 0.9, 1.0, 1.1, 1.2])  # one run apart is no second way to end
    assert not s.two_groups([1.0] * 9) and not s.two_groups([0.0, 1.0, 1.0])
    assert s.two_groups([0.2, 0.3, 0.4, 0.5] * 2 + [1025.0, 1500.0, 2030.0])
    normal = [s.two_groups(row) is not None for row in RNG.normal(0, 1, (2000, 5)).tolist()]
    assert np.mean(normal) < 0.05


def test_without_scipy_one_line_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(SparringError, match=r"pip install 'sparring\[study\]'"):
        s.spread([1.0, 2.0])
