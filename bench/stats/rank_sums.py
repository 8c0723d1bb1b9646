"""Wilcoxon's rank sum: how far from its mean it is, and how far it is by chance.

The values may have any distribution, if it is the same for all: then every order of them is as
likely (Wilcoxon, Individual Comparisons by Ranking Methods, Biometrics 1, 1945; Mann and Whitney,
On a Test of Whether One of Two Random Variables Is Stochastically Larger than the Other, Annals of
Mathematical Statistics 18, 1947).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from statistics import NormalDist

_NORMAL = NormalDist()
COUNTED = 9  # values of the fewer: up to so many, sets of ranks are counted; beyond, expanded
_DEFICITS = 4000  # how far below the largest sum they are counted; what is further is not rare


def distances(values: Sequence[float]) -> list[int]:
    """Twice the distance from its mean of the sum of the first 0, 1, ... ranks; equal values share
    the mean of their ranks."""
    n, ordered = len(values), sorted(values)
    last = dict(zip(ordered, range(n), strict=True))
    first = dict(zip(reversed(ordered), reversed(range(n)), strict=True))
    return list(accumulate((first[x] + last[x] + 1 - n for x in values), initial=0))


@cache
def _at_most(few: int) -> list[int]:
    """How many sets of so many ranks have a sum that is no more than 0, 1, ... below the largest:
    partitions into so many parts or fewer. (It counts parts of any size, so rather too many.)"""
    counts = [1] + [0] * _DEFICITS
    for part in range(1, few + 1):
        for total in range(part, len(counts)):
            counts[total] += counts[total - part]
    return list(accumulate(counts))


def critical_distance(one: int, other: int, tail: float) -> float:
    """The distance that a rank sum reaches with a probability of at most the tail, up or down."""
    few, many = sorted((one, other))
    if few <= COUNTED:
        allowed = bisect_right(_at_most(few), math.comb(few + many, few) * tail / 2) - 1
        return few * many - 2 * allowed if allowed >= 0 else math.inf
    bend, highest, deviation = _expansion(few, many)
    z = min(highest, -_NORMAL.inv_cdf(tail / 2))
    return 1 + 2 * deviation * (z + bend * (z**3 - 3 * z))  # 1: sums are whole numbers


def tail_probability(one: int, other: int, distance: float) -> float:
    """The inverse: how likely a rank sum is as far from its mean, at most. 1 if that is too near to
    be counted."""
    few, many = sorted((one, other))
    if few <= COUNTED:
        deficit = int(few * many - distance) // 2
        if deficit > _DEFICITS:
            return 1.0
        return min(1.0, 2 * _at_most(few)[deficit] / math.comb(few + many, few))
    bend, high, deviation = _expansion(few, many)
    low = 0.0
    for _ in range(60):
        z = (low + high) / 2
        below = 1 + 2 * deviation * (z + bend * (z**3 - 3 * z)) < distance
        low, high = (z, high) if below else (low, z)
    return math.erfc(low / math.sqrt(2))


def _expansion(few: int, many: int) -> tuple[float, float, float]:
    """Of a rank sum: excess kurtosis over 24, the z-score up to which an expansion with it rises,
    and standard deviation (Cornish and Fisher, Moments and Cumulants in the Specification of
    Distributions, Revue de l'Institut International de Statistique 5, 1938)."""
    pairs, n = few * many, few + many
    bend = -(n * n - pairs + n) / (20 * pairs * (n + 1))
    return bend, math.sqrt(1 - 1 / (3 * bend)), math.sqrt(pairs * (n + 1) / 12)
