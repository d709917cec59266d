"""Intervals, tests, and what they could have seen, for groups of numbers. Plain floats in, plain floats out.

Rows are compared by Welch's t (paired by seed where a plan says so), shares of failed runs by Fisher's exact test, claims of
"no better" and "equal" by one-sided tests against the margin (TOST), and all claims of a plan together by Holm's method.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from sparring.errors import needs

ALPHA = 0.05  # of all claims of a plan together
LEVEL = 0.95  # of every interval but those against a margin, which have 1 - 2 * ALPHA
POWER = 0.8
FEWEST = 5  # seeds a row, below which there is no verdict
GAP, GAP_OF_FEW, FEW = 0.5, 0.7, 8  # shares of the range: see `two_groups`
APART = 0.2  # likewise, of the mean

Side = Literal["lower", "higher"]
Verdict = Literal["agrees", "disagrees", "cannot tell"]


def _scipy(module: str) -> Any:
    with needs("tables and verdicts of studies need scipy", "study"):
        import scipy
    return getattr(scipy, module)  # which imports it


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
    n, mean, median = len(values), _mean(values), statistics.median(values)
    if n == 1:
        return Spread(n, mean, None, median, None, None, False)
    sd = _sd(values)
    half = quantile(n - 1) * sd / math.sqrt(n)
    return Spread(n, mean, sd, median, mean - half, mean + half, two_groups(values) is not None)


def digits(error: float) -> int:
    """Decimal places that leave a deviation or an error two digits."""
    return min(6, max(0, 1 - math.floor(math.log10(error)))) if error else 2


def quantile(df: float, level: float = LEVEL) -> float:
    """How many standard errors an interval of that level reaches to either side, by Student's t."""
    return float(_scipy("special").stdtrit(df, (1 + level) / 2))


def two_groups(values: Sequence[float]) -> tuple[list[float], list[float]] | None:
    """The two ways in which runs end, where they do and a mean is near neither; each in order.

    They do where a gap between neighbours, with two runs and a fifth of all on either side, is longer than half of the
    whole range (than 0.7 of it below 8 runs) and than a fifth of the mean. Of normal values 3% have such a gap at 5, 1% at
    6 and 3% at 8 runs, and hardly any from 10 on; and only of noisy ones it is a fifth of the mean.
    """
    ordered, least = sorted(values), max(2, len(values) // 5)
    places = range(least, len(ordered) - least + 1)
    if not places:
        return None
    cut = max(places, key=lambda i: ordered[i] - ordered[i - 1])
    share = GAP if len(values) >= FEW else GAP_OF_FEW
    needed = max(share * (ordered[-1] - ordered[0]), APART * abs(_mean(values)))
    return (ordered[:cut], ordered[cut:]) if ordered[cut] - ordered[cut - 1] > needed else None


@dataclass(frozen=True)
class Difference:
    """One row's mean minus another's, with its 95% interval."""

    mean: float
    low: float
    high: float
    error: float  # standard error
    df: float
    sd: float  # pooled: the root of the mean of both rows' variances, also where runs are paired
    exact: float  # the least one-sided p that an exact permutation test could give

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        half = quantile(self.df, level) * self.error
        return self.mean - half, self.mean + half

    def p(self, side: Side) -> float:
        """One-sided, of "the true difference is below 0", or above it."""
        towards = self.mean if side == "lower" else -self.mean
        if self.error:
            return float(_scipy("special").stdtr(self.df, towards / self.error))
        # nothing varies, and t knows no p: what a permutation test would say
        return 0.5 if not towards else self.exact if towards < 0 else 1 - self.exact

    def visible(self, alpha: float = ALPHA) -> float:
        """The smallest true difference that a two-sided test at alpha sees with a probability of 80%, at this spread."""
        t = _scipy("special").nctdtrinc(self.df, 1 - POWER, quantile(self.df, 1 - alpha))
        return self.error * float(t) if self.error else 0.0


def difference(
    ours: Sequence[float], theirs: Sequence[float], *, paired: bool = False, margin: float = 0.0
) -> Difference | None:
    """Ours - theirs, by Welch's t; paired: of equally many values, seed by seed. None where either has under two values.

    margin: moves theirs up (down, below 0) by a share of the size of their mean. All of them are multiplied, so that the
    noise of the margin counts, too: it is a share of a mean that is only estimated.
    """
    n, m = len(ours), len(theirs)
    if min(n, m) < 2:
        return None
    moved = 1 + math.copysign(margin, margin * _mean(theirs))
    theirs = [moved * value for value in theirs]
    a, b = _sd(ours), _sd(theirs)
    if paired:
        each = [x - y for x, y in zip(ours, theirs, strict=True)]
        mean, error, df, exact = _mean(each), _sd(each) / math.sqrt(n), n - 1.0, 0.5**n
    else:
        mean, exact = _mean(ours) - _mean(theirs), 1 / math.comb(n + m, n)
        of_a, of_b = a / math.sqrt(n), b / math.sqrt(m)
        error = math.hypot(of_a, of_b)
        df = 1 / ((of_a / error) ** 4 / (n - 1) + (of_b / error) ** 4 / (m - 1)) if error else n + m - 2.0
    half = quantile(df) * error
    return Difference(mean, mean - half, mean + half, error, df, math.hypot(a, b) / math.sqrt(2), exact)


class Test(NamedTuple):
    """How strongly the runs speak for a claim and against it: p of either verdict, before Holm's adjustment."""

    p_agrees: float
    p_disagrees: float


UNDECIDED = Test(1.0, 1.0)  # a claim that cannot be tested is still one of the family


def lies(found: Difference, side: Side, *, tails: int = 1) -> Test:
    """The claim that the difference is below 0 ("lower") or above it. tails: 2 for a two-sided test."""
    return Test(min(1.0, tails * found.p(side)), min(1.0, tails * found.p("higher" if side == "lower" else "lower")))


def failing(ours: int, of_ours: int, theirs: int, of_theirs: int, *, claimed: Literal["more", "less", "alike"]) -> Test:
    """The claim that ours fails more (less) often, by Fisher's exact test. Alike: no test shows that, only the contrary."""
    p = float(_scipy("stats").fisher_exact([[ours, of_ours - ours], [theirs, of_theirs - theirs]])[1])
    more = ours * of_theirs - theirs * of_ours
    as_said = more > 0 if claimed == "more" else claimed == "less" and more < 0
    return UNDECIDED if not more else Test(p, 1.0) if as_said else Test(1.0, p)


def settle(tests: Sequence[Test]) -> list[tuple[Verdict, float]]:
    """The verdict on each of a plan's claims, and its p adjusted by Holm's method. All claims of the plan belong here."""
    found: dict[int, tuple[Verdict, float]] = {}
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(tests)), key=lambda i: min(tests[i]))):
        largest = max(largest, min(1.0, (len(tests) - rank) * min(tests[i])))
        said: Verdict = "agrees" if tests[i].p_agrees < tests[i].p_disagrees else "disagrees"
        found[i] = (said if largest <= ALPHA else "cannot tell", largest)
    return [found[i] for i in range(len(tests))]


def _mean(values: Sequence[float]) -> float:
    first = values[0]
    return first if all(value == first for value in values) else math.fsum(values) / len(values)


def _sd(values: Sequence[float]) -> float:
    """With n - 1, of two values or more; exactly 0 where all are the same."""
    mean = _mean(values)
    return math.hypot(*(value - mean for value in values)) / math.sqrt(len(values) - 1)
