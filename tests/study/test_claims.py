"""Verdicts on claims, from runs to words; what the tests themselves say is in test_statistics.py."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sparring import statistics as s
from sparring.errors import SparringError
from sparring.study.claims import compare, findings
from sparring.study.plan import Plan
from sparring.study.results import Result, rows_of

LOW, HIGH = [8.0, 8.5, 9.0, 8.2, 8.8], [12.0, 12.5, 13.0, 12.2, 12.8]
RNG = np.random.default_rng(3)


def plan(*claims, rows=("A", "B"), **more):
    filled = [{"says": "so", "row": "A", "against": "B", **claim} for claim in claims]
    return Plan.load({"rows": {label: {"recipe": "quickstart"} for label in rows}, "claims": filled, **more})


def runs(label, values, *, metric="fashion-FD", failed=(), **protocol):
    """A value None is a run that failed."""
    found = []
    for seed, value in enumerate(values):
        why = "not finite at step 812" if value is None else None
        measured = {} if value is None else {metric: value}
        found.append(
            Result(label, seed, "gan", f"recipe of {label}", failed=why, values=measured, protocol={metric: protocol})
        )
    return found


def verdicts(a, b, *claims, **more):
    return findings(plan(*claims, **more), rows_of([*runs("A", a), *runs("B", b)]))


def said(*arguments, **more):
    return [each.verdict for each in verdicts(*arguments, **more)]


LOWER, HIGHER = {"metric": "fd", "direction": "lower"}, {"metric": "fd", "direction": "higher"}


def test_directions():
    assert said(LOW, HIGH, LOWER, HIGHER) == ["agrees", "disagrees"]
    assert said(HIGH, LOW, LOWER, HIGHER) == ["disagrees", "agrees"]
    assert said(LOW, LOW, LOWER) == ["cannot tell"]


def test_the_numbers_of_a_verdict():
    (found,) = verdicts(LOW, HIGH, LOWER)
    both = found.comparison
    assert (both.found.mean, both.n, both.paired) == (pytest.approx(-4), (5, 5), False)
    assert both.found.sd == pytest.approx(np.std(LOW, ddof=1)) and both.found.interval() == (
        both.found.low,
        both.found.high,
    )
    assert both.words() == ("-4.00 [-4.60, -3.40]", "-9.7 [-11.2, -8.2]") and f"{both}; p" in found.why
    assert str(both) == "-4.00 [-4.60, -3.40], in sd -9.7 [-11.2, -8.2], unadjusted"
    assert found.p == found.adjusted < 0.001 and "p < 0.001" in found.why and "-4" in found.why
    assert found.visible is None  # it was seen
    (found,) = verdicts(LOW, [value + 0.1 for value in LOW], LOWER)
    sd = np.std(LOW, ddof=1)
    assert found.visible == found.visible_alone == pytest.approx(2.02 * sd, rel=0.01)
    six = verdicts(LOW, [value + 0.1 for value in LOW], *[LOWER] * 6)[0]
    assert six.visible == pytest.approx(2.83 * sd, rel=0.01) and six.visible_alone == found.visible
    assert "(2.8 sd) would have been seen" in six.why


def test_differences_have_the_digits_of_their_intervals_and_no_minus_0():
    (found,) = verdicts([8.0, 12.0], [8.02, 12.0], LOWER)
    assert found.comparison.words()[0] == "+0.0 [-12.1, +12.1]" and found.comparison.words()[1].startswith("+0.0 [-4.3")
    (found,) = verdicts(LOW, HIGH, LOWER)
    assert found.comparison.words()[0] == "-4.00 [-4.60, -3.40]"


def test_the_adjustment_counts_claims_that_cannot_be_tested():
    a, b = [8.0, 8.5, 9.0, 8.2, 8.8], [8.9, 9.2, 9.6, 8.7, 9.0]
    assert said(a, b, LOWER) == ["agrees"]
    untested = {"row": "B", "against": "C", **LOWER}
    assert said(a, b, LOWER, untested, rows=("A", "B", "C")) == ["cannot tell", "cannot tell"]
    assert "C has no runs yet" in verdicts(a, b, LOWER, untested, rows=("A", "B", "C"))[1].why


def test_margins():
    not_better, equal = {"metric": "fd", "not_better_by": "10%"}, {"metric": "fd", "equal_within": "10%"}
    near = [value + 0.05 for value in HIGH]
    assert said(near, HIGH, not_better) == ["agrees"] and said(near, HIGH, equal) == ["agrees"]
    assert said(LOW, HIGH, not_better) == ["disagrees"] and said(LOW, HIGH, equal) == ["disagrees"]
    assert said(HIGH, LOW, not_better) == ["agrees"] and said(HIGH, LOW, equal) == ["disagrees"]  # worse is not better
    (found,) = verdicts(near, HIGH, equal)  # the larger p agrees, the smaller one disagrees, each against its margin
    low, high = (s.difference(near, HIGH, margin=margin) for margin in (-0.1, 0.1))
    assert found.p == max(low.p("higher"), high.p("lower")) and "B -10%: +1.3" in found.why and "B +10%" in found.why
    (found,) = verdicts(LOW, HIGH, equal)
    low, high = (s.difference(LOW, HIGH, margin=margin) for margin in (-0.1, 0.1))
    assert found.p == min(low.p("lower"), high.p("higher")) and found.why.count("unadjusted") == 3
    assert found.why.count("[90%: ") == 2
    wide = [9.0, 10.0, 11.0, 12.0, 13.0]
    assert said([value - 1 for value in wide], wide, not_better) == ["cannot tell"]
    higher = {"metric": "is", "not_better_by": 0.1}
    scores = rows_of([*runs("A", HIGH, metric="fashion-IS"), *runs("B", LOW, metric="fashion-IS")])
    assert findings(plan(higher), scores)[0].verdict == "disagrees"  # of scores, more is better


def test_failed_runs_decide_by_their_share():
    dead = [None] * 5
    assert said(LOW, dead, LOWER, rows=("A", "B")) == ["agrees"] and said(dead, LOW, LOWER) == ["disagrees"]
    assert said(LOW, dead, HIGHER) == ["disagrees"] and said(dead, LOW, HIGHER) == ["agrees"]
    assert verdicts(LOW, dead, LOWER)[0].p == pytest.approx(0.0079, abs=1e-4)
    assert said(dead, LOW, {"metric": "fd", "not_better_by": "10%"}) == ["agrees"]
    assert said(dead, LOW, {"metric": "fd", "equal_within": "10%"}) == ["disagrees"]
    assert said(dead, dead, LOWER) == ["cannot tell"]
    assert said(dead, LOW, {"fails": "more often"}, {"fails": "less often"}) == ["agrees", "disagrees"]
    scores = rows_of([*runs("A", HIGH, metric="fashion-IS"), *runs("B", dead)])
    said_of_scores = findings(
        plan({"metric": "is", "direction": "higher"}, {"metric": "is", "direction": "lower"}), scores
    )
    assert [each.verdict for each in said_of_scores] == ["agrees", "disagrees"]  # failing is worse, whatever the metric
    (some,) = verdicts([*LOW[:4], None], HIGH, LOWER)  # one failure decides nothing, and hides no difference
    assert some.verdict == "cannot tell" and "1 of 5 runs of A failed" in some.why and some.comparison.n == (4, 5)
    assert said(LOW, [math.nan] * 5, LOWER) == ["agrees"]  # what is not finite is a failure
    assert said(LOW, [*HIGH, None], LOWER) == ["cannot tell"]


def test_few_seeds_have_intervals_and_no_verdict():
    (found,) = verdicts(LOW[:4], HIGH, LOWER)
    assert found.verdict == "cannot tell" and found.comparison.n == (4, 5) and found.p is None
    assert "fewer than 5" in found.why
    (one,) = verdicts(LOW[:1], HIGH, LOWER)
    assert one.comparison is None and "1 and 5" in one.why
    assert said([None] * 4, LOW, {"fails": "more often"}) == ["cannot tell"]


def test_pairs_share_their_seeds():
    noise = [0.0, 5.0, 10.0, 15.0, 20.0]
    a, b = [n + x for n, x in zip(noise, LOW, strict=True)], [n + x + 0.3 for n, x in zip(noise, LOW, strict=True)]
    b[0] += 0.01
    assert said(a, b, LOWER) == ["cannot tell"] and said(a, b, LOWER, paired=True) == ["agrees"]
    six = verdicts([*a, 9.0], b, LOWER, paired=True)[0].comparison
    assert six.n == (5, 5) and six.found.mean == pytest.approx(-0.302)


def test_different_protocols_are_not_compared_and_never_averaged():
    rows = rows_of([*runs("A", LOW, n_fake=1000), *runs("B", HIGH, n_fake=500)])
    (found,) = findings(plan(LOWER), rows)
    assert found.verdict == "cannot tell" and "n_fake 1000 and 500" in found.why
    assert compare(rows["A"], rows["B"], "fd") is None
    mixed = rows_of([*runs("A", LOW, n_fake=1000)[:3], *runs("A", LOW, n_fake=500)[3:], *runs("B", HIGH, n_fake=500)])
    with pytest.raises(
        SparringError, match=r"row .A.: fd was measured in different ways.*n_fake 1000 and 500 \(seeds 0 and 3\)"
    ):
        findings(plan(LOWER), mixed)
    seeds = rows_of([*runs("A", LOW, seed=0)[:3], *runs("A", LOW, seed=1)[3:]])
    assert seeds["A"].protocol("fd") == {"metric": "fashion-FD", "seed": 0}  # draws may differ from run to run
    assert compare(seeds["A"], rows_of(runs("B", HIGH, seed=2))["B"], "fd").n == (5, 5)  # and from row to row


def test_a_changed_recipe_leaves_earlier_runs_out():
    old = [Result("A", seed, "gan", "old", values={"fashion-FD": 99.0}) for seed in range(5)]
    rows = rows_of([*old, *runs("A", LOW[:2])])
    assert rows["A"].numbers("fd") == {0: 8.0, 1: 8.5} and rows["A"].earlier == 3
    again = [Result("A", 0, "gan", "recipe of A", values={"fashion-FD": 7.0})]
    assert rows_of([*runs("A", LOW), *again])["A"].numbers("fd")[0] == 7.0  # the later line counts


@pytest.mark.parametrize("claims", [1, 4, 6])
def test_without_a_true_difference_few_studies_hold_a_verdict(claims):
    """500 studies end to end; test_statistics.py has the thousands."""
    labels = ["B", *(f"A{i}" for i in range(claims))]
    read = plan(*({**LOWER, "row": label} for label in labels[1:]), rows=labels)
    held = 0
    for values in RNG.normal(10, 1, (500, claims + 1, 5)).tolist():
        results = [each for label, row in zip(labels, values, strict=True) for each in runs(label, row)]
        held += any(each.verdict != "cannot tell" for each in findings(read, rows_of(results)))
    assert held / 500 <= 0.08
