"""What some values say of their centre: exact, distribution-free, and robust against wild ones.

Means and t-tests are not: one process whose memory lay badly makes them alarm. What the gate uses
asks only that values are independent and, where nothing changed, as likely to err up as down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from statistics import median

from bench.stats.binomial import Interval

FEWEST = 6  # ratios; fewer have no 95 % interval of their median
_CONFIDENCE_TAIL = 40  # 1 / 0.025: what the interval may leave out on either side


def walsh_averages(values: Sequence[float]) -> list[float]:
    """(x[i] + x[j]) / 2 for all i <= j, sorted."""
    return sorted((x + y) / 2 for i, x in enumerate(values) for y in values[i:])


def hodges_lehmann(values: Sequence[float]) -> float:
    """The median of the Walsh averages: where the values are centred. As efficient as the mean for
    normal values, untouched by a quarter of wild ones (Hodges and Lehmann, Estimates of Location
    Based on Rank Tests, Annals of Mathematical Statistics 34, 1963)."""
    return median(walsh_averages(values))


@cache
def _signed_rank_counts(doubled_ranks: tuple[int, ...]) -> tuple[int, ...]:
    """How many of the 2^n ways to sign the ranks have the doubled rank sum 0, 1, 2, ..."""
    counts = [1] + [0] * sum(doubled_ranks)
    reach = 0
    for rank in doubled_ranks:
        reach += rank
        for total in range(reach, rank - 1, -1):
            counts[total] += counts[total - rank]
    return tuple(counts)


def signed_rank_p(values: Sequence[float], shift: float = 0.0) -> float:
    """The exact one-sided p-value of Wilcoxon's signed-rank test against centre <= shift: how
    likely values this high are if their centre is not above it.

    Values equal to the shift are left out; equal distances share the mean of their ranks (Wilcoxon,
    Individual Comparisons by Ranking Methods, Biometrics 1, 1945).
    """
    centred = sorted((v - shift for v in values if v != shift), key=abs)
    n = len(centred)
    doubled: list[int] = []
    for _, group in groupby(centred, key=abs):
        tied, start = len(list(group)), len(doubled)
        doubled += [2 * start + tied + 1] * tied  # twice the mean of start+1 .. start+tied
    observed = sum(rank for rank, value in zip(doubled, centred, strict=True) if value > 0)
    counts = _signed_rank_counts(tuple(doubled))
    return float(sum(counts[observed:]) / 2**n)


def interval(values: Sequence[float], confidence: float) -> Interval:
    """What holds the centre with at least that probability, two-sided: the Walsh averages that
    Wilcoxon's test would not reject. Infinite where there are too few values."""
    n = len(values)
    averages = walsh_averages(values)
    counts = _signed_rank_counts(tuple(range(2, 2 * n + 1, 2)))[::2]
    tail = (1 - confidence) / 2 * 2**n
    k, below = 0, counts[0]
    while below <= tail:
        k += 1
        below += counts[k]
    if k == 0:
        return Interval(-math.inf, math.inf)
    return Interval(averages[k - 1], averages[-k])


def holm(p_values: Sequence[float], alpha: float) -> list[bool]:
    """Which hypotheses fall when the chance of rejecting any true one may be alpha (Holm, A Simple
    Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 6, 1979)."""
    rejected = [False] * len(p_values)
    by_size = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for passed, i in enumerate(by_size):
        if p_values[i] > alpha / (len(p_values) - passed):
            break
        rejected[i] = True
    return rejected


@dataclass(frozen=True)
class Estimate:
    """The median of some ratios, and the interval that holds the true median 95 % of the time."""

    ratio: float
    low: float
    high: float


def estimate(ratios: Sequence[float]) -> Estimate:
    """Median and its distribution-free interval. Raises ValueError for fewer than FEWEST ratios.

    How many of n independent ratios lie below the true median is binomial(n, 1/2), whatever their
    distribution. So the interval from the k-th smallest to the k-th largest misses it with
    probability 2 P(binomial(n, 1/2) < k); k is the largest that keeps this within 5 % (Conover,
    Practical Nonparametric Statistics, 3rd ed., section 3.2).
    """
    n = len(ratios)
    if n < FEWEST:
        raise ValueError(f"ratios: got {n}, needs at least {FEWEST} for a 95 % interval")
    k, ways, below = 0, 1, 1  # ways: to choose k of n; below: the sum of ways up to k
    while below * _CONFIDENCE_TAIL <= 2**n:
        k += 1
        ways = ways * (n - k + 1) // k
        below += ways
    ordered = sorted(ratios)
    return Estimate(median(ordered), ordered[k - 1], ordered[n - k])
