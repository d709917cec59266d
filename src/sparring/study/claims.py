"""What a plan claims, and what its runs say to it: agrees, disagrees or cannot tell, with the numbers.

One test for each claim, all claims of the plan adjusted together (`statistics`). Failed runs have no number: a claim about
rows with such runs is decided on how often they fail. A claim that cannot be tested yet still counts in the
adjustment, so that the runs that are missing change no other claim's verdict for the worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from sparring import statistics as s
from sparring.study.plan import Claim, Plan
from sparring.study.results import Runs, differing, lower_is_better

ORDER = {"disagrees": 0, "agrees": 1, "cannot tell": 2}  # contradictions are read first


@dataclass(frozen=True)
class Comparison:
    """Two rows by a metric."""

    row: str
    against: str
    metric: str
    paired: bool
    n: tuple[int, int]
    found: s.Difference

    def words(self) -> tuple[str, str]:
        """The difference with its 95% interval, unadjusted: in the metric, and in pooled standard deviations or ""."""
        in_sds = _signed(self.found, 1.0, self.found.sd) if self.found.sd else ""
        return _signed(self.found, (self.found.high - self.found.low) / 4), in_sds

    def __str__(self) -> str:
        return f"{', in sd '.join(filter(None, self.words()))}, unadjusted"


@dataclass(frozen=True)
class Finding:
    """The verdict on a claim. why: the evidence in a sentence; p and adjusted: None where nothing was tested.

    visible: the smallest difference seen in four of five such studies at Holm's first step; for a margin, how far beyond it
    the row would have to be. visible_alone: were this the only claim.
    """

    says: str
    row: str
    against: str
    metric: str | None
    verdict: s.Verdict
    why: str
    comparison: Comparison | None
    p: float | None = None
    adjusted: float | None = None
    visible: float | None = None
    visible_alone: float | None = None


class _Evidence(NamedTuple):
    why: str
    comparison: Comparison | None = None
    test: s.Test | None = None  # None: cannot be tested
    tested: s.Difference | None = None  # by a t test


def findings(plan: Plan, rows: Mapping[str, Runs]) -> list[Finding]:
    """The verdict on each claim of the plan, in its order. Rows may lack runs, or be missing."""
    gathered = []
    for claim in plan.claims:
        ours, theirs = (rows.get(label, Runs(label, ())) for label in (claim.row, claim.against))
        gathered.append(_evidence(claim, ours, theirs, plan.paired))
    settled = s.settle([each.test or s.UNDECIDED for each in gathered])
    return [
        _finding(claim, each, verdict, p, len(plan.claims))
        for claim, each, (verdict, p) in zip(plan.claims, gathered, settled, strict=True)
    ]


def compare(ours: Runs, theirs: Runs, metric: str, *, paired: bool = False, margin: float = 0.0) -> Comparison | None:
    """Two rows by a metric; None where either has under two numbers, or where they were measured in different ways.

    margin: see `statistics.difference`.
    """
    if differing(ours.protocol(metric), theirs.protocol(metric)):
        return None
    a, b = ours.numbers(metric), theirs.numbers(metric)
    if paired:
        a, b = {seed: a[seed] for seed in a if seed in b}, {seed: b[seed] for seed in a if seed in b}
    found = s.difference(list(a.values()), list(b.values()), paired=paired, margin=margin)
    return None if found is None else Comparison(ours.label, theirs.label, metric, paired, (len(a), len(b)), found)


def _evidence(claim: Claim, ours: Runs, theirs: Runs, paired: bool) -> _Evidence:
    for runs in (ours, theirs):
        if not runs.results:
            return _Evidence(f"{runs.label} has no runs yet")
    metric = claim.metric
    if metric is None or ours.failed or theirs.failed:
        return _by_failures(claim, ours, theirs, paired)
    if apart := differing(ours.protocol(metric), theirs.protocol(metric)):
        return _Evidence(f"{metric} was measured in different ways: {apart}")
    both = compare(ours, theirs, metric, paired=paired)
    if both is None:
        return _Evidence(f"too few runs with a number: {len(ours.numbers(metric))} and {len(theirs.numbers(metric))}")
    why = f"{metric} of {ours.label} - {theirs.label}: {both}{', paired by seed' if paired else ''}"
    if min(both.n) < s.FEWEST:
        return _Evidence(f"{why}; fewer than {s.FEWEST} {'pairs' if paired else 'seeds a row'}", both)
    if claim.direction is not None:
        return _Evidence(why, both, s.lies(both.found, claim.direction, tails=2), both.found)
    return _by_margin(claim, ours, theirs, why, both)


def _by_margin(claim: Claim, ours: Runs, theirs: Runs, why: str, both: Comparison) -> _Evidence:
    """One-sided tests, with their 90% intervals: ours lies above theirs moved down, below theirs moved up, or both."""
    share = claim.not_better_by or claim.equal_within or 0.0
    margins = [
        margin for margin in (-share, share) if claim.equal_within or (margin < 0) == lower_is_better(both.metric)
    ]
    moved = [compare(ours, theirs, both.metric, paired=both.paired, margin=margin) for margin in margins]
    found = {margin: each.found for margin, each in zip(margins, moved, strict=True) if each is not None}
    tests = [s.lies(each, "higher" if margin < 0 else "lower") for margin, each in found.items()]
    test = s.Test(max(each.p_agrees for each in tests), min(each.p_disagrees for each in tests))
    for margin, each in found.items():
        why += f"; against {theirs.label} {margin:+.0%}: {_signed(each, each.error, level=1 - 2 * s.ALPHA)}, unadjusted"
    return _Evidence(why, both, test, min(found.values(), key=lambda each: abs(each.mean)))


def _by_failures(claim: Claim, ours: Runs, theirs: Runs, paired: bool) -> _Evidence:
    """Fisher's exact test on the shares that failed. To fail less often is better, whatever the metric."""
    (a, n), (b, m) = ((len(runs.failed), len(runs.results)) for runs in (ours, theirs))
    why = f"{a} of {n} runs of {ours.label} failed, and {b} of {m} of {theirs.label}"
    both = None if claim.metric is None else compare(ours, theirs, claim.metric, paired=paired)
    if both is not None:
        why += f"; of those that did not, {claim.metric} differs by {both}, untested"
    if min(n, m) < s.FEWEST:
        return _Evidence(f"{why}; fewer than {s.FEWEST} seeds a row", both)
    return _Evidence(why, both, s.failing(a, n, b, m, claimed=_claimed_to_fail(claim)))


def _claimed_to_fail(claim: Claim) -> Literal["more", "less", "alike"]:
    if claim.fails is not None:
        return "more" if claim.fails == "more often" else "less"
    if claim.direction is None:
        return "more" if claim.not_better_by is not None else "alike"
    return "less" if (claim.direction == "lower") == lower_is_better(claim.metric or "") else "more"


def _finding(claim: Claim, evidence: _Evidence, verdict: s.Verdict, adjusted: float, claims: int) -> Finding:
    why, comparison, test, tested = evidence
    finding = Finding(claim.says, claim.row, claim.against, claim.metric, verdict, why, comparison)
    if test is None:
        return finding
    why += f"; p {_p(min(test))}" + (f", adjusted for {claims} claims {_p(adjusted)}" if claims > 1 else "")
    finding = replace(finding, why=why, p=min(test), adjusted=adjusted)
    if verdict != "cannot tell" or tested is None:
        return finding
    alpha, beyond = (s.ALPHA, "") if claim.direction is not None else (2 * s.ALPHA, " beyond the margin")
    seen = tested.visible(alpha / claims)
    in_sds = f" ({seen / tested.sd:.1f} sd)" if tested.sd else ""
    why += f"; at 80% power {seen:.3g}{in_sds}{beyond} would have been seen"
    return replace(finding, why=why, visible=seen, visible_alone=tested.visible(alpha))


def _signed(found: s.Difference, error: float, unit: float = 1.0, level: float = s.LEVEL) -> str:
    """A difference with its interval in brackets, to two digits of an error; never -0."""
    places = s.digits(error)
    values = (each / unit for each in (found.mean, *found.interval(level)))
    middle, low, high = (f"{round(value, places) + 0.0:+.{places}f}" for value in values)
    return f"{middle} [{'' if level == s.LEVEL else f'{level:.0%}: '}{low}, {high}]"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"
