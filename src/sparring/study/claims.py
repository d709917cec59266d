"""What a plan claims, and what its runs say to it: agrees, disagrees or cannot tell, with the numbers.

One test for each claim, all claims of the plan adjusted together (`statistics`). Failed runs have no number: a claim about
rows with such runs is decided on how often they fail. A claim that cannot be tested yet still counts in the
adjustment, so that the runs that are missing change no other claim's verdict for the worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from sparring.study import statistics as s
from sparring.study.plan import Claim, Plan
from sparring.study.results import lower_is_better
from sparring.study.rows import Runs, differing

ORDER = {"disagrees": 0, "agrees": 1, "cannot tell": 2}  # contradictions are read first


@dataclass(frozen=True)
class Comparison:
    """Two rows by a metric: the difference of their means with its 95% interval, which no other comparison widens."""

    row: str
    against: str
    metric: str
    n: tuple[int, int]
    difference: float
    low: float
    high: float
    sds: float | None  # the difference in pooled standard deviations, and so its interval
    low_sds: float | None
    high_sds: float | None
    paired: bool

    @property
    def in_metric(self) -> str:
        return _signed((self.difference, self.low, self.high), s.digits((self.high - self.low) / 4))

    @property
    def in_sds(self) -> str:
        return "" if self.sds is None else _signed((self.sds, self.low_sds or 0, self.high_sds or 0), 1)

    def __str__(self) -> str:
        return f"{self.in_metric}, in sd {self.in_sds}" if self.in_sds else self.in_metric


@dataclass(frozen=True)
class Finding:
    """The verdict on a claim. why: the evidence in a sentence; p and adjusted: None where nothing was tested.

    visible: the smallest difference seen in four of five such studies at Holm's first step, in the metric and in sd; for a
    margin, how far beyond it the row would have to be. visible_alone: were this the only claim.
    """

    says: str
    row: str
    against: str
    metric: str | None
    verdict: s.Verdict
    why: str
    p: float | None = None
    adjusted: float | None = None
    comparison: Comparison | None = None
    visible: float | None = None
    visible_sds: float | None = None
    visible_alone: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class _Evidence:
    why: str
    test: s.Test | None = None  # None: cannot be tested
    comparison: Comparison | None = None
    at: s.Difference | None = None  # what was tested by a t test
    sided: int = 2


def findings(plan: Plan, rows: Mapping[str, Runs]) -> list[Finding]:
    """The verdict on each claim of the plan, in its order. Rows may lack runs, or be missing."""
    gathered = [_evidence(claim, rows.get(claim.row), rows.get(claim.against), plan.paired) for claim in plan.claims]
    settled = s.settle([each.test or s.UNDECIDED for each in gathered])
    return [
        _finding(claim, each, verdict, p, len(plan.claims))
        for claim, each, (verdict, p) in zip(plan.claims, gathered, settled, strict=True)
    ]


def compare(ours: Runs, theirs: Runs, metric: str, *, paired: bool = False) -> Comparison | None:
    """Two rows by a metric; None where either has under two numbers, or where they were measured in different ways."""
    if differing(ours.protocol(metric), theirs.protocol(metric)):
        return None
    found, n = _difference(ours, theirs, metric, paired)
    if found is None:
        return None
    low, high = found.interval()
    sds, low_sds, high_sds = (each / found.sd if found.sd else None for each in (found.mean, low, high))
    return Comparison(ours.label, theirs.label, metric, n, found.mean, low, high, sds, low_sds, high_sds, paired)


def _values(ours: Runs, theirs: Runs, metric: str, paired: bool) -> tuple[list[float], list[float]]:
    a, b = ours.numbers(metric), theirs.numbers(metric)
    if paired:
        shared = [seed for seed in a if seed in b]
        a, b = {seed: a[seed] for seed in shared}, {seed: b[seed] for seed in shared}
    return list(a.values()), list(b.values())


def _difference(ours: Runs, theirs: Runs, metric: str, paired: bool) -> tuple[s.Difference | None, tuple[int, int]]:
    a, b = _values(ours, theirs, metric, paired)
    return s.difference(a, b, paired=paired), (len(a), len(b))


def _evidence(claim: Claim, ours: Runs | None, theirs: Runs | None, paired: bool) -> _Evidence:
    for label, runs in ((claim.row, ours), (claim.against, theirs)):
        if runs is None or not runs.results:
            return _Evidence(f"{label} has no runs yet")
    assert ours is not None and theirs is not None
    if claim.metric is None or ours.failed or theirs.failed:
        return _by_failures(claim, ours, theirs, paired)
    apart = differing(ours.protocol(claim.metric), theirs.protocol(claim.metric))
    if apart:
        return _Evidence(f"{claim.metric} was measured in different ways: {apart}")
    found, n = _difference(ours, theirs, claim.metric, paired)
    if found is None:
        return _Evidence(f"too few runs with a number: {n[0]} and {n[1]}")
    comparison = compare(ours, theirs, claim.metric, paired=paired)
    why = f"{claim.metric} of {ours.label} - {theirs.label}: {comparison}{', paired by seed' if paired else ''}"
    if min(n) < s.FEWEST:
        return _Evidence(f"{why}; fewer than {s.FEWEST} {'pairs' if paired else 'seeds a row'}", None, comparison)
    if claim.direction is not None:
        return _Evidence(why, s.directed(found, claim.direction), comparison, found)
    return _by_margin(claim, ours, theirs, paired, _Evidence(why, None, comparison))


def _by_margin(claim: Claim, ours: Runs, theirs: Runs, paired: bool, so_far: _Evidence) -> _Evidence:
    """One-sided tests against the other row's mean, moved by the margin; 90% intervals, which these tests go with."""
    assert claim.metric is not None
    a, b = _values(ours, theirs, claim.metric, paired)
    margin = claim.not_better_by or claim.equal_within or 0.0
    low, high = (s.difference(a, s.moved(b, share), paired=paired) for share in (-margin, margin))
    assert low is not None and high is not None
    if claim.equal_within is not None:
        near = low if abs(low.mean) < abs(high.mean) else high
        shown = [_against_margin(theirs.label, -margin, low), _against_margin(theirs.label, margin, high)]
        return replace(so_far, why="; ".join([so_far.why, *shown]), test=s.equal(low, high), at=near, sided=1)
    better: s.Better = "lower" if lower_is_better(claim.metric) else "higher"
    at, share = (low, -margin) if better == "lower" else (high, margin)
    why = f"{so_far.why}; {_against_margin(theirs.label, share, at)}"
    return replace(so_far, why=why, test=s.not_better(at, better), at=at, sided=1)


def _against_margin(label: str, share: float, found: s.Difference) -> str:
    low, high = found.interval(1 - 2 * s.ALPHA)
    return f"against {label} {share:+.0%}: {_signed((found.mean, low, high), s.digits(found.error), '90%: ')}"


def _by_failures(claim: Claim, ours: Runs, theirs: Runs, paired: bool) -> _Evidence:
    """Fisher's exact test on the shares that failed. To fail less often is better, whatever the metric."""
    (a, n), (b, m) = ((len(runs.failed), len(runs.results)) for runs in (ours, theirs))
    why = f"{a} of {n} runs of {ours.label} failed, and {b} of {m} of {theirs.label}"
    comparison = None
    if claim.metric is not None:
        comparison = compare(ours, theirs, claim.metric, paired=paired)
        if comparison is not None:
            why += f"; of those that did not, {claim.metric} differs by {comparison}, untested"
    if min(n, m) < s.FEWEST:
        return _Evidence(f"{why}; fewer than {s.FEWEST} seeds a row", None, comparison)
    if claim.equal_within is not None:  # failing at other rates is no equality, and failing alike shows none
        test = s.Test(1.0, s.fisher(a, n, b, m))
    else:
        test = s.failing(a, n, b, m, claimed=_claimed_to_fail(claim))
    return _Evidence(why, test, comparison)


def _claimed_to_fail(claim: Claim) -> Literal["more", "less"]:
    if claim.fails is not None:
        return "more" if claim.fails == "more often" else "less"
    if claim.direction is None:
        return "more"  # not better
    return "less" if (claim.direction == "lower") == lower_is_better(claim.metric or "") else "more"


def _finding(claim: Claim, found: _Evidence, verdict: s.Verdict, adjusted: float, claims: int) -> Finding:
    finding = Finding(
        claim.says, claim.row, claim.against, claim.metric, verdict, found.why, comparison=found.comparison
    )
    if found.test is None:
        return finding
    adjustment = f", adjusted for {claims} claims {_p(adjusted)}" if claims > 1 else ""
    why = f"{found.why}; p {_p(found.test.p)}{adjustment}"
    finding = replace(finding, why=why, p=found.test.p, adjusted=adjusted)
    if verdict != "cannot tell" or found.at is None:
        return finding
    at, tails = found.at, 2 // found.sided
    seen, alone = at.visible(tails * s.ALPHA / claims), at.visible(tails * s.ALPHA)
    sds = seen / at.sd if at.sd else None
    in_sds = "" if sds is None else f" ({sds:.1f} sd)"
    beyond = " beyond the margin" if found.sided == 1 else ""
    why += f"; at 80% power {seen:.3g}{in_sds}{beyond} would have been seen"
    return replace(finding, why=why, visible=seen, visible_sds=sds, visible_alone=alone)


def _signed(values: tuple[float, float, float], digits: int, level: str = "") -> str:
    """A difference with its interval in brackets; never -0."""
    words = [f"{value:+.{digits}f}" for value in values]
    middle, low, high = (word if float(word) else word.replace("-", "+") for word in words)
    return f"{middle} [{level}{low}, {high}]"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"
