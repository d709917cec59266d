"""The numbers behind a study's verdicts: intervals, tests, and what could have been seen. Plain floats in, plain floats out.

Rows are compared by Welch's t (paired by seed where a plan says so), shares of failed runs by Fisher's exact test, claims of
"no better" and "equal" by one-sided tests against the margin (TOST), and all claims of a plan together by Holm's method.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

from sparring.errors import SparringError

ALPHA = 0.05  # of all claims of a plan together
LEVEL = 0.95  # of every interval but those against a margin, which have 1 - 2 * ALPHA
POWER = 0.8
FEWEST = 5  # seeds a row, below which there is no verdict
GAP, GAP_OF_FEW, FEW = 0.5, 0.7, 8  # shares of the range: see `two_humped`
APART = 0.2  # likewise, of the mean

Better = Literal["lower", "higher"]
Verdict = Literal["agrees", "disagrees", "cannot tell"]


def _special() -> ModuleType:
    try:
        from scipy import special
    except ImportError:
        raise SparringError("tables and verdicts of studies need scipy: pip install 'sparring[study]'") from None
    return special  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Spread:
    """What n values say of their row. sd (n - 1) and the 95% interval of the mean, by Student's t, need two values."""

    n: int
    mean: float
    sd: float | None
    median: float
    low: float | None
    high: float | None
    two_humped: bool


def spread(values: Sequence[float]) -> Spread:
    """Of finite values, at least one."""
    n, mean, sd = len(values), _mean(values), _sd(values)
    half = None if sd is None else quantile(n - 1) * sd / math.sqrt(n)
    low, high = (None, None) if half is None else (mean - half, mean + half)
    return Spread(n, mean, sd, statistics.median(values), low, high, two_humped(values))


def digits(error: float) -> int:
    """Decimal places that leave a deviation or an error two digits."""
    return min(6, max(0, 1 - math.floor(math.log10(error)))) if error else 2


def quantile(df: float, level: float = LEVEL) -> float:
    """How many standard errors an interval of that level reaches to either side, by Student's t."""
    return float(_special().stdtrit(df, (1 + level) / 2))


def two_humped(values: Sequence[float]) -> bool:
    """Whether runs end in two ways, so that a mean is near neither.

    They do where a gap between neighbours, with two runs and a fifth of all on either side, is longer than half of the
    whole range (than 0.7 of it below 8 runs) and than a fifth of the mean. Of normal values 3% have such a gap at 5, 1% at
    6 and 3% at 8 runs, and hardly any from 10 on; and only of noisy ones it is a fifth of the mean.
    """
    low, high = groups(values)
    if not low:
        return False
    gap, share = min(high) - max(low), GAP if len(values) >= FEW else GAP_OF_FEW
    return gap > share * (max(high) - min(low)) and gap > APART * abs(_mean(values))


def groups(values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Values at either side of the widest gap that has two and a fifth of them on both; nothing below four values."""
    ordered, least = sorted(values), max(2, len(values) // 5)
    gaps = {i: ordered[i] - ordered[i - 1] for i in range(least, len(ordered) - least + 1)}
    cut = max(gaps, key=lambda i: gaps[i]) if gaps else 0
    return (ordered[:cut], ordered[cut:]) if cut else ([], [])


@dataclass(frozen=True)
class Difference:
    """One row's mean minus another's."""

    mean: float
    error: float  # standard error
    df: float
    sd: float  # pooled: the root of the mean of both rows' variances, also where runs are paired
    pairs: int | None  # None: not paired
    exact: float  # the least one-sided p that an exact permutation test could give

    @property
    def sds(self) -> float | None:
        return self.mean / self.sd if self.sd else None

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        half = quantile(self.df, level) * self.error if self.error else 0.0
        return self.mean - half, self.mean + half

    @property
    def p_lower(self) -> float:
        """One-sided p of "the true difference is below 0"."""
        if not self.error:  # nothing varies, and t knows no p: what a permutation test would say
            return 0.5 if not self.mean else self.exact if self.mean < 0 else 1 - self.exact
        return float(_special().stdtr(self.df, self.mean / self.error))

    @property
    def p_higher(self) -> float:
        if not self.error:
            return 1 - self.p_lower
        return float(_special().stdtr(self.df, -self.mean / self.error))

    @property
    def p(self) -> float:
        """Two-sided."""
        return min(1.0, 2 * min(self.p_lower, self.p_higher))

    def visible(self, alpha: float = ALPHA) -> float:
        """The smallest true difference that a two-sided test at alpha sees with a probability of 80%, at this spread."""
        if not self.error:
            return 0.0
        return self.error * float(_special().nctdtrinc(self.df, 1 - POWER, quantile(self.df, 1 - alpha)))


def difference(ours: Sequence[float], theirs: Sequence[float], *, paired: bool = False) -> Difference | None:
    """Ours - theirs, by Welch's t; paired: of equally many values, seed by seed. None where either has under two values."""
    if min(len(ours), len(theirs)) < 2:
        return None
    n, m = len(ours), len(theirs)
    a, b = _sd(ours) or 0.0, _sd(theirs) or 0.0
    sd = math.hypot(a, b) / math.sqrt(2)
    if paired:
        each = [x - y for x, y in zip(ours, theirs, strict=True)]
        return Difference(_mean(each), (_sd(each) or 0.0) / math.sqrt(n), n - 1, sd, n, 0.5**n)
    a, b = a / math.sqrt(n), b / math.sqrt(m)
    error = math.hypot(a, b)
    df = 1 / ((a / error) ** 4 / (n - 1) + (b / error) ** 4 / (m - 1)) if error else n + m - 2
    return Difference(_mean(ours) - _mean(theirs), error, df, sd, None, 1 / math.comb(n + m, n))


@dataclass(frozen=True)
class Test:
    """How strongly the runs speak for a claim and against it: p of either verdict, before Holm's adjustment."""

    p_agrees: float
    p_disagrees: float

    @property
    def p(self) -> float:
        return min(self.p_agrees, self.p_disagrees)


UNDECIDED = Test(1.0, 1.0)  # a claim that cannot be tested is still one of the family


def directed(found: Difference, direction: Better) -> Test:
    """The claim that the difference is below 0 ("lower") or above it: two-sided, the sign chooses the verdict."""
    as_said = found.mean < 0 if direction == "lower" else found.mean > 0
    return Test(found.p if as_said else 1.0, 1.0 if as_said else found.p)


def not_better(at_margin: Difference, better: Better) -> Test:
    """The claim that ours is not better than theirs by a margin. at_margin: ours - (theirs moved by the margin)."""
    if better == "lower":
        return Test(at_margin.p_higher, at_margin.p_lower)
    return Test(at_margin.p_lower, at_margin.p_higher)


def equal(at_low: Difference, at_high: Difference) -> Test:
    """The claim that ours lies between theirs moved down and moved up by a margin (TOST)."""
    return Test(max(at_low.p_higher, at_high.p_lower), min(at_low.p_lower, at_high.p_higher))


def moved(values: Sequence[float], share: float) -> list[float]:
    """Values times a factor that moves their mean by a share of its size, up where the share is above 0.

    Testing against them counts the noise of the margin itself, which is a share of a mean that is only estimated.
    """
    factor = 1 + math.copysign(share, share * _mean(values))
    return [factor * value for value in values]


def failing(ours: int, of_ours: int, theirs: int, of_theirs: int, *, claimed: Literal["more", "less"]) -> Test:
    """The claim that ours fails more (less) often, by Fisher's exact test."""
    p = fisher(ours, of_ours, theirs, of_theirs)
    more = ours * of_theirs - theirs * of_ours
    if not more:
        return UNDECIDED
    return Test(p, 1.0) if (more > 0) == (claimed == "more") else Test(1.0, p)


def fisher(a: int, of_a: int, b: int, of_b: int) -> float:
    """Two-sided p of a of of_a against b of of_b: the tables with these margins that are at most as probable, together."""
    ways = [math.comb(of_a, k) * math.comb(of_b, a + b - k) for k in range(max(0, a + b - of_b), min(of_a, a + b) + 1)]
    here = math.comb(of_a, a) * math.comb(of_b, b)
    return sum(way for way in ways if way <= here) / sum(ways)


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's adjusted p of each, in the order given."""
    adjusted, largest = [0.0] * len(ps), 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = largest
    return adjusted


def settle(tests: Sequence[Test]) -> list[tuple[Verdict, float]]:
    """The verdict on each of a plan's claims, and its adjusted p. All claims of the plan belong here, tested or not."""
    found: list[tuple[Verdict, float]] = []
    for test, p in zip(tests, holm([test.p for test in tests]), strict=True):
        said: Verdict = "agrees" if test.p_agrees < test.p_disagrees else "disagrees"
        found.append((said if p <= ALPHA else "cannot tell", p))
    return found


def _mean(values: Sequence[float]) -> float:
    first = values[0]
    return first if all(value == first for value in values) else math.fsum(values) / len(values)


def _sd(values: Sequence[float]) -> float | None:
    """With n - 1; exactly 0 where all are the same."""
    mean = _mean(values)
    return math.hypot(*(value - mean for value in values)) / math.sqrt(len(values) - 1) if len(values) > 1 else None
